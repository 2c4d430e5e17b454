package otlp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/otlp"
	"github.com/watchbill/watchbill/internal/fault"
)

func TestInternalFaults(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		err    error
		status int
		code   int32
	}{
		"the database is unavailable": {fmt.Errorf("append: %w", fault.ErrUnavailable), 503, 14},
		"the time is over":            {context.DeadlineExceeded, 503, 14},
		"the client is gone":          {context.Canceled, 503, 14},
		"a defect":                    {errors.New("nil pointer in the secret place"), 500, 13},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for contentType, encode := range encodings {
				got := post(t, &ledger{err: tt.err}, headerOf(contentType), encode(t, exportOf(newSpan(1, 0, chat))))
				if got.status != tt.status {
					t.Errorf("status %d, not %d", got.status, tt.status)
				}
				if message := got.message(t, contentType); strings.Contains(message, "secret") {
					t.Errorf("the answer tells what is none of the client's business: %s", message)
				}
			}
		})
	}
}

// TestLimitsOfRate checks that the rate limit sees the translated executions, and that nothing is stored that it
// rejects.
func TestLimitsOfRate(t *testing.T) {
	t.Parallel()
	body := encodings[jsonType](t, exportOf(newSpan(1, 0, chat.with(says{"user.id": "ada"})), newSpan(2, 1, says{})))
	for _, shut := range []bool{false, true} {
		var asked []execution.Execution
		ctx := execution.WithGate(t.Context(), func(executions []execution.Execution) error {
			asked = executions
			if shut {
				return errors.New("the limit is reached; try again in 20 s")
			}
			return nil
		})
		l := &ledger{}
		var got answer
		got.status, got.mediaType, got.body = otlp.New(otlp.Options{Ledger: l}).Export(ctx, headerOf(jsonType), bytes.NewReader(body))
		if len(asked) != 1 || asked[0].UserID != "ada" {
			t.Errorf("the gate was asked for %v", asked)
		}
		if shut && (got.status != http.StatusTooManyRequests || got.message(t, jsonType) != "the limit is reached; try again in 20 s" || l.calls > 0) {
			t.Errorf("answered %d %s after %d calls of the ledger", got.status, got.body, l.calls)
		}
		if !shut && (got.status != http.StatusOK || len(l.batch.Executions) != 1) {
			t.Errorf("answered %d with %d executions", got.status, len(l.batch.Executions))
		}
	}
}

// confused is a ledger that rejects an execution that is not in the batch. That is a defect, but must not cause a
// panic.
type confused struct{}

func (confused) Append(context.Context, execution.Batch) (execution.Outcome, error) {
	return execution.Outcome{Rejected: []execution.Rejection{{Index: 7}}}, nil
}

func TestInconsistentLedgerResults(t *testing.T) {
	t.Parallel()
	body := encodings[protobufType](t, exportOf(newSpan(1, 0, chat)))
	status, _, _ := otlp.New(otlp.Options{Ledger: confused{}}).Export(t.Context(), headerOf(protobufType), bytes.NewReader(body))
	if status != http.StatusInternalServerError {
		t.Errorf("status %d", status)
	}
}

func TestDeadlineExceeded(t *testing.T) {
	t.Parallel()
	body := encodings[protobufType](t, exportOf(newSpan(1, 0, chat)))
	t.Run("while the ledger works", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			status, _, _ := otlp.New(otlp.Options{Ledger: &ledger{wait: true}}).Export(ctx, headerOf(protobufType), bytes.NewReader(body))
			if status != http.StatusServiceUnavailable {
				t.Errorf("status %d", status)
			}
		})
	})
	t.Run("before it begins", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		l := &ledger{}
		status, _, _ := otlp.New(otlp.Options{Ledger: l}).Export(ctx, headerOf(protobufType), bytes.NewReader(body))
		if status != http.StatusServiceUnavailable || l.calls > 0 {
			t.Errorf("status %d after %d calls", status, l.calls)
		}
	})
}

func TestPartialSuccess(t *testing.T) {
	t.Parallel()
	good, early := newSpan(1, 0, chat), newSpan(2, 0, chat)
	early.StartTimeUnixNano, early.EndTimeUnixNano = 0, 0
	negative := newSpan(3, 0, chat.with(says{"gen_ai.usage.input_tokens": -1}))
	batch, partial := translated(t, exportOf(good, early, negative))
	if len(batch.Executions) != 1 || batch.Executions[0].SpanID != "0101010101010101" {
		t.Errorf("%d executions were taken", len(batch.Executions))
	}
	want := "span 0303030303030303: gen_ai.usage.input_tokens must be a whole number from 0 to 1000000000; " +
		"span 0202020202020202: start_time_unix_nano is longer ago than the 365 days for which executions are kept"
	if partial.GetRejectedSpans() != 2 || partial.GetErrorMessage() != want {
		t.Errorf("partial success %d, %s", partial.GetRejectedSpans(), partial.GetErrorMessage())
	}

	many := make([]*tracepb.Span, 8)
	for i := range many {
		many[i] = newSpan(byte(i+1), 0, chat.with(says{"gen_ai.usage.output_tokens": "a few"}))
	}
	_, partial = translated(t, exportOf(many...))
	if partial.GetRejectedSpans() != 8 || strings.Count(partial.GetErrorMessage(), "output_tokens") != 5 || !strings.HasSuffix(partial.GetErrorMessage(), "; and 3 more") {
		t.Errorf("partial success %d, %s", partial.GetRejectedSpans(), partial.GetErrorMessage())
	}
}
