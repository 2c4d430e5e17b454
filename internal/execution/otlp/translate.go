package otlp

import (
	"cmp"
	"math"
	"strings"
	"time"

	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"github.com/watchbill/watchbill/internal/execution"
)

// translation is the result of translating an export.
type translation struct {
	batch     execution.Batch
	faults    []rejection
	backwards int // spans that ended before they began, or have no end
	unread    []unread
	missed    []string // names of unknown counts
}

// translate converts an export's spans to executions. They refer to no memory of the export, which may be large.
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
		t.batch.Spans = append(t.batch.Spans, execution.Span{})
		place := &t.batch.Spans[len(t.batch.Spans)-1]
		s.place(place)
		place.Execution = executes
		place.Cumulative = s.addsUp()
		if !executes {
			t.noteUnread(s)
			if s.sent.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR {
				place.Status, _ = statusOf(s)
			}
		}
		if executes {
			t.batch.Executions = append(t.batch.Executions, execution.Execution{})
			e := &t.batch.Executions[len(t.batch.Executions)-1]
			if wrong := t.execution(s, kind, place, e); wrong != nil {
				wrong.span, wrong.field = s.id, strings.Clone(wrong.field)
				t.faults = append(t.faults, *wrong)
				t.batch.Executions, t.batch.Spans = t.batch.Executions[:len(t.batch.Executions)-1], t.batch.Spans[:len(t.batch.Spans)-1]
				continue
			}
			place.Status = e.Status
			if kind == execution.Agent && e.Status == execution.Success && e.Output == nil && s.sent.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_UNSET {
				place.Status = "" // the span does not show how it ended
			}
		}
		// A root span without names and without a failure, in a trace without executions, is of no use.
		tells := place.Agent != "" || place.User != "" || place.Session != "" || place.Status != ""
		if w.twice(s) || !executes && !tells && s.parentID == "" && !w.executing(s.traceID) {
			t.batch.Spans = t.batch.Spans[:len(t.batch.Spans)-1]
		}
	}
	return t
}

// place sets the span's position, and what it contributes to the spans around it.
func (s *span) place(to *execution.Span) {
	keep := &s.work.texts
	to.TraceID, to.SpanID, to.ParentSpanID = s.traceID, s.id, s.parentID
	to.User, to.Session = keep.keep(s.user()), keep.keep(s.session())
	s.requestID = keep.keep(s.attributes.name(execution.MaxUser, requestNames...))
	to.ResponseID = keep.keep(s.responseID())
	agent, isDefault := s.agent()
	to.Agent, to.DefaultName = keep.keep(agent), isDefault
	to.StartedAt, to.EndedAt = timeOf(s.sent.GetStartTimeUnixNano()), timeOf(s.sent.GetEndTimeUnixNano())
	to.Role, to.Scope, to.Process = s.executionRole(), s.scope, s.process
}

// execution converts a span to an execution. Names that the span lacks stay unknown: spans above it may have them, in
// this export or a later one.
func (t *translation) execution(s *span, kind execution.Kind, place *execution.Span, e *execution.Execution) *rejection {
	e.ID, e.TraceID, e.SpanID, e.ParentSpanID = s.executionID, s.traceID, s.id, s.parentID
	e.CreatedAt, e.Duration = place.StartedAt, t.duration(s)
	e.UserID, e.SessionID, e.AgentName = cmp.Or(place.User, execution.Unknown), place.Session, cmp.Or(place.Agent, execution.Unknown)
	e.RequestID = cmp.Or(s.requestID, s.traceID)
	e.Kind, e.Request = kind, kind != execution.Tool
	status, message := statusOf(s)
	e.Status, e.ErrorMessage = status, strings.Clone(message)
	if kind == execution.Inference {
		e.Model = s.work.texts.keep(s.model())
		e.Provider = s.work.texts.keep(s.provider())
	}
	e.Input, e.Output = contentOf(s, kind)
	if kind == execution.Agent {
		s.accountRun(e)
	}
	if kind == execution.Inference {
		return t.account(s, e)
	}
	return nil
}

// duration returns the duration of the span.
func (t *translation) duration(s *span) time.Duration {
	start, end := s.sent.GetStartTimeUnixNano(), s.sent.GetEndTimeUnixNano()
	if end < start || end == 0 {
		t.backwards++
		return 0
	}
	if end == start && s.role == modelCall { // Logfire's report of a stream
		if took := s.attributes.value("duration").GetDoubleValue(); took > 0 && took < time.Hour.Seconds() && s.attributes.text("logfire.span_type") == "log" {
			return time.Duration(took * float64(time.Second)).Truncate(time.Microsecond)
		}
	}
	return time.Duration(min(end-start, math.MaxInt64)).Truncate(time.Microsecond)
}

// timeOf converts nanoseconds since 1970. Every uint64 is a valid time; converting it to an int64 first would overflow.
func timeOf(nanos uint64) time.Time {
	const second = uint64(time.Second)
	return time.Unix(int64(nanos/second), int64(nanos%second)).UTC().Truncate(time.Microsecond)
}
