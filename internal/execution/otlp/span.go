package otlp

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"strings"

	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"github.com/watchbill/watchbill/internal/execution"
)

const (
	traceIDSize = 16 // bytes
	spanIDSize  = 8
)

// span is a span with valid ids, and what was derived from it.
type span struct {
	sent       *tracepb.Span
	attributes attributes
	around     *around
	work       *workspace // nil if the span is not in one

	traceID     string // in lower-case hexadecimal, like all ids here
	id          string
	parentID    string // empty for a root
	executionID string
	requestID   string // from the provider

	scope   string // the instrumentation
	process string // a digest of the resource
	role    role
	known   bool // the span itself shows its role
	hints   hints
	hinting bool // hints are set
}

// checkIDs returns the fault in a span's ids, or nil.
func checkIDs(sent *tracepb.Span) *rejection {
	for _, id := range [...]struct {
		field    string
		sent     []byte
		size     int
		optional bool
	}{
		{"span_id", sent.GetSpanId(), spanIDSize, false},
		{"trace_id", sent.GetTraceId(), traceIDSize, false},
		{"parent_span_id", sent.GetParentSpanId(), spanIDSize, true},
	} {
		switch zero := allZero(id.sent); {
		case id.optional && zero:
		case len(id.sent) != id.size:
			return &rejection{shownID(sent.GetSpanId()), id.field, "has the wrong length"}
		case zero:
			return &rejection{shownID(sent.GetSpanId()), id.field, "is all zeros"}
		}
	}
	if bytes.Equal(sent.GetParentSpanId(), sent.GetSpanId()) {
		return &rejection{shownID(sent.GetSpanId()), "parent_span_id", "is the span's own"}
	}
	return nil
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

// user returns the user that the span, its scope or its resource names.
func (s *span) user() string {
	if name := s.attributes.name(execution.MaxUser, userNames...); name != "" {
		return name
	}
	return cmp.Or(s.hinted().user, s.around.user)
}

func (s *span) session() string {
	if name := s.attributes.name(execution.MaxUser, sessionNames...); name != "" {
		return name
	}
	return cmp.Or(s.hinted().session, s.around.session)
}

// around is what a scope and its resource name for spans that do not name it themselves.
type around struct{ user, session, agent, region string }

func newAround(scope, resource *attributes) *around {
	first := func(limit int, names []string) string {
		if name := scope.name(limit, names...); name != "" {
			return name
		}
		return resource.name(limit, names...)
	}
	return &around{
		user: first(execution.MaxUser, userNames), session: first(execution.MaxUser, sessionNames),
		agent: first(execution.MaxName, agentNames), region: strings.ToLower(first(maxRegion, regionNames)),
	}
}

// executes reports whether the span is an execution, and returns its kind.
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

// attribute returns an attribute of the span, or of an event with messages to or from a model.
func (s *span) attribute(name string) *commonpb.AnyValue {
	if value := s.attributes.value(name); value != nil {
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
