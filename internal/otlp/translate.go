package otlp

import (
	"cmp"
	"math"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/watchbill/watchbill/internal/execution"
)

// translation is what an export comes to.
type translation struct {
	batch     execution.Batch
	faults    []fault
	backwards int // spans that ended before they began, or do not say when they ended
	unread    []unread
	missed    []string // names of counts that are not known
}

// translate makes executions of an export's spans.
func translate(export *collectorpb.ExportTraceServiceRequest) translation {
	var t translation
	spans := t.spans(export)
	executing, seen := map[string]bool{}, make(map[spanKey]bool, len(spans))
	executions := 0
	for _, s := range spans {
		if _, executes := s.executes(); executes {
			executing[s.traceID] = true
			executions++
		}
	}
	t.batch.Executions, t.batch.Spans = make([]execution.Execution, 0, executions), make([]execution.Span, 0, len(spans))
	for _, s := range spans {
		kind, executes := s.executes()
		place := execution.Span{
			TraceID: s.traceID, SpanID: s.id, ParentSpanID: s.parentID,
			User: s.user(), Session: s.session(),
			Execution: executes, StartedAt: timeOf(s.sent.GetStartTimeUnixNano()), EndedAt: timeOf(s.sent.GetEndTimeUnixNano()),
			Role: s.executionRole(), ResponseID: s.responseID(), Scope: s.scope, Process: s.process,
		}
		place.Agent, place.DefaultName = s.agent()
		if !executes {
			t.noteUnread(s)
			if s.sent.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR {
				place.Status, _ = statusOf(s)
			}
		}
		if executes {
			e, wrong := t.execution(s, kind, place)
			if wrong != nil {
				wrong.span = s.id
				t.faults = append(t.faults, *wrong)
				continue
			}
			place.Status = e.Status
			if kind == execution.Agent && e.Status == execution.Success && e.Output == nil && s.sent.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_UNSET {
				place.Status = "" // it does not say how it ended
			}
			t.batch.Executions = append(t.batch.Executions, e)
		}
		// A span without a parent that names nobody and did not fail, in a trace without executions, leads nowhere.
		tells := place.Agent != "" || place.User != "" || place.Session != "" || place.Status != ""
		key := spanKey{s.traceID, s.id}
		if !seen[key] && (executes || tells || s.parentID != "" || executing[s.traceID]) {
			t.batch.Spans = append(t.batch.Spans, place)
		}
		seen[key] = true
	}
	return t
}

// spanKey tells spans of one export apart.
type spanKey struct{ traceID, id string }

// spans are those whose ids are in order.
func (t *translation) spans(export *collectorpb.ExportTraceServiceRequest) []*span {
	var spans []*span
	for _, ofResource := range export.GetResourceSpans() {
		resource := collect(ofResource.GetResource().GetAttributes())
		process := processOf(ofResource.GetResource().GetAttributes())
		for _, ofScope := range ofResource.GetScopeSpans() {
			scope := toName(ofScope.GetScope().GetName(), execution.MaxName)
			around := []attributes{collect(ofScope.GetScope().GetAttributes()), resource}
			for _, sent := range ofScope.GetSpans() {
				s, wrong := newSpan(sent, around, scope, process)
				if wrong != nil {
					t.faults = append(t.faults, *wrong)
					continue
				}
				spans = append(spans, s)
			}
		}
	}
	return spans
}

// execution makes an execution of a span. Whom it belongs to stays unknown where the span does not say: those above it may,
// in this export or in a later one.
func (t *translation) execution(s *span, kind execution.Kind, place execution.Span) (execution.Execution, *fault) {
	e := execution.Execution{
		ID:           s.traceID + "-" + s.id,
		CreatedAt:    place.StartedAt,
		UserID:       cmp.Or(place.User, execution.Unknown),
		SessionID:    place.Session,
		RequestID:    cmp.Or(s.attributes.name(execution.MaxUser, requestNames...), s.traceID),
		AgentName:    cmp.Or(place.Agent, execution.Unknown),
		Kind:         kind,
		TraceID:      s.traceID,
		SpanID:       s.id,
		ParentSpanID: s.parentID,
		Duration:     t.duration(s),
		Request:      kind != execution.Tool,
	}
	e.Status, e.ErrorMessage = statusOf(s)
	if kind == execution.Inference {
		e.Model = s.model()
		e.Provider = s.provider()
	}
	e.Input, e.Output = contentOf(s, kind)
	if kind == execution.Inference {
		if wrong := t.account(s, &e); wrong != nil {
			return execution.Execution{}, wrong
		}
	}
	if kind == execution.Agent {
		s.accountRun(&e)
	}
	return e, nil
}

// duration is how long the span took.
func (t *translation) duration(s *span) time.Duration {
	start, end := s.sent.GetStartTimeUnixNano(), s.sent.GetEndTimeUnixNano()
	if end < start || end == 0 {
		t.backwards++
		return 0
	}
	return time.Duration(min(end-start, math.MaxInt64)).Truncate(time.Microsecond)
}

// timeOf is a time in nanoseconds since 1970. All that a uint64 holds is in the calendar, unlike what an int64 would hold of it.
func timeOf(nanos uint64) time.Time {
	const second = uint64(time.Second)
	return time.Unix(int64(nanos/second), int64(nanos%second)).UTC().Truncate(time.Microsecond)
}
