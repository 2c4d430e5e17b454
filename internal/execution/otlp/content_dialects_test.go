package otlp_test

import (
	"testing"

	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"
)

// TestContentOfRunsAndTools checks spans of real libraries, without the attributes that do not affect content.
func TestContentOfRunsAndTools(t *testing.T) {
	t.Parallel()
	const question, answered = `"What is the weather in Paris?"`, `"It is sunny in Paris, 21 degrees."`
	for name, tt := range map[string]struct {
		span          string // its name
		scope         string
		says          says
		events        []*tracepb.Span_Event
		input, output string
	}{
		"semantic conventions, a tool": {
			span:  "execute_tool get_weather",
			says:  says{"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "get_weather", "gen_ai.tool.type": "function", "gen_ai.tool.call.arguments": `{"city": "Paris"}`, "gen_ai.tool.call.result": "sunny"},
			input: `{"tool":"get_weather","arguments":{"city": "Paris"}}`, output: `"sunny"`,
		},
		"OpenInference, an agent": {
			span: "weather_agent", says: says{"openinference.span.kind": "AGENT", "input.value": "What is the weather in Paris?", "output.value": "It is sunny in Paris, 21 degrees.", "output.mime_type": "text/plain"},
			input: question, output: answered,
		},
		"OpenInference, a tool": {
			span: "get_weather", says: says{"openinference.span.kind": "TOOL", "tool.name": "get_weather", "tool.parameters": `{"type":"object"}`, "input.value": `{"city":"Paris"}`, "output.value": "sunny, 21 degrees"},
			input: `{"tool":"get_weather","arguments":{"city":"Paris"}}`, output: `"sunny, 21 degrees"`,
		},
		"OpenInference, a tool that only the span names": {
			span: "SimpleTool", says: says{"openinference.span.kind": "TOOL", "input.value": `{"city":"Paris"}`}, input: `{"tool":"SimpleTool","arguments":{"city":"Paris"}}`,
		},
		"Traceloop, an agent": {
			span: "weather_agent.agent", says: says{"traceloop.span.kind": "agent", "traceloop.entity.name": "weather_agent", "traceloop.entity.input": `{"args": ["weather?"], "kwargs": {}}`, "traceloop.entity.output": `{"text": "sunny"}`},
			input: `{"args": ["weather?"], "kwargs": {}}`, output: `{"text": "sunny"}`,
		},
		"Traceloop, a tool": {
			span: "get_weather.tool", says: says{"traceloop.span.kind": "tool", "traceloop.entity.name": "get_weather", "traceloop.entity.input": `{"args": ["Paris"], "kwargs": {}}`, "traceloop.entity.output": `["sunny"]`},
			input: `{"tool":"get_weather","arguments":{"args": ["Paris"], "kwargs": {}}}`, output: `["sunny"]`,
		},
		"the AI SDK, a run": {
			span: "ai.generateText", says: says{"ai.operationId": "ai.generateText", "ai.prompt": `{"prompt":"What is the weather in Paris?"}`, "ai.response.text": "It is sunny in Paris, 21 degrees.", "ai.response.finishReason": "stop"},
			input: `{"prompt":"What is the weather in Paris?"}`, output: answered,
		},
		"the AI SDK, a tool": {
			span: "ai.toolCall", says: says{"ai.operationId": "ai.toolCall", "ai.toolCall.name": "get_weather", "ai.toolCall.args": `{"city":"Paris"}`, "ai.toolCall.result": `{"sun":true}`},
			input: `{"tool":"get_weather","arguments":{"city":"Paris"}}`, output: `{"sun":true}`,
		},
		"MLflow, an agent": {
			span: "weather_agent", says: says{"mlflow.spanType": `"AGENT"`, "mlflow.spanInputs": `{"question": "What is the weather in Paris?"}`, "mlflow.spanOutputs": `{"text": "sunny"}`, "mlflow.spanFunctionName": `"agent"`},
			input: `{"question": "What is the weather in Paris?"}`, output: `{"text": "sunny"}`,
		},
		"MLflow, a tool": {
			span: "get_weather", says: says{"mlflow.spanType": `"TOOL"`, "mlflow.spanInputs": `{"city": "Paris"}`, "mlflow.spanOutputs": `{"sun": true}`},
			input: `{"tool":"get_weather","arguments":{"city": "Paris"}}`, output: `{"sun": true}`,
		},
		"Langfuse, an agent": {
			span: "weather_agent", says: says{"langfuse.observation.type": "agent", "langfuse.observation.input": "What is the weather in Paris?", "langfuse.observation.output": "It is sunny in Paris, 21 degrees."},
			input: question, output: answered,
		},
		"Langfuse, a tool": {
			span: "get_weather", says: says{"langfuse.observation.type": "tool", "langfuse.observation.input": `{"city": "Paris"}`, "langfuse.observation.output": "sunny, 21 degrees"},
			input: `{"tool":"get_weather","arguments":{"city": "Paris"}}`, output: `"sunny, 21 degrees"`,
		},
		"LangSmith, a tool": {
			span: "get_weather", says: says{"langsmith.span.kind": "tool", "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "get_weather", "gen_ai.prompt": `{"city":"Paris"}`, "gen_ai.completion": `{"output":{"content":"sunny, 21 degrees"}}`},
			input: `{"tool":"get_weather","arguments":{"city":"Paris"}}`, output: `{"output":{"content":"sunny, 21 degrees"}}`,
		},
		"Genkit, a flow": {
			span: "weather_agent", says: says{"genkit:metadata:subtype": "flow", "genkit:name": "weather_agent", "genkit:input": `{"q":"weather?"}`, "genkit:output": `{"a":"sunny"}`, "genkit:state": "success"},
			input: `{"q":"weather?"}`, output: `{"a":"sunny"}`,
		},
		"Genkit, a tool": {
			span: "get_weather", says: says{"genkit:metadata:subtype": "tool.v2", "genkit:name": "get_weather", "genkit:input": `{"city":"Paris"}`, "genkit:output": `{"sun":true}`},
			input: `{"tool":"get_weather","arguments":{"city":"Paris"}}`, output: `{"sun":true}`,
		},
		"Mastra, an agent": {
			span: "agent run: 'trip'", says: says{"mastra.span.type": "agent_run", "gen_ai.agent.name": "Trip", "mastra.agent_run.input": `[{"role":"user","content":"weather?"}]`, "mastra.agent_run.output": `{"text":"sunny"}`},
			input: `[{"role":"user","content":"weather?"}]`, output: `{"text":"sunny"}`,
		},
		"Mastra, a tool of another server": {
			span: "mcp_tool: 'get_weather'", says: says{"mastra.span.type": "mcp_tool_call", "gen_ai.tool.name": "get_weather", "mastra.mcp_tool_call.input": `{"city":"Paris"}`, "mastra.mcp_tool_call.output": `{"sun":true}`},
			input: `{"tool":"get_weather","arguments":{"city":"Paris"}}`, output: `{"sun":true}`,
		},
		"Spring AI, a tool": {
			span: "tool_call get_weather", says: says{"spring.ai.kind": "tool_call", "spring.ai.tool.definition.name": "get_weather", "spring.ai.tool.call.arguments": `{"city":"Paris"}`, "spring.ai.tool.call.result": "sunny"},
			input: `{"tool":"get_weather","arguments":{"city":"Paris"}}`, output: `"sunny"`,
		},
		"Google's ADK, a tool": {
			span:  "execute_tool [get_weather]",
			says:  says{"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "get_weather", "gcp.vertex.agent.tool_call_args": `{"city":"Paris"}`, "gcp.vertex.agent.tool_response": `{"weather":"sunny, 21 degrees"}`, "gcp.vertex.agent.llm_request": "{}"},
			input: `{"tool":"get_weather","arguments":{"city":"Paris"}}`, output: `{"weather":"sunny, 21 degrees"}`,
		},
		"Strands, an agent": {
			span: "invoke_agent weather_agent", says: says{"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "weather_agent", "gen_ai.agent.tools": `["get_weather"]`},
			events: []*tracepb.Span_Event{
				event("gen_ai.user.message", says{"content": `[{"text": "weather in Paris?"}]`}), event("gen_ai.choice", says{"message": "sunny", "finish_reason": "end_turn"}),
			},
			input: `[{"content":[{"text": "weather in Paris?"}],"role":"user"}]`, output: `[{"finish_reason":"end_turn","message":"sunny","role":"assistant"}]`,
		},
		"Strands, a tool": {
			span: "execute_tool get_weather", says: says{"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "get_weather"},
			events: []*tracepb.Span_Event{
				event("gen_ai.tool.message", says{"role": "tool", "content": `{"city": "Paris"}`, "id": "call_1"}), event("gen_ai.choice", says{"message": `[{"text": "sunny"}]`, "id": "call_1"}),
			},
			input: `{"tool":"get_weather","arguments":[{"content":{"city": "Paris"},"id":"call_1","role":"tool"}]}`, output: `[{"id":"call_1","message":[{"text": "sunny"}],"role":"assistant"}]`,
		},
		"Anthropic's tool runner": {
			span: "anthropic.custom_tool_use get_weather", says: says{"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "get_weather", "gen_ai.tool.call.arguments": `{"city":"Paris"}`, "anthropic.tool_result.content": `[{"type":"text","text":"sunny"}]`},
			input: `{"tool":"get_weather","arguments":{"city":"Paris"}}`, output: `[{"type":"text","text":"sunny"}]`,
		},
		"Pydantic AI, an agent": {
			span:  "invoke_agent weather_agent",
			says:  says{"gen_ai.operation.name": "invoke_agent", "pydantic_ai.all_messages": `[{"role":"user"}]`, "gen_ai.system_instructions": `[{"type":"text","content":"be kind"}]`, "final_result": "sunny"},
			input: `[{"role":"system","parts":[{"type":"text","content":"be kind"}]},{"role":"user"}]`, output: `"sunny"`,
		},
		"Pydantic AI's second format, a tool": {
			span: "running tool", says: says{"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "get_weather", "tool_arguments": `{"city":"Paris"}`, "tool_response": "sunny"},
			input: `{"tool":"get_weather","arguments":{"city":"Paris"}}`, output: `"sunny"`,
		},
		"Logfire, a function": {
			span: "Function: {name}", scope: "logfire.openai_agents",
			says:  says{"name": "get_weather", "input": `{"city": "Paris"}`, "output": "sunny", "mcp_data": "null", "gen_ai.system": "openai"},
			input: `{"tool":"get_weather","arguments":{"city": "Paris"}}`, output: `"sunny"`,
		},
		"Logfire, a call with events": {
			span: "Responses API", scope: "logfire.openai_agents",
			says: says{
				"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "response": `{"id":"resp_1"}`,
				"events": `[{"event.name":"gen_ai.user.message","content":"weather?"},{"event.name":"gen_ai.choice","message":{"content":"sunny"}},{"event.name":"other"}]`,
			},
			input: `[{"event.name":"gen_ai.user.message","content":"weather?"}]`, output: `[{"event.name":"gen_ai.choice","message":{"content":"sunny"}}]`,
		},
		"Logfire, events that are broken": {
			span: "Responses API", says: says{"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "events": `[{"event.name":`},
		},
		"OpenLIT, an agent": {
			span: "invoke_agent weather_agent", says: says{"gen_ai.operation.name": "invoke_agent", "gen_ai.workflow.input": `{"messages": ["weather?"]}`, "gen_ai.workflow.output": `{"messages": ["sunny"]}`, "gen_ai.graph.status": "success"},
			input: `{"messages": ["weather?"]}`, output: `{"messages": ["sunny"]}`,
		},
		"an unknown dialect, an agent": {
			span: "run", says: says{"acme.span.kind": "agent", "acme.runInput": "What is the weather in Paris?", "acme.run_output.text": "It is sunny in Paris, 21 degrees.", "acme.usage.input": 7, "acme.results": 1},
			input: question, output: answered,
		},
		"an unknown dialect, a tool": {
			span: "acme", says: says{"acme.span.kind": "tool", "acme.tool_name": "get_weather", "acme.tool.args": says{"city": "Paris"}, "acme.tool.results": []any{"sunny"}},
			input: `{"tool":"get_weather","arguments":{"city":"Paris"}}`, output: `["sunny"]`,
		},
		"a tool of no name": {span: "execute_tool", says: says{"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "none", "gen_ai.tool.call.arguments": `[1]`}, input: `[1]`},
		"what only looks like content": {
			span: "null", says: says{"gen_ai.operation.name": "execute_tool", "acme.input_type": "text", "acme.throughput": "x", "acme.output": "", "acme.args": "None", "acme.response_id": "r"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSpan(1, 0, tt.says)
			s.Name, s.Events = tt.span, tt.events
			export := exportOf(s)
			export.GetResourceSpans()[0].GetScopeSpans()[0].GetScope().Name = tt.scope
			batch, _ := translated(t, export)
			if len(batch.Executions) != 1 {
				t.Fatalf("%d executions", len(batch.Executions))
			}
			got := batch.Executions[0]
			if string(got.Input) != tt.input {
				t.Errorf("input %s, not %s", got.Input, tt.input)
			}
			if string(got.Output) != tt.output {
				t.Errorf("output %s, not %s", got.Output, tt.output)
			}
		})
	}
}
