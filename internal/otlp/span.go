package otlp

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"slices"
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
	role       role
	scope      string // the instrumentation's name
	process    string // of what ran it
}

// newSpan checks the ids.
func newSpan(sent *tracepb.Span, around []attributes) (*span, *fault) {
	s := &span{sent: sent, around: around}
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
	s.role = roleOf(s.attributes)
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

func (s *span) user() string    { return s.named(execution.MaxUser, userNames) }
func (s *span) session() string { return s.named(execution.MaxUser, sessionNames) }

// agent is the name of the agent that the span is a run of, or that it says it belongs to.
func (s *span) agent() string {
	return cmp.Or(
		s.attributes.name(execution.MaxName, agentNames...),
		s.ownName(),
		s.nearby(execution.MaxName, agentNames))
}

// named is the first of the names that the span says, or else its scope or its resource.
func (s *span) named(most int, names []string) string {
	return cmp.Or(s.attributes.name(most, names...), s.nearby(most, names))
}

func (s *span) nearby(most int, names []string) string {
	for _, around := range s.around {
		if name := around.name(most, names...); name != "" {
			return name
		}
	}
	return ""
}

// agentNamesOnly are the names that are an agent's, and not a workflow's around it.
var agentNamesOnly = slices.DeleteFunc(slices.Clone(agentNames), func(name string) bool { return name == "gen_ai.workflow.name" })

// defaultName reports whether a run's name is not there to name an agent: a workflow's or the span's own.
func (s *span) defaultName() bool {
	if s.role != agentRun && s.role != chain || s.attributes.name(execution.MaxName, agentNamesOnly...) != "" {
		return false
	}
	return s.attributes.text("traceloop.span.kind") != "agent" && !s.attributes.has("gen_ai.agent.id")
}

// stands is the role in the store's words.
func (s *span) stands() execution.Role {
	switch s.role {
	case agentRun:
		return execution.RoleRun
	case chain:
		return execution.RoleStep
	case modelCall:
		return execution.RoleCall
	case toolUse:
		return execution.RoleTool
	}
	return execution.RoleNone
}

// responseID is the provider's id of a call's answer.
func (s *span) responseID() string {
	if s.role != modelCall {
		return ""
	}
	if id := s.attributes.name(execution.MaxUser, requestNames...); id != "" {
		return id
	}
	return toName(topID(s.attributes.text("output.value")), execution.MaxUser)
}

// topID is the id that a JSON object has among its first members; empty: none.
func topID(document string) string {
	const members = 4
	if !strings.HasPrefix(document, "{") {
		return ""
	}
	decoder := json.NewDecoder(strings.NewReader(document))
	if _, err := decoder.Token(); err != nil {
		return ""
	}
	for range members {
		key, err := decoder.Token()
		if err != nil {
			return ""
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return ""
		}
		if key == "id" {
			var id string
			if json.Unmarshal(value, &id) != nil {
				return ""
			}
			return id
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
		if name == "" && s.attributes.has("openinference.span.kind") {
			name = toName(s.sent.GetName(), execution.MaxName)
		}
		return name
	case s.role == chain && s.parentID == "":
		return toName(s.sent.GetName(), execution.MaxName)
	}
	return ""
}

// executes says whether the span is an execution, and of which kind.
func (s *span) executes() (kind execution.Kind, ok bool) {
	switch s.role {
	case agentRun, chain:
		return execution.Agent, true
	case modelCall:
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

// provider is whose model it is. Some write a name with a capital letter and some without; the AI SDK adds the interface
// that it uses, as in openai.chat.
func (s *span) provider() string {
	name := s.attributes.text(providerNames...)
	if sdk := s.attributes.text("ai.model.provider"); sdk != "" {
		name, _, _ = strings.Cut(sdk, ".")
	}
	return toName(strings.ToLower(name), execution.MaxProvider)
}
