package otlp_test

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"testing"
	"time"

	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/otlp"
)

// checked is a ledger that checks what the real ledger requires of a translation. Only the start and the duration of
// executions are left to the ledger.
type checked struct{ t *testing.T }

func (c checked) Append(_ context.Context, batch execution.Batch) (execution.Outcome, error) {
	for _, e := range batch.Executions {
		e.Duration = min(e.Duration, execution.MaxDuration)
		if fault := e.Check(execution.Acceptance{Now: e.CreatedAt, Keep: time.Hour}); fault != nil {
			c.t.Errorf("%v in %+v", fault, e)
		}
		for _, payload := range []json.RawMessage{e.Input, e.Output} {
			if payload != nil && !json.Valid(payload) {
				c.t.Errorf("%q is no JSON", payload)
			}
		}
		if fault := (execution.PayloadPolicy{}).Apply(&e); fault != nil {
			c.t.Errorf("%v in %+v", fault, e)
		}
		if e.Kind != execution.Inference && (e.Tokens != execution.Tokens{} || e.Model != "") {
			c.t.Errorf("an execution of kind %s has tokens or a model: %+v", e.Kind, e)
		}
		if e.ID != e.TraceID+"-"+e.SpanID || len(e.TraceID) != 32 || len(e.SpanID) != 16 {
			c.t.Errorf("ids %q, %q, %q", e.ID, e.TraceID, e.SpanID)
		}
	}
	for _, s := range batch.Spans {
		if len(s.Agent) > execution.MaxName || len(s.User) > execution.MaxUser || len(s.Session) > execution.MaxUser || s.ParentSpanID == s.SpanID {
			c.t.Errorf("a place that cannot be stored: %+v", s)
		}
	}
	return execution.Outcome{Accepted: len(batch.Executions)}, nil
}

// seeds returns exports that contain every kind of data.
func seeds() []*collectorpb.ExportTraceServiceRequest {
	conversation := newSpan(1, 0, chat.with(says{
		"user.id": "a\nb", "gen_ai.usage.input_tokens": 5, "gen_ai.usage.output_tokens": "7", "gen_ai.usage.cache_read.input_tokens": 9.0,
		"gen_ai.input.messages":       []any{says{"role": "user", "parts": []any{nil, true, math.Inf(1), []byte{0}}}},
		"gen_ai.completion.0.content": `{"a":"\u0000\ud800","b":1e999}`, "gen_ai.system_instructions": "[",
	}))
	conversation.Events = append(conversation.Events,
		event("exception", says{"exception.type": "TimeoutError"}), event("gen_ai.user.message", says{"gen_ai.event.content": "{}"}))
	return []*collectorpb.ExportTraceServiceRequest{
		exportOf(),
		exportOf(conversation, newSpan(2, 1, says{"traceloop.span.kind": "tool", "traceloop.entity.input": "[]"}), newSpan(3, 2, chat)),
		exportFrom(says{"user.id": "ada"}, says{"gen_ai.agent.name": "clerk"},
			newSpan(1, 2, says{"openinference.span.kind": "CHAIN", "llm.input_messages.0.message.role": "user"}), newSpan(2, 1, says{"ai.operationId": "ai.toolCall"})),
	}
}

func FuzzProtobuf(f *testing.F) { fuzz(f, protobufType) }

func FuzzJSON(f *testing.F) { fuzz(f, jsonType) }

func fuzz(f *testing.F, contentType string) {
	for _, export := range seeds() {
		f.Add(encodings[contentType](f, export))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got := post(t, nil, headerOf(contentType), body, func(o *otlp.Options) { o.Ledger = checked{t} })
		switch got.status {
		case http.StatusOK:
			got.partial(t)
		case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
			got.message(t, contentType)
		default:
			t.Errorf("answered %d %s", got.status, got.body)
		}
	})
}
