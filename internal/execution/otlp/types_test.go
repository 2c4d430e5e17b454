package otlp_test

import (
	"testing"

	"github.com/watchbill/watchbill/internal/execution"
)

// TestAttributeTypes checks attributes that VoltAgent shares with systems that trace all kinds of things.
func TestAttributeTypes(t *testing.T) {
	t.Parallel()
	agent := says{"entity.type": "agent", "entity.name": "clerk"}
	for name, tt := range map[string]struct {
		says says
		want execution.Kind // empty if none
	}{
		"a call of a model":             {agent.with(says{"span.type": "llm", "llm.model": "gpt-4o", "llm.usage.prompt_tokens": 5}), execution.Inference},
		"a call that failed":            {agent.with(says{"span.type": "llm", "llm.model": "gpt-4o"}), execution.Inference},
		"a use of a tool":               {agent.with(says{"span.type": "tool", "tool.name": "get_weather"}), execution.Tool},
		"a run of an agent":             {agent.with(says{"agent.state": "completed"}), execution.Agent},
		"another part of an agent":      {agent.with(says{"span.type": "memory", "agent.state": "completed"}), ""},
		"an entity of a shop":           {says{"entity.type": "agent", "entity.name": "Smith & Sons"}, ""},
		"a function of a server":        {says{"span.type": "function", "faas.name": "resize"}, ""},
		"a job of a pipeline":           {says{"span.type": "workflow", "ci.pipeline": "main"}, ""},
		"a web server's request":        {says{"span.type": "web", "span.kind": "server"}, ""},
		"a word for a model, with none": {says{"span.type": "model", "sku": "T"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			batch, _ := translated(t, exportOf(newSpan(1, 0, tt.says)))
			var got execution.Kind
			for _, e := range batch.Executions {
				got = e.Kind
			}
			if got != tt.want {
				t.Errorf("%q, not %q", got, tt.want)
			}
			if got == execution.Agent && batch.Executions[0].AgentName != "clerk" {
				t.Errorf("the agent is %q", batch.Executions[0].AgentName)
			}
		})
	}
}
