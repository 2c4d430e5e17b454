package otlp_test

import (
	"strings"
	"testing"

	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"
)

// TestNamesByRule checks users, sessions and agents in attributes that no convention defines, and attributes that only
// look like them.
func TestNamesByRule(t *testing.T) {
	t.Parallel()
	agent := says{"gen_ai.operation.name": "invoke_agent"}
	node := says{"openinference.span.kind": "AGENT"}
	for name, tt := range map[string]struct {
		span                 string // its name
		says                 says
		agent, user, session string // empty if none
		isDefault            bool
	}{
		"an association":              {says: agent.with(says{"traceloop.association.properties.user_id": "ada", "traceloop.association.properties.chat_id": "s1"}), user: "ada", session: "s1"},
		"metadata of Mastra":          {says: agent.with(says{"mastra.metadata.userId": "ada", "mastra.metadata.sessionId": "s1"}), user: "ada", session: "s1"},
		"memory of Mastra":            {says: agent.with(says{"mastra.metadata.resourceId": "ada"}), user: "ada"},
		"Mastra's user goes first":    {says: agent.with(says{"mastra.metadata.resourceId": "org", "mastra.metadata.userId": "ada"}), user: "ada"},
		"metadata of LangSmith":       {says: agent.with(says{"langsmith.metadata.user_id": "ada", "langsmith.metadata.thread_id": "s1"}), user: "ada", session: "s1"},
		"metadata of the AI SDK":      {says: says{"ai.operationId": "ai.generateText", "ai.telemetry.metadata.userId": "ada", "ai.telemetry.metadata.sessionId": "s1"}, user: "ada", session: "s1"},
		"a trace's user of Langfuse":  {says: says{"langfuse.observation.type": "agent", "langfuse.user.id": "ada", "langfuse.session.id": "s1"}, span: "clerk", agent: "clerk", user: "ada", session: "s1", isDefault: true},
		"an id that is a number":      {says: agent.with(says{"acme.user_id": 7}), user: "7"},
		"a dialect that is not known": {says: agent.with(says{"acme.run.endUserId": "ada", "acme:conversationId": "s1", "acme.agent_name": "clerk"}), agent: "clerk", user: "ada", session: "s1"},
		"bare names":                  {says: agent.with(says{"user_id": "ada", "session_id": "s1", "agent_name": "clerk"}), agent: "clerk", user: "ada", session: "s1"},
		"the ADK's session":           {says: agent.with(says{"gcp.vertex.agent.session_id": "s1"}), session: "s1"},
		"metadata in JSON":            {says: agent.with(says{"metadata": `{"user_id":"ada","thread_id":"s1","depth":{"user_id":"eve"}}`}), user: "ada", session: "s1"},
		"metadata of an unknown name": {says: agent.with(says{"acme.run_metadata": `{"endUserId":"ada","chatId":7}`}), user: "ada", session: "7"},
		"parameters of a request":     {says: chat.with(says{"llm.invocation_parameters": `{"model":"gpt-4o","metadata":{"user_id":"ada"}}`}), user: "ada"},
		"a safety identifier":         {says: chat.with(says{"llm.invocation_parameters": `{"safety_identifier":"ada"}`}), user: "ada"},
		"members that are no names":   {says: agent.with(says{"metadata": `{"user_id":{"a":1},"user":["ada"],"session_id":null,"userId":true}`})},
		"metadata that is broken":     {says: agent.with(says{"metadata": `{"user_id":"ada"`})},
		"metadata that is very long":  {says: agent.with(says{"metadata": `{"user_id":"ada","x":"` + strings.Repeat("x", 16<<10) + `"}`})},
		"metadata that is deep":       {says: agent.with(says{"metadata": `{"user":"ada","x":` + strings.Repeat(`{"x":`, 2000) + "1" + strings.Repeat("}", 2000) + "}"}), user: "ada"},
		"what systems have":           {says: agent.with(says{"thread.id": 7, "db.user.id": "root", "messaging.message.conversation_id": "m", "os.user_id": "root", "process.session_id": "1"})},
		"other ids":                   {says: agent.with(says{"gen_ai.response.id": "r", "superuser_ids": "root", "acme.reuserid": "x", "obsession.id": "x", "acme.usergrid": "x"})},
		"what libraries write for none": {says: agent.with(says{
			"user.id": "none", "enduser.id": " ", "traceloop.association.properties.user_id": "undefined", "acme.userId": "[object Object]", "metadata": `{"user_id":"null"}`,
			"session.id": "[Scrubbed due to 'session']", "gen_ai.conversation.id": "None", "gen_ai.agent.name": "N/A", "agent.name": "", "agent_name": "null",
		})},
		"people with such names": {says: agent.with(says{"user.id": "none-of-the-above", "session.id": "nullable", "gen_ai.agent.name": "Unknown Caller"}), agent: "Unknown Caller", user: "none-of-the-above", session: "nullable"},

		"an agent as a node":               {span: "clerk", says: node.with(says{"graph.node.id": "clerk"}), agent: "clerk"},
		"a node with a method":             {span: "clerk._execute_core", says: node.with(says{"graph.node.id": "clerk"}), agent: "clerk"},
		"a node with a name and a number":  {span: "clerk.run", says: node.with(says{"graph.node.id": "1b3482bf", "graph.node.name": "clerk"}), agent: "clerk"},
		"a node that has only a number":    {span: "clerk.run", says: node.with(says{"graph.node.id": "1b3482bf"}), agent: "clerk", isDefault: true},
		"a node that is a default":         {span: "Agent workflow", says: node.with(says{"graph.node.id": "Agent workflow"}), agent: "Agent workflow", isDefault: true},
		"a span's name with a method":      {span: "clerk.arun", says: node, agent: "clerk", isDefault: true},
		"a span's name with another dot":   {span: "clerk.v2", says: node, agent: "clerk.v2", isDefault: true},
		"a span without a name":            {span: "null", says: node},
		"a crew":                           {span: "my_crew.kickoff", says: says{"openinference.span.kind": "CHAIN", "crew_key": "k"}, agent: "my_crew"},
		"a crew without a name":            {span: "Crew.kickoff", says: says{"openinference.span.kind": "CHAIN", "crew_key": "k"}, agent: "Crew", isDefault: true},
		"a workflow":                       {says: says{"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": "trip"}, agent: "trip", isDefault: true},
		"a tool's node is no agent's name": {span: "clerk", says: says{"openinference.span.kind": "TOOL", "graph.node.id": "clerk"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSpan(1, 0, tt.says)
			s.Name = tt.span
			batch, _ := translated(t, exportOf([]*tracepb.Span{s}...))
			if len(batch.Spans) != 1 {
				t.Fatalf("%d spans", len(batch.Spans))
			}
			got := batch.Spans[0]
			if got.Agent != tt.agent || got.User != tt.user || got.Session != tt.session || got.DefaultName != tt.isDefault {
				t.Errorf("agent %q (default %v), user %q, session %q", got.Agent, got.DefaultName, got.User, got.Session)
			}
		})
	}
}
