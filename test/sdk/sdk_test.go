package sdk_test

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/otlp"
	"github.com/watchbill/watchbill/internal/execution/trace"
	"github.com/watchbill/watchbill/test/sdk"
)

const token = "a token/with signs=,"

// ledger keeps everything that it receives, in order.
type ledger struct {
	mu    sync.Mutex
	batch execution.Batch
}

func (l *ledger) Append(_ context.Context, batch execution.Batch) (execution.Outcome, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.batch.Executions = append(l.batch.Executions, batch.Executions...)
	l.batch.Spans = append(l.batch.Spans, batch.Spans...)
	return execution.Outcome{Accepted: len(batch.Executions)}, nil
}

func TestClients(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		send     func(ctx context.Context, t testing.TB, endpoint, token string) error
		user     string
		runs     int
		requests map[string]int // by encoding
	}{
		"Go": {
			send: func(ctx context.Context, _ testing.TB, endpoint, token string) error {
				return sdk.SendWithGo(ctx, endpoint, token)
			},
			user: sdk.GoUser, runs: sdk.GoRuns,
			requests: map[string]int{"application/x-protobuf": 5, "application/x-protobuf gzip": 5},
		},
		"Python": {
			send: sdk.SendWithPython,
			user: sdk.PythonUser, runs: sdk.PythonRuns,
			requests: map[string]int{"application/x-protobuf": 5, "application/x-protobuf gzip": 5, "application/json": 5, "application/json gzip": 5},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := &ledger{}
			traces := otlp.New(otlp.Options{Ledger: l})
			var mu sync.Mutex
			requests := make(map[string]int)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				status, mediaType, answer := http.StatusUnauthorized, "", []byte(nil)
				if r.Header.Get("Authorization") == "Bearer "+token {
					status, mediaType, answer = traces.Export(r.Context(), r.Header, r.Body)
				} else {
					mediaType, answer = traces.Refuse(r.Header, status, "a token is needed")
				}
				mu.Lock()
				how := r.Header.Get("Content-Type")
				if coding := r.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
					how += " " + coding
				}
				requests[how]++
				mu.Unlock()
				w.Header().Set("Content-Type", mediaType)
				w.WriteHeader(status)
				_, _ = w.Write(answer)
			}))
			t.Cleanup(server.Close)

			began := time.Now()
			if err := tt.send(t.Context(), t, server.URL+"/v1/traces", token); err != nil {
				t.Fatal(err)
			}
			mu.Lock()
			if !maps.Equal(requests, tt.requests) {
				t.Errorf("requests %v, not %v", requests, tt.requests)
			}
			mu.Unlock()
			checkBatch(t, l.batch, tt.user, tt.runs, began)

			if err := tt.send(t.Context(), t, server.URL+"/v1/traces", "another token"); err == nil {
				t.Error("the SDK did not notice that it was refused")
			}
		})
	}
}

// checkBatch checks the executions and spans received for the story.
func checkBatch(t *testing.T, batch execution.Batch, user string, runs int, began time.Time) {
	t.Helper()
	if got, want := len(batch.Executions), runs*sdk.Executions; got != want {
		t.Fatalf("%d executions, not %d", got, want)
	}
	if got, want := len(batch.Spans), runs*(sdk.Executions+1); got != want {
		t.Errorf("%d spans, not %d", got, want)
	}
	kinds := []execution.Kind{execution.Inference, execution.Inference, execution.Tool, execution.Agent} // innermost first
	executions := make(map[string]*execution.Execution, len(batch.Executions))
	for i := range batch.Executions {
		executions[batch.Executions[i].SpanID] = &batch.Executions[i]
	}
	nodes, bySpan := make([]trace.Node, len(batch.Spans)), make(map[string]int, len(batch.Spans))
	for i := range batch.Spans {
		s := &batch.Spans[i]
		nodes[i], bySpan[s.SpanID] = trace.Node{Span: s, Execution: executions[s.SpanID]}, i
	}
	decisions := trace.Decide(nodes)
	var tokens execution.Tokens
	models, requests := make(map[string]int), 0
	for i, e := range batch.Executions {
		if e.Kind != kinds[i%len(kinds)] {
			t.Errorf("execution %d is of kind %s", i, e.Kind)
		}
		if known := e.AgentName != execution.Unknown; e.UserID != execution.Unknown || known != (e.Kind == execution.Agent) {
			t.Errorf("execution %d names %s and %s before its ancestors are known", i, e.AgentName, e.UserID)
		}
		decision := &decisions[bySpan[e.SpanID]]
		if decision.Gone || decision.Missing != "" {
			t.Errorf("execution %d is gone: %t, or misses the span %s", i, decision.Gone, decision.Missing)
		}
		decision.Write(&e)
		if e.AgentName != sdk.Agent || e.UserID != user || e.SessionID != sdk.Session {
			t.Errorf("execution %d is %s's, of %s in %s", i, e.AgentName, e.UserID, e.SessionID)
		}
		if fault := e.Check(execution.Acceptance{Now: time.Now(), Keep: time.Since(began) + time.Second}); fault != nil {
			t.Errorf("execution %d: %v", i, fault)
		}
		if e.Request {
			requests++
		}
		if e.Model != "" {
			models[e.Model]++
		}
		tokens.Add(e.Tokens)
	}
	n := int64(runs)
	want := execution.Tokens{
		Input: sdk.InputTokens * n, Output: sdk.OutputTokens * n, CacheRead: sdk.CachedTokens * n, Used: (sdk.InputTokens + sdk.OutputTokens) * n,
	}
	if tokens != want {
		t.Errorf("%+v, not %+v", tokens, want)
	}
	if requests != runs || models[sdk.Model] != runs || models[sdk.Other] != runs || len(models) != 2 {
		t.Errorf("%d requests, calls %v", requests, models)
	}
}
