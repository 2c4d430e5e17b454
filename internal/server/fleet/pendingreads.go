package fleet

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/fleet/mailbox"
	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/server/problem"
)

// pendingReads reads agents' pending deployments. Concurrent polls of one agent at one revision share a read and its
// encoded response, so that an agent with many polls costs one database connection and the memory of one response. At
// most width reads run at once, so that a deployment to a whole fleet leaves connections for other requests.
//
// A poll never shares a read that began at a revision before its own. What another replica committed after the read
// began is missing from it until a sweep finds the change, as it is missing from the mailbox's view.
type pendingReads struct {
	read func(ctx context.Context, agentID string) (fleet.PendingSet, error)
	gate endpoint.Gate

	mu      sync.Mutex
	flights map[mailbox.Revision]*flight
}

// flight is a read in progress. Its result is valid once done is closed.
type flight struct {
	done   chan struct{}
	cancel context.CancelFunc
	polls  int // waiting for it; guarded by pendingReads.mu

	result pendingResult
	err    error
}

// pendingResult is the result of a read.
type pendingResult struct {
	tag  string
	body []byte // the encoded response; nil if nothing is pending
}

func newPendingReads(read func(context.Context, string) (fleet.PendingSet, error), width int) *pendingReads {
	return &pendingReads{read: read, gate: endpoint.NewGate(width), flights: map[mailbox.Revision]*flight{}}
}

// pending returns the agent's pending deployments, read at the revision or later. The encoded response includes
// interval as the poll interval.
func (p *pendingReads) pending(ctx context.Context, agent mailbox.Agent, revision mailbox.Revision, interval time.Duration) (pendingResult, error) {
	p.mu.Lock()
	f := p.flights[revision]
	leads := f == nil
	if leads {
		f = &flight{done: make(chan struct{})}
		var reading context.Context
		reading, f.cancel = context.WithTimeout(context.WithoutCancel(ctx), endpoint.ResponseTimeout) // others may still want it
		p.flights[revision] = f
		f.polls++
		p.mu.Unlock()
		stop := context.AfterFunc(ctx, func() { p.leave(revision, f) })
		p.fly(reading, f, agent.ID(), revision, interval)
		if stop() {
			p.leave(revision, f)
		}
		return f.result, f.err
	}
	f.polls++
	p.mu.Unlock()
	defer p.leave(revision, f)
	select {
	case <-f.done:
		return f.result, f.err
	case <-ctx.Done():
		return pendingResult{}, ctx.Err()
	}
}

// leave ends one poll's wait for a read, and cancels the read if no poll waits for it any more.
func (p *pendingReads) leave(revision mailbox.Revision, f *flight) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.polls--; f.polls == 0 {
		f.cancel()
		p.forget(revision, f)
	}
}

// forget removes a flight, so that later polls begin another read. The caller holds p.mu.
func (p *pendingReads) forget(revision mailbox.Revision, f *flight) {
	if p.flights[revision] == f {
		delete(p.flights, revision)
	}
}

func (p *pendingReads) fly(ctx context.Context, f *flight, agentID string, revision mailbox.Revision, interval time.Duration) {
	f.err = problem.ErrInternal // the result if the read panics
	defer func() {
		p.mu.Lock()
		p.forget(revision, f)
		p.mu.Unlock()
		close(f.done)
	}()
	f.result, f.err = p.readAndEncode(ctx, agentID, interval)
}

func (p *pendingReads) readAndEncode(ctx context.Context, agentID string, interval time.Duration) (pendingResult, error) {
	if err := p.gate.Enter(ctx); err != nil {
		return pendingResult{}, err
	}
	defer p.gate.Leave()
	set, err := p.read(ctx, agentID)
	if err != nil {
		return pendingResult{}, err
	}
	result := pendingResult{tag: set.Tag()}
	if len(set.Deployments) > 0 {
		if result.body, err = json.Marshal(pendingResponse(agentID, set.Deployments, interval), json.Deterministic(true)); err != nil {
			return pendingResult{}, fmt.Errorf("encode a response: %w", err)
		}
	}
	return result, nil
}
