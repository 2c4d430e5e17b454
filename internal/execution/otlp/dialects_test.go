package otlp_test

import (
	"encoding/json"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"github.com/watchbill/watchbill/internal/execution"
)

// execute returns an execution of a span at noon, as newSpan makes it, with the given changes.
func execute(id, parent string, kind execution.Kind, change func(*execution.Execution)) execution.Execution {
	e := execution.Execution{
		ID: traceID + "-" + id, CreatedAt: noon, UserID: execution.Unknown, AgentName: execution.Unknown,
		RequestID: traceID, Kind: kind, Status: execution.Success, Duration: 1500 * time.Millisecond,
		TraceID: traceID, SpanID: id, ParentSpanID: parent, Request: kind != execution.Tool,
	}
	change(&e)
	return e
}

const (
	first  = "0101010101010101"
	second = "0202020202020202"
	third  = "0303030303030303"
)

// TestDialects checks what instrumentations send for a question that needs a tool, as far as each of them reports it.
func TestDialects(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		spans []*tracepb.Span
		want  []execution.Execution
	}{
		"OpenTelemetry, conventions of 2026": {
			spans: []*tracepb.Span{
				newSpan(2, 1, says{
					"gen_ai.operation.name": "chat", "gen_ai.provider.name": "anthropic",
					"gen_ai.request.model": "claude-opus-5", "gen_ai.response.model": "claude-opus-5-20260415", "gen_ai.response.id": "msg_01",
					"gen_ai.usage.input_tokens": 1200, "gen_ai.usage.output_tokens": 300,
					"gen_ai.usage.cache_read.input_tokens": 1000, "gen_ai.usage.cache_creation.input_tokens": 100,
					"gen_ai.usage.reasoning.output_tokens": 200,
					"gen_ai.system_instructions":           []any{says{"type": "text", "content": "You know the weather."}},
					"gen_ai.input.messages":                []any{says{"role": "user", "parts": []any{says{"type": "text", "content": "Weather in Paris?"}}}},
					"gen_ai.output.messages":               `[{"role":"assistant","parts":[{"type":"tool_call","id":"call_1","name":"get_weather","arguments":{"city":"Paris"}}],"finish_reason":"tool_call"}]`,
				}),
				newSpan(3, 1, says{
					"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "get_weather", "gen_ai.tool.call.id": "call_1", "gen_ai.tool.type": "function",
					"gen_ai.tool.call.arguments": says{"city": "Paris"}, "gen_ai.tool.call.result": `{"degrees":14.5}`,
				}),
				newSpan(1, 0, says{
					"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "Weatherman", "gen_ai.agent.id": "asst_1", "gen_ai.conversation.id": "conv_1",
					"gen_ai.provider.name": "anthropic", "gen_ai.request.model": "claude-opus-5", "user.id": "ada",
					"gen_ai.usage.input_tokens": 1200, "gen_ai.usage.output_tokens": 300, // its children's
				}),
			},
			want: []execution.Execution{
				execute(second, first, execution.Inference, func(e *execution.Execution) {
					e.Provider, e.Model, e.RequestID = "anthropic", "claude-opus-5-20260415", "msg_01"
					e.Tokens = execution.Tokens{Input: 1200, Output: 300, CacheRead: 1000, CacheWrite: 100, Reasoning: 200, Used: 1500}
					e.Input = json.RawMessage(`[{"role":"system","parts":[{"content":"You know the weather.","type":"text"}]},{"parts":[{"content":"Weather in Paris?","type":"text"}],"role":"user"}]`)
					e.Output = json.RawMessage(`[{"role":"assistant","parts":[{"type":"tool_call","id":"call_1","name":"get_weather","arguments":{"city":"Paris"}}],"finish_reason":"tool_call"}]`)
				}),
				execute(third, first, execution.Tool, func(e *execution.Execution) {
					e.Input, e.Output = json.RawMessage(`{"tool":"get_weather","arguments":{"city":"Paris"}}`), json.RawMessage(`{"degrees":14.5}`)
				}),
				execute(first, "", execution.Agent, func(e *execution.Execution) {
					e.AgentName, e.UserID, e.SessionID = "Weatherman", "ada", "conv_1"
					e.Tokens, e.Provider, e.Model = execution.Tokens{Input: 1200, Output: 300, Used: 1500}, "anthropic", "claude-opus-5" // including its calls'
				}),
			},
		},
		"OpenTelemetry, conventions 1.30 with events": {
			spans: []*tracepb.Span{withEvents(newSpan(1, 0, says{
				"gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o",
				"gen_ai.usage.input_tokens": 20, "gen_ai.usage.output_tokens": 5, "enduser.id": "ada", "session.id": "s1",
			}),
				event("gen_ai.system.message", says{"gen_ai.system": "openai", "content": "Be brief."}),
				event("gen_ai.user.message", says{"gen_ai.system": "openai", "role": "user", "content": "Hello"}),
				event("gen_ai.choice", says{"gen_ai.system": "openai", "index": 0, "finish_reason": "stop", "message": `{"content":"Hi"}`}),
			)},
			want: []execution.Execution{execute(first, "", execution.Inference, func(e *execution.Execution) {
				e.UserID, e.SessionID, e.Provider, e.Model = "ada", "s1", "openai", "gpt-4o"
				e.Tokens = execution.Tokens{Input: 20, Output: 5, Used: 25}
				e.Input = json.RawMessage(`[{"content":"Be brief.","role":"system"},{"content":"Hello","role":"user"}]`)
				e.Output = json.RawMessage(`[{"finish_reason":"stop","index":0,"message":{"content":"Hi"},"role":"assistant"}]`)
			})},
		},
		"Azure's SDK, whose events hold documents": {
			spans: []*tracepb.Span{withEvents(newSpan(1, 0, says{"gen_ai.operation.name": "chat", "gen_ai.system": "az.ai.inference", "gen_ai.request.model": "phi-4"}),
				event("gen_ai.user.message", says{"gen_ai.system": "az.ai.inference", "gen_ai.event.content": `{"role":"user","content":"Hello"}`}),
				event("gen_ai.tool.message", says{"gen_ai.event.content": `{"content":"14.5","id":"call_1"}`}),
				event("gen_ai.choice", says{"gen_ai.event.content": "Hi"}),
			)},
			want: []execution.Execution{execute(first, "", execution.Inference, func(e *execution.Execution) {
				e.Provider, e.Model = "az.ai.inference", "phi-4"
				e.Input = json.RawMessage(`[{"content":"Hello","role":"user"},{"content":"14.5","id":"call_1","role":"tool"}]`)
				e.Output = json.RawMessage(`[{"content":"Hi","role":"assistant"}]`)
			})},
		},
		"OpenTelemetry, conventions 1.27": {
			spans: []*tracepb.Span{withEvents(newSpan(1, 0, says{
				"gen_ai.operation.name": "text_completion", "gen_ai.system": "vertex_ai", "gen_ai.request.model": "gemini-1.5",
				"gen_ai.usage.prompt_tokens": 20, "gen_ai.usage.completion_tokens": 5,
			}),
				event("gen_ai.content.prompt", says{"gen_ai.prompt": `[{"role":"user","content":"Hello"}]`}),
				event("gen_ai.content.completion", says{"gen_ai.completion": "Hi"}),
			)},
			want: []execution.Execution{execute(first, "", execution.Inference, func(e *execution.Execution) {
				e.Provider, e.Model, e.Tokens = "vertex_ai", "gemini-1.5", execution.Tokens{Input: 20, Output: 5, Used: 25}
				e.Input, e.Output = json.RawMessage(`[{"role":"user","content":"Hello"}]`), json.RawMessage(`"Hi"`)
			})},
		},
		"OpenLLMetry": {
			spans: []*tracepb.Span{
				newSpan(3, 2, says{
					"traceloop.workflow.name": "weather", "gen_ai.agent.name": "Weatherman", "traceloop.association.properties.user_id": "ada",
					"llm.request.type": "chat", "gen_ai.system": "OpenAI", "gen_ai.request.model": "gpt-4o", "gen_ai.response.model": "gpt-4o-2024-08-06", "gen_ai.response.id": "chatcmpl-1",
					"gen_ai.prompt.0.role": "user", "gen_ai.prompt.0.content": "Weather in Paris?",
					"gen_ai.prompt.1.role": "assistant", "gen_ai.prompt.1.tool_calls.0.name": "get_weather", "gen_ai.prompt.1.tool_calls.0.arguments": `{"city":"Paris"}`,
					"gen_ai.prompt.10.role": "tool", "gen_ai.prompt.10.content": "14.5", "gen_ai.prompt.caching": "read",
					"gen_ai.completion.0.role": "assistant", "gen_ai.completion.0.content": "Mild.", "gen_ai.completion.0.finish_reason": "stop",
					"gen_ai.usage.prompt_tokens": 40, "gen_ai.usage.completion_tokens": 10, "llm.usage.total_tokens": 50,
					"gen_ai.usage.cache_read_input_tokens": 30, "gen_ai.usage.reasoning_tokens": 4,
				}),
				newSpan(4, 2, says{
					"traceloop.span.kind": "tool", "traceloop.entity.name": "get_weather", "traceloop.workflow.name": "weather",
					"traceloop.entity.input": `{"args":["Paris"]}`, "traceloop.entity.output": "14.5",
				}),
				newSpan(5, 2, says{"traceloop.span.kind": "task", "traceloop.entity.name": "tidy", "traceloop.association.properties.session_id": "s1"}),
				newSpan(2, 1, says{"traceloop.span.kind": "agent", "traceloop.entity.name": "Weatherman", "traceloop.workflow.name": "weather", "traceloop.entity.input": `{"question":"Weather in Paris?"}`}),
				newSpan(1, 0, says{"traceloop.span.kind": "workflow", "traceloop.entity.name": "weather", "traceloop.entity.output": "Mild."}),
			},
			want: []execution.Execution{
				execute(third, second, execution.Inference, func(e *execution.Execution) {
					e.AgentName, e.UserID, e.RequestID, e.Provider, e.Model = "Weatherman", "ada", "chatcmpl-1", "openai", "gpt-4o-2024-08-06"
					e.Tokens = execution.Tokens{Input: 40, Output: 10, CacheRead: 30, Reasoning: 4, Used: 50}
					e.Input = json.RawMessage(`[{"content":"Weather in Paris?","role":"user"},{"role":"assistant","tool_calls":[{"arguments":{"city":"Paris"},"name":"get_weather"}]},{"content":"14.5","role":"tool"}]`)
					e.Output = json.RawMessage(`[{"content":"Mild.","finish_reason":"stop","role":"assistant"}]`)
				}),
				execute("0404040404040404", second, execution.Tool, func(e *execution.Execution) {
					e.Input, e.Output = json.RawMessage(`{"tool":"get_weather","arguments":{"args":["Paris"]}}`), json.RawMessage(`"14.5"`)
				}),
				execute(second, first, execution.Agent, func(e *execution.Execution) {
					e.AgentName, e.Input = "Weatherman", json.RawMessage(`{"question":"Weather in Paris?"}`)
				}),
				execute(first, "", execution.Agent, func(e *execution.Execution) { e.AgentName, e.Output = "weather", json.RawMessage(`"Mild."`) }),
			},
		},
		"OpenInference": {
			spans: []*tracepb.Span{
				newSpan(2, 1, says{
					"openinference.span.kind": "LLM", "llm.provider": "azure", "llm.system": "openai", "llm.model_name": "gpt-4o", "user.id": "ada", "session.id": "s1",
					"llm.token_count.prompt": 40, "llm.token_count.completion": 10, "llm.token_count.total": 50,
					"llm.token_count.prompt_details.cache_read": 30, "llm.token_count.prompt_details.cache_write": 5, "llm.token_count.completion_details.reasoning": 4,
					"input.value": `{"model":"gpt-4o","messages":[]}`, "input.mime_type": "application/json",
					"llm.input_messages.0.message.role":                                  "user",
					"llm.input_messages.0.message.contents.0.message_content.type":       "text",
					"llm.input_messages.0.message.contents.0.message_content.text":       "Weather in Paris?",
					"llm.output_messages.0.message.role":                                 "assistant",
					"llm.output_messages.0.message.tool_calls.0.tool_call.id":            "call_1",
					"llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "get_weather",
				}),
				newSpan(3, 1, says{"openinference.span.kind": "TOOL", "tool.name": "get_weather", "input.value": `{"city":"Paris"}`, "output.value": "14.5"}),
				newSpan(4, 1, says{"openinference.span.kind": "RETRIEVER", "input.value": "Paris"}),
				newSpan(5, 1, says{"openinference.span.kind": "EMBEDDING", "embedding.model_name": "text-embedding-3-small", "embedding.embeddings.0.embedding.text": "Paris", "llm.token_count.prompt": 1}),
				newSpan(1, 0, says{"openinference.span.kind": "AGENT", "agent.name": "Weatherman", "input.value": "Weather in Paris?", "output.value": "Mild.", "llm.token_count.total": 50}),
			},
			want: []execution.Execution{
				execute(second, first, execution.Inference, func(e *execution.Execution) {
					e.UserID, e.SessionID, e.Provider, e.Model = "ada", "s1", "azure", "gpt-4o"
					e.Tokens = execution.Tokens{Input: 40, Output: 10, CacheRead: 30, CacheWrite: 5, Reasoning: 4, Used: 50}
					e.Input = json.RawMessage(`[{"contents":[{"text":"Weather in Paris?","type":"text"}],"role":"user"}]`)
					e.Output = json.RawMessage(`[{"role":"assistant","tool_calls":[{"function":{"name":"get_weather"},"id":"call_1"}]}]`)
				}),
				execute(third, first, execution.Tool, func(e *execution.Execution) {
					e.Input, e.Output = json.RawMessage(`{"tool":"get_weather","arguments":{"city":"Paris"}}`), json.RawMessage(`"14.5"`)
				}),
				execute("0505050505050505", first, execution.Inference, func(e *execution.Execution) {
					e.Model, e.Tokens, e.Input = "text-embedding-3-small", execution.Tokens{Input: 1, Used: 1}, json.RawMessage(`[{"text":"Paris"}]`)
				}),
				execute(first, "", execution.Agent, func(e *execution.Execution) {
					e.AgentName, e.Input, e.Output = "Weatherman", json.RawMessage(`"Weather in Paris?"`), json.RawMessage(`"Mild."`)
					e.Tokens = execution.Tokens{Used: 50} // including its calls'
				}),
			},
		},
		"the AI SDK, version 4": {
			spans: []*tracepb.Span{
				newSpan(2, 1, says{
					"operation.name": "ai.generateText.doGenerate weather", "ai.operationId": "ai.generateText.doGenerate", "ai.telemetry.functionId": "weather",
					"ai.telemetry.metadata.userId": "ada", "ai.telemetry.metadata.sessionId": "s1",
					"ai.model.provider": "openai.chat", "ai.model.id": "gpt-4o", "ai.prompt.messages": `[{"role":"user","content":"Weather in Paris?"}]`,
					"ai.response.toolCalls": `[{"toolName":"getWeather","args":"{}"}]`, "ai.response.text": "Let me look.", "ai.response.id": "chatcmpl-1", "ai.response.model": "gpt-4o-2024-08-06",
					"ai.usage.promptTokens": 40.0, "ai.usage.completionTokens": 10.0,
					"gen_ai.system": "openai.chat", "gen_ai.request.model": "gpt-4o", "gen_ai.response.model": "gpt-4o-2024-08-06", "gen_ai.response.id": "chatcmpl-1",
					"gen_ai.usage.input_tokens": 40.0, "gen_ai.usage.output_tokens": 10.0,
				}),
				newSpan(3, 2, says{"ai.operationId": "ai.toolCall", "ai.toolCall.name": "getWeather", "ai.toolCall.id": "call_1", "ai.toolCall.args": `{}`, "ai.toolCall.result": `{"degrees":14.5}`}),
				newSpan(1, 0, says{
					"ai.operationId": "ai.generateText", "ai.telemetry.functionId": "weather", "ai.telemetry.metadata.userId": "ada", "ai.model.provider": "openai.chat", "ai.model.id": "gpt-4o",
					"ai.prompt": `{"prompt":"Weather in Paris?"}`, "ai.response.text": "Mild.", "ai.usage.promptTokens": 40.0, "ai.usage.completionTokens": 10.0,
				}),
			},
			want: []execution.Execution{
				execute(second, first, execution.Inference, func(e *execution.Execution) {
					e.AgentName, e.UserID, e.SessionID, e.RequestID, e.Provider, e.Model = "weather", "ada", "s1", "chatcmpl-1", "openai", "gpt-4o-2024-08-06"
					e.Tokens = execution.Tokens{Input: 40, Output: 10, Used: 50}
					e.Input = json.RawMessage(`[{"role":"user","content":"Weather in Paris?"}]`)
					e.Output = json.RawMessage(`{"text":"Let me look.","toolCalls":[{"toolName":"getWeather","args":"{}"}]}`)
				}),
				execute(third, second, execution.Tool, func(e *execution.Execution) {
					e.Input, e.Output = json.RawMessage(`{"tool":"getWeather","arguments":{}}`), json.RawMessage(`{"degrees":14.5}`)
				}),
				execute(first, "", execution.Agent, func(e *execution.Execution) {
					e.AgentName, e.UserID, e.Input, e.Output = "weather", "ada", json.RawMessage(`{"prompt":"Weather in Paris?"}`), json.RawMessage(`"Mild."`)
					e.Tokens, e.Provider, e.Model = execution.Tokens{Input: 40, Output: 10, Used: 50}, "openai", "gpt-4o" // including its calls'
				}),
			},
		},
		"the AI SDK, version 6, only its own attributes": {
			spans: []*tracepb.Span{newSpan(1, 0, says{
				"ai.operationId": "ai.streamObject.doStream", "ai.model.provider": "anthropic.messages", "ai.model.id": "claude-opus-5", "ai.settings.context.userId": "ada",
				"ai.usage.inputTokens": 40, "ai.usage.outputTokens": 10, "ai.usage.totalTokens": 50, "ai.usage.cachedInputTokens": 30, "ai.usage.reasoningTokens": 4,
				"ai.response.object": `{"degrees":14.5}`,
			})},
			want: []execution.Execution{execute(first, "", execution.Inference, func(e *execution.Execution) {
				e.UserID, e.Provider, e.Model = "ada", "anthropic", "claude-opus-5"
				e.Tokens = execution.Tokens{Input: 40, Output: 10, CacheRead: 30, Reasoning: 4, Used: 50}
				e.Output = json.RawMessage(`{"object":{"degrees":14.5}}`)
			})},
		},
		"an instrumentation that says no more than it must": {
			spans: []*tracepb.Span{
				newSpan(1, 0, says{"gen_ai.system": "ollama", "gen_ai.request.model": "llama3"}),
				newSpan(2, 0, says{"gen_ai.tool.name": "get_weather"}),
				newSpan(3, 0, says{"gen_ai.operation.name": "sing", "gen_ai.request.model": "aria-1", "gen_ai.usage.output_tokens": 3}),
			},
			want: []execution.Execution{
				execute(first, "", execution.Inference, func(e *execution.Execution) { e.Provider, e.Model = "ollama", "llama3" }),
				execute(second, "", execution.Tool, func(e *execution.Execution) { e.Input = json.RawMessage(`{"tool":"get_weather"}`) }),
				execute(third, "", execution.Inference, func(e *execution.Execution) {
					e.Model, e.Tokens = "aria-1", execution.Tokens{Output: 3, Used: 3}
				}),
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			batch, partial := translated(t, exportOf(tt.spans...))
			if partial != nil {
				t.Errorf("rejected: %s", partial.GetErrorMessage())
			}
			for i := range tt.want { // a call's usage is known if it has tokens: see test/usage
				switch e := &tt.want[i]; {
				case e.Kind == execution.Agent:
				case e.Tokens.Used > 0:
					e.Usage = execution.UsageReported
				case e.Kind == execution.Inference:
					e.Usage = execution.UsageUnknown
				}
			}
			if diff := differ(tt.want, batch.Executions); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if len(batch.Spans) != len(tt.spans) {
				t.Errorf("%d places in the trace, not %d", len(batch.Spans), len(tt.spans))
			}
		})
	}
}

func withEvents(s *tracepb.Span, events ...*tracepb.Span_Event) *tracepb.Span {
	s.Events = events
	return s
}

func TestSpansIgnoredAsExecutions(t *testing.T) {
	t.Parallel()
	for name, attributes := range map[string]says{
		"a request over HTTP":                  {"http.request.method": "POST"},
		"the creation of an agent":             {"gen_ai.operation.name": "create_agent", "gen_ai.agent.name": "Weatherman", "gen_ai.request.model": "gpt-5", "gen_ai.provider.name": "openai"},
		"a step of an agent":                   {"gen_ai.operation.name": "agent_step"},
		"a plan":                               {"gen_ai.operation.name": "plan"},
		"a search in documents":                {"gen_ai.operation.name": "retrieval", "gen_ai.request.model": "text-embedding-3-small"},
		"a search in memory":                   {"gen_ai.operation.name": "search_memory"},
		"a task of OpenLLMetry":                {"traceloop.span.kind": "task", "traceloop.entity.name": "tidy"},
		"a chain's task of OpenLLMetry":        {"traceloop.span.kind": "task", "gen_ai.operation.name": "execute_task", "gen_ai.provider.name": "langchain"},
		"a guardrail of OpenInference":         {"openinference.span.kind": "GUARDRAIL", "llm.model_name": "gpt-5"},
		"a span that only names an agent":      {"gen_ai.agent.name": "Weatherman"},
		"a client whose attribute has no type": {"gen_ai.operation.name": nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			batch, partial := translated(t, exportOf(newSpan(1, 0, attributes)))
			if len(batch.Executions) != 0 || partial != nil {
				t.Errorf("became %v, %v", batch.Executions, partial)
			}
		})
	}
}

// TestUnreadSpans checks that spans that look like generative AI but are not understood are accepted with a
// warning.
func TestUnreadSpans(t *testing.T) {
	t.Parallel()
	for name, attributes := range map[string]says{
		"an operation that nobody knows": {"gen_ai.operation.name": "sing", "gen_ai.request.model": "aria-1", "gen_ai.provider.name": "opera"},
		"a kind that is no text":         {"openinference.span.kind": true},
		"a prompt alone":                 {"llm.prompts.0.content": "Hello"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			batch, partial := translated(t, exportOf(newSpan(1, 0, attributes)))
			const want = `spans that look like generative AI but do not say what they are were not stored as executions: 1 of "test"`
			if len(batch.Executions) != 0 || partial.GetRejectedSpans() != 0 || partial.GetErrorMessage() != want {
				t.Errorf("became %v, %v", batch.Executions, partial)
			}
		})
	}
}

// TestRoles checks the words for roles of each dialect, and new words formed like them.
func TestRoles(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		attributes says
		want       execution.Role
	}{
		"a graph of agents":              {says{"gen_ai.operation.name": "invoke_graph"}, execution.RoleRun},
		"an unknown run":                 {says{"gen_ai.operation.name": "invoke_hive"}, execution.RoleRun},
		"a cycle of an agent":            {says{"gen_ai.operation.name": "execute_event_loop_cycle"}, execution.RoleNone},
		"an unknown tool":                {says{"gen_ai.operation.name": "execute_remote_tool"}, execution.RoleTool},
		"an unknown call":                {says{"gen_ai.operation.name": "multimodal_chat", "gen_ai.request.model": "m"}, execution.RoleCall},
		"an unknown word without model":  {says{"gen_ai.operation.name": "chat_history"}, execution.RoleNone},
		"a generation of Langfuse":       {says{"langfuse.observation.type": "generation"}, execution.RoleCall},
		"an agent of Langfuse":           {says{"langfuse.observation.type": "agent"}, execution.RoleRun},
		"a span of Langfuse":             {says{"langfuse.observation.type": "span"}, execution.RoleNone},
		"a model of MLflow, with quotes": {says{"mlflow.spanType": `"CHAT_MODEL"`}, execution.RoleCall},
		"a chain of MLflow's":            {says{"gen_ai.operation.name": "CHAIN"}, execution.RoleStep},
		"a model of Genkit":              {says{"genkit:metadata:subtype": "model"}, execution.RoleCall},
		"a tool of Genkit for Go":        {says{"genkit:metadata:subtype": "tool.v2"}, execution.RoleTool},
		"a flow of Genkit":               {says{"genkit:metadata:subtype": "flow"}, execution.RoleStep},
		"a client of Spring":             {says{"gen_ai.operation.name": "framework", "spring.ai.kind": "chat_client"}, execution.RoleRun},
		"an advisor of Spring":           {says{"gen_ai.operation.name": "framework", "spring.ai.kind": "advisor"}, execution.RoleNone},
		"a dialect of nobody":            {says{"acme.observation.type": "LLM"}, execution.RoleCall},
		"a request that runs no model":   {says{"gen_ai.provider.name": "anthropic", "gen_ai.request.model": "m", "http.route": "/v1/messages/count_tokens"}, execution.RoleNone},
		"a request that does":            {says{"gen_ai.provider.name": "anthropic", "gen_ai.request.model": "m", "http.route": "/v1/messages"}, execution.RoleCall},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			batch, _ := translated(t, exportOf(newSpan(1, 9, tt.attributes)))
			if len(batch.Spans) != 1 || batch.Spans[0].Role != tt.want {
				t.Errorf("want %q, got %v", tt.want, batch.Spans)
			}
		})
	}
}

// TestNamesInAnyAttribute checks names in various places, and values that are not names.
func TestNamesInAnyAttribute(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		attributes                     says
		user, session, model, provider string
	}{
		"placeholders": {
			says{"user.id": "None", "session.id": "[Scrubbed due to 'session']", "gen_ai.response.model": "none", "gen_ai.request.model": "gpt-4o", "gen_ai.system": "spring_ai", "gen_ai.provider.name": "null"},
			"unknown", "", "gpt-4o", "spring_ai",
		},
		"the request's parameters": {
			says{"llm.invocation_parameters": `{"model":"gpt-4o","user":"ada","metadata":{"session_id":7}}`}, "ada", "7", "gpt-4o", "",
		},
		"metadata that is no object":       {says{"metadata": `{"user_id":`}, "unknown", "", "", ""},
		"metadata of another type":         {says{"metadata": `{"user_id":["ada"],"metadata":"x"}`}, "unknown", "", "", ""},
		"LangChain's metadata":             {says{"metadata": `{"user_id":"ada","thread_id":"t","ls_provider":"openai"}`}, "ada", "t", "", "openai"},
		"properties of an association":     {says{"traceloop.association.properties.chat_id": "c", "traceloop.association.properties.userId": "ada"}, "ada", "c", "", ""},
		"Mastra's metadata":                {says{"mastra.metadata.userId": "ada", "mastra.metadata.sessionId": "s"}, "ada", "s", "", ""},
		"the interface of a provider":      {says{"gen_ai.provider.name": "openai.chat"}, "unknown", "", "", "openai"},
		"a provider's own name with a dot": {says{"gen_ai.provider.name": "aws.bedrock"}, "unknown", "", "", "aws.bedrock"},
		"one of Google's names":            {says{"gen_ai.provider.name": "gcp.gen_ai"}, "unknown", "", "", "gcp.gemini"},
		"a provider behind a framework":    {says{"gen_ai.system": "litellm", "litellm.provider.model": "openai/gpt-4o"}, "unknown", "", "", "openai"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			batch, _ := translated(t, exportOf(newSpan(1, 0, tt.attributes.with(says{"gen_ai.operation.name": "chat"}))))
			if len(batch.Executions) != 1 {
				t.Fatal("no execution")
			}
			e := batch.Executions[0]
			got := [4]string{e.UserID, e.SessionID, e.Model, e.Provider}
			if want := [4]string{tt.user, tt.session, tt.model, tt.provider}; got != want {
				t.Errorf("want %q, got %q", want, got)
			}
		})
	}
}
