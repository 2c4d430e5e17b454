package otlp

import (
	"cmp"
	"encoding/hex"
	"strings"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/watchbill/watchbill/internal/execution"
)

const (
	traceIDSize = 16 // bytes
	spanIDSize  = 8
)

// span is a span whose ids are in order, and what was found out about it.
type span struct {
	sent       *tracepb.Span
	attributes attributes
	around     []attributes // of its scope and its resource, for names that it does not say itself
	traceID    string       // in lower-case hexadecimal, as all ids here
	id         string
	parentID   string // empty: it is the root
	scope      string // the instrumentation
	process    string // a digest of the resource
	role       role
	known      bool // role comes from what the span says
	hints      *hints
	parent     *span // nil where the export does not have it
	wraps      bool  // a model's call that only repeats what another within it says
}

// newSpan checks the ids.
func newSpan(sent *tracepb.Span, around []attributes, scope, process string) (*span, *fault) {
	s := &span{sent: sent, around: around, scope: scope, process: process}
	for _, id := range []struct {
		field    string
		sent     []byte
		size     int
		optional bool
		text     *string
	}{
		{"span_id", sent.GetSpanId(), spanIDSize, false, &s.id},
		{"trace_id", sent.GetTraceId(), traceIDSize, false, &s.traceID},
		{"parent_span_id", sent.GetParentSpanId(), spanIDSize, true, &s.parentID},
	} {
		switch {
		case id.optional && allZero(id.sent):
		case len(id.sent) != id.size:
			return nil, &fault{shownID(sent.GetSpanId()), id.field, "has the wrong length"}
		case allZero(id.sent):
			return nil, &fault{shownID(sent.GetSpanId()), id.field, "is all zeros"}
		default:
			*id.text = hex.EncodeToString(id.sent)
		}
	}
	if s.parentID == s.id {
		return nil, &fault{s.id, "parent_span_id", "is the span's own"}
	}
	s.attributes = collect(sent.GetAttributes())
	s.role, s.known = roleOf(sent.GetName(), scope, s.attributes)
	return s, nil
}

func allZero(id []byte) bool {
	for _, b := range id {
		if b != 0 {
			return false
		}
	}
	return true
}

func shownID(id []byte) string {
	if len(id) == 0 {
		return "without an id"
	}
	return hex.EncodeToString(id[:min(len(id), 2*spanIDSize)])
}

// user is who asked for it, as far as the span, its scope or its resource says.
func (s *span) user() string {
	return cmp.Or(s.attributes.name(execution.MaxUser, userNames...), s.hinted().user, s.nearby(execution.MaxUser, userNames))
}

func (s *span) session() string {
	return cmp.Or(s.attributes.name(execution.MaxUser, sessionNames...), s.hinted().session, s.nearby(execution.MaxUser, sessionNames))
}

// agent is the name of the agent that the span is a run of, or that it says it belongs to. isDefault reports that the name is
// its framework's, or a workflow's, so that an agent below it has the better one.
func (s *span) agent() (name string, isDefault bool) {
	if name = s.attributes.name(execution.MaxName, agentNames[0]); name == "" {
		name = s.attributes.name(execution.MaxName, agentNames[1:]...)
		isDefault = name != "" && s.attributes.has("gen_ai.workflow.name") && !s.attributes.has("agent.name")
	}
	if name == "" {
		if name = s.ownName(); name != "" {
			isDefault = s.attributes.text("traceloop.span.kind") != "agent" && !strings.HasPrefix(s.sent.GetName(), "Agent run:")
		}
	}
	name = cmp.Or(name, s.hinted().agent, s.nearby(execution.MaxName, agentNames))
	if name != "" && s.role == agentRun {
		isDefault = isDefault || s.attributes.text("gen_ai.operation.name") == "invoke_workflow" || isDefaultName(name)
	}
	return name, isDefault
}

func (s *span) nearby(most int, names []string) string {
	for _, around := range s.around {
		if name := around.name(most, names...); name != "" {
			return name
		}
	}
	return ""
}

// ownName is an agent's name where no attribute is there only to say it.
func (s *span) ownName() string {
	switch {
	case s.role == agentRun:
		name := cmp.Or(
			s.attributes.name(execution.MaxName, traceloopNames...),
			s.attributes.name(execution.MaxName, "gen_ai.agent.id"))
		if conversation, is := strings.CutPrefix(name, "conversation."); is && conversation == s.session() {
			return "" // a name for each conversation is no agent's
		}
		if name == "" && strings.HasPrefix(s.scope, "logfire") {
			name = s.attributes.name(execution.MaxName, "name")
		}
		if name == "" && s.namedBySpan() {
			name = toName(agentOfMethod(s.sent.GetName()), execution.MaxName)
		}
		return name
	case s.role == chain && s.parentID == "":
		return cmp.Or(
			s.attributes.name(execution.MaxName, "langsmith.trace.name", "genkit:name"),
			s.hinted().agent,
			toName(s.sent.GetName(), execution.MaxName))
	}
	return ""
}

// namedBySpan reports whether the span's dialect names a run by its span alone.
func (s *span) namedBySpan() bool {
	return s.attributes.has("openinference.span.kind", "langfuse.observation.type", "mlflow.spanType")
}

// executes says whether the span is an execution, and of which kind.
func (s *span) executes() (kind execution.Kind, ok bool) {
	switch s.role {
	case agentRun, chain:
		return execution.Agent, true
	case modelCall:
		if s.wraps {
			return execution.Agent, true
		}
		return execution.Inference, true
	case toolUse:
		return execution.Tool, true
	}
	return "", false
}

// attribute is one of the span, or of an event that tells what was said to the model and by it.
func (s *span) attribute(name string) *commonpb.AnyValue {
	if value, said := s.attributes[name]; said {
		return value
	}
	for _, event := range s.sent.GetEvents() {
		if !isContent(event.GetName()) {
			continue
		}
		for _, pair := range event.GetAttributes() {
			if pair.GetKey() == name && pair.GetValue().GetValue() != nil {
				return pair.GetValue()
			}
		}
	}
	return nil
}
