package otlp_test

import (
	"testing"

	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"github.com/watchbill/watchbill/internal/execution"
)

// TestRunUsage checks usage that runs report for themselves and their calls.
func TestRunUsage(t *testing.T) {
	t.Parallel()
	agent := says{"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "weather_agent"}
	for name, tt := range map[string]struct {
		says  says
		want  execution.Tokens
		model string
	}{
		"by attributes": {
			agent.with(says{"gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 40, "gen_ai.usage.output_tokens": 2}),
			execution.Tokens{Input: 40, Output: 2, Used: 42},
			"gpt-4o",
		},
		"by an object of metrics": {
			agent.with(says{"crewai.crew.usage_metrics": "{'total_tokens': 42, 'prompt_tokens': 40, 'cached_prompt_tokens': 30, 'completion_tokens': 2, 'successful_requests': 2}"}),
			execution.Tokens{Input: 40, Output: 2, CacheRead: 30, Used: 42},
			"",
		},
		"with a count that is wrong": {
			agent.with(says{"gen_ai.usage.input_tokens": -1, "gen_ai.usage.output_tokens": 2}),
			execution.Tokens{},
			"",
		},
		"not at all": {agent.with(says{"gen_ai.request.model": "gpt-4o"}), execution.Tokens{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			batch, partial := translated(t, exportOf([]*tracepb.Span{newSpan(1, 0, tt.says)}...))
			if partial != nil || len(batch.Executions) != 1 {
				t.Fatalf("got %d executions, %v", len(batch.Executions), partial)
			}
			if e := batch.Executions[0]; e.Tokens != tt.want || e.Model != tt.model || e.Kind != execution.Agent {
				t.Errorf("got %+v of %q", e.Tokens, e.Model)
			}
		})
	}
}

// TestRunsNamedBySpansAlone checks spans that failed before their instrumentation set their attributes.
func TestRunsNamedBySpansAlone(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		span, scope string
		says        says
		want        execution.Kind // empty if it is not an execution
	}{
		"a workflow":                    {"invoke_workflow weather_agent", "openlit.instrumentation.langgraph", says{"gen_ai.workflow.name": "weather_agent", "error.type": "RateLimitError"}, execution.Agent},
		"an agent":                      {"invoke_agent weather_agent", "opentelemetry.instrumentation.genai.langchain", says{"gen_ai.agent.name": "weather_agent"}, execution.Agent},
		"a tool":                        {"execute_tool get_weather", "opentelemetry.instrumentation.genai.langchain", says{"error.type": "ValueError"}, execution.Tool},
		"a call":                        {"chat gpt-4o", "openlit.instrumentation.openai", says{"error.type": "RateLimitError"}, execution.Inference},
		"an agent that is registered":   {"create_agent weather_agent", "openlit.instrumentation.langgraph", says{"gen_ai.agent.name": "weather_agent"}, ""},
		"the same words elsewhere":      {"invoke_agent weather_agent", "acme.travel", says{"error.type": "ValueError"}, ""},
		"a span that says what it does": {"execute_tool get_weather", "openlit.instrumentation.langgraph", says{"http.request.method": "POST"}, ""},
		"an operation of nobody":        {"invoke_agent", "openlit.instrumentation.langgraph", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			span := newSpan(1, 0, tt.says)
			span.Name = tt.span
			export := exportOf(span)
			export.ResourceSpans[0].ScopeSpans[0].Scope.Name = tt.scope
			batch, _ := translated(t, export)
			var got execution.Kind
			if len(batch.Executions) == 1 {
				got = batch.Executions[0].Kind
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
