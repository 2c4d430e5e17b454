package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/server/ingest"
)

// noObserver is a ledger's observer that ignores everything.
type noObserver struct{}

func (noObserver) Observe([]execution.Execution)           {}
func (noObserver) ObserveCommit(int, time.Duration, error) {}
func (noObserver) ObserveRows(int, int, int, int)          {}
func (noObserver) ObserveErased(int)                       {}

// countedExecutions returns executions and facts set by a test, for cases that cannot be stored.
type countedExecutions struct {
	Executions
	rows  []execution.Execution // newest first
	facts execution.Facts
}

func (f countedExecutions) Errors(_ context.Context, after execution.Position, limit int) ([]execution.Execution, error) {
	rows := f.rows
	for i := range rows {
		if execution.PositionOf(rows[i]) == after {
			rows = rows[i+1:]
			break
		}
	}
	return rows[:min(limit, len(rows))], nil
}

func (f countedExecutions) Facts(_ context.Context, w execution.Window) (execution.Facts, error) {
	f.facts.Window = w
	return f.facts, nil
}

// fakeTraces responds to exports with the status set by a test.
type fakeTraces struct {
	ingest.Exports
	status int
}

func (f fakeTraces) Export(_ context.Context, _ http.Header, body io.Reader) (status int, mediaType string, answer []byte) {
	_, _ = io.Copy(io.Discard, body)
	return f.status, "application/json", []byte(`{"code":14,"message":"not now"}`)
}

// fakeGateway runs the function set by a test.
type fakeGateway struct {
	mu      sync.Mutex
	prompts []execution.Prompt
	err     error                                                    // returned by Start
	run     func(context.Context, func(execution.Event) error) error // if nil, an echo
	ended   chan error                                               // if not nil, receives run's result
}

var errNoAgent = &fault.Error{Kind: fault.NotFound, Code: "no_agent", Field: "type", Detail: "no agent is configured for this type"}

func (f *fakeGateway) Start(prompt execution.Prompt) (execution.Run, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return nil, f.err
	}
	f.prompts = append(f.prompts, prompt)
	return fakeRun{f, prompt}, nil
}

func (f *fakeGateway) AgentFor(string) string { return "main_orchestrator" }

type fakeRun struct {
	gateway *fakeGateway
	prompt  execution.Prompt
}

func (r fakeRun) Stream(ctx context.Context, emit func(execution.Event) error) {
	run := r.gateway.run
	if run == nil {
		run = func(_ context.Context, emit func(execution.Event) error) error {
			return errors.Join(
				emit(execution.Event{Name: "started", Data: map[string]string{"agent_name": "echo"}}),
				emit(execution.Event{Name: "delta", Data: map[string]string{"text": r.prompt.Message}}), emit(execution.Event{}),
				emit(execution.Event{Name: "completed", Data: map[string]any{"status": "success"}}),
			)
		}
	}
	err := run(ctx, emit)
	if r.gateway.ended != nil {
		r.gateway.ended <- err
	}
}
