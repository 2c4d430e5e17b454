package otlp

import (
	"cmp"
	"slices"
	"strings"

	"github.com/watchbill/watchbill/internal/execution"
)

// agent returns the name of the agent that the span is a run of, or that its attributes name. isDefault reports whether
// it is the name of a framework or workflow: then the name of an agent below it takes precedence.
func (s *span) agent() (name string, isDefault bool) {
	if name = s.attributes.name(execution.MaxName, agentNames[0]); name == "" {
		name = s.attributes.name(execution.MaxName, agentNames[1:]...)
		isDefault = name != "" && s.attributes.has("gen_ai.workflow.name") && !s.attributes.has("agent.name")
	}
	if name == "" {
		name = cmp.Or(s.node(), s.hinted().agent)
	}
	if name == "" {
		if name = s.ownName(); name != "" {
			isDefault = s.attributes.text("traceloop.span.kind") != "agent" && !strings.HasPrefix(s.sent.GetName(), "Agent run:") &&
				!s.attributes.has("crew_key")
		}
	}
	if name == "" {
		name = cmp.Or(s.hinted().graph, s.around.agent)
	}
	if name != "" && s.role == agentRun {
		isDefault = isDefault || s.attributes.text("gen_ai.operation.name") == "invoke_workflow"
	}
	if name != "" && (s.role == agentRun || s.role == chain) {
		isDefault = isDefault || isDefaultName(name)
	}
	return name, isDefault
}

// node returns the name that OpenInference gives an agent as a node of a graph: its name, or its id if the span is
// named after it.
func (s *span) node() string {
	if s.role != agentRun {
		return ""
	}
	if name := s.attributes.name(execution.MaxName, "graph.node.name"); name != "" {
		return name
	}
	if id := s.attributes.name(execution.MaxName, "graph.node.id"); id != "" && strings.HasPrefix(s.sent.GetName(), id) {
		return id
	}
	return ""
}

// ownName returns an agent's name from attributes that also have other uses, or from the span's name.
func (s *span) ownName() string {
	switch {
	case s.role == agentRun:
		name := cmp.Or(
			s.attributes.name(execution.MaxName, traceloopNames...),
			s.attributes.name(execution.MaxName, "gen_ai.agent.id"))
		if conversation, is := strings.CutPrefix(name, "conversation."); is && conversation == s.session() {
			return "" // a name per conversation is not an agent's
		}
		if name == "" && strings.HasPrefix(s.scope, "logfire") {
			name = s.attributes.name(execution.MaxName, "name")
		}
		if name == "" && s.namedBySpan() {
			name = s.spanName()
		}
		return name
	case s.role == chain && s.parentID == "":
		return cmp.Or(
			s.attributes.name(execution.MaxName, "langsmith.trace.name", "genkit:name"),
			s.hinted().graph,
			s.spanName())
	}
	return ""
}

// namedBySpan reports whether the span's dialect names runs only in the span's name.
func (s *span) namedBySpan() bool {
	return s.attributes.has("openinference.span.kind", "langfuse.observation.type", "mlflow.spanType")
}

// spanName returns the name in the span's own name.
func (s *span) spanName() string {
	name := toName(agentOfMethod(s.sent.GetName()), execution.MaxName)
	if isPlaceholder(name) {
		return ""
	}
	return name
}

// runMethods are the prefixes of methods that run an agent.
var runMethods = []string{"run", "arun", "invoke", "ainvoke", "stream", "astream", "kickoff", "execute", "on_messages", "forward", "aforward"}

// agentOfMethod returns the agent in a span's name of the form agent.method, such as weather_agent.on_messages_stream.
func agentOfMethod(name string) string {
	dot := strings.LastIndexByte(name, '.')
	if dot <= 0 {
		return name
	}
	method := strings.TrimLeft(name[dot+1:], "_")
	if slices.ContainsFunc(runMethods, func(verb string) bool { return method == verb || strings.HasPrefix(method, verb+"_") }) {
		return name[:dot]
	}
	return name
}

// defaultNames are the names that frameworks give to unnamed agents, and to users.
var defaultNames = []string{
	"agent workflow", "langgraph", "agent", "assistant", "workflow", "agentexecutor", "functionagent", "graph", "swarm", "crew", "pipeline",
	"runnablesequence", "team", "chain", "flow", "user", "human", "user_proxy", "userproxy", "userproxyagent",
}

func isDefaultName(name string) bool {
	for _, one := range defaultNames {
		if strings.EqualFold(name, one) {
			return true
		}
	}
	return false
}
