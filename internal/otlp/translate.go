package otlp

import (
	"cmp"
	"math"
	"strings"
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

// translate makes executions of an export's spans. Nothing in them is a part of the export, which may be large.
func translate(export *collectorpb.ExportTraceServiceRequest) translation {
	w := workspaces.Get().(*workspace)
	defer w.release()
	var t translation
	w.collect(export, &t)
	executions := 0
	for i := range w.spans {
		if _, executes := w.spans[i].executes(); executes {
			executions++
		}
	}
	t.batch.Executions, t.batch.Spans = make([]execution.Execution, 0, executions), make([]execution.Span, 0, len(w.spans))
	for i := range w.spans {
		s := &w.spans[i]
		kind, executes := s.executes()
		place := execution.Span{
			TraceID: s.traceID, SpanID: s.id, ParentSpanID: s.parentID,
			User: w.texts.keep(s.user()), Session: w.texts.keep(s.session()),
			Execution: executes, StartedAt: timeOf(s.sent.GetStartTimeUnixNano()), EndedAt: timeOf(s.sent.GetEndTimeUnixNano()),
			Role: s.executionRole(), ResponseID: w.texts.keep(s.responseID()), Scope: s.scope, Process: s.process,
		}
		agent, isDefault := s.agent()
		place.Agent, place.DefaultName = w.texts.keep(agent), isDefault
		if !executes {
			t.noteUnread(s)
			if s.sent.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR {
				place.Status, _ = statusOf(s)
			}
		}
		if executes {
			t.batch.Executions = append(t.batch.Executions, execution.Execution{})
			e := &t.batch.Executions[len(t.batch.Executions)-1]
			if wrong := t.execution(s, kind, &place, e); wrong != nil {
				wrong.span, wrong.field = s.id, strings.Clone(wrong.field)
				t.faults = append(t.faults, *wrong)
				t.batch.Executions = t.batch.Executions[:len(t.batch.Executions)-1]
				continue
			}
			place.Status = e.Status
			if kind == execution.Agent && e.Status == execution.Success && e.Output == nil && s.sent.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_UNSET {
				place.Status = "" // it does not say how it ended
			}
		}
		// A span without a parent that names nobody and did not fail, in a trace without executions, leads nowhere.
		tells := place.Agent != "" || place.User != "" || place.Session != "" || place.Status != ""
		if !w.twice(s) && (executes || tells || s.parentID != "" || w.executing(s.traceID)) {
			t.batch.Spans = append(t.batch.Spans, place)
		}
	}
	return t
}

// execution makes an execution of a span. Whom it belongs to stays unknown where the span does not say: those above it may,
// in this export or in a later one.
func (t *translation) execution(s *span, kind execution.Kind, place *execution.Span, e *execution.Execution) *fault {
	*e = execution.Execution{
		ID:           s.executionID,
		CreatedAt:    place.StartedAt,
		UserID:       cmp.Or(place.User, execution.Unknown),
		SessionID:    place.Session,
		RequestID:    cmp.Or(s.work.texts.keep(s.attributes.name(execution.MaxUser, requestNames...)), s.traceID),
		AgentName:    cmp.Or(place.Agent, execution.Unknown),
		Kind:         kind,
		TraceID:      s.traceID,
		SpanID:       s.id,
		ParentSpanID: s.parentID,
		Duration:     t.duration(s),
		Request:      kind != execution.Tool,
	}
	status, message := statusOf(s)
	e.Status, e.ErrorMessage = status, strings.Clone(message)
	if kind == execution.Inference {
		e.Model = s.work.texts.keep(s.model())
		e.Provider = s.work.texts.keep(s.provider())
	}
	e.Input, e.Output = contentOf(s, kind)
	if kind == execution.Inference {
		return t.account(s, e)
	}
	return nil
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
