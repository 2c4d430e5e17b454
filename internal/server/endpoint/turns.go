package endpoint

import (
	"context"
	"net/http"
	"sync"

	"github.com/watchbill/watchbill/internal/server/problem"
)

// Limits of one agent's concurrent requests that use the database, so that it does not take the connections that others
// need. Up to maxWaitingOfAgent further requests wait.
const (
	maxAtDatabase     = 4
	maxWaitingOfAgent = 64
)

var errAgentBusy = problem.New(http.StatusTooManyRequests, "busy", "",
	"too many requests of this agent are in progress; wait for their responses, then try again")

// Turns admits a limited number of each agent's requests at a time. It is safe for concurrent use.
type Turns struct {
	mu     sync.Mutex
	agents map[string]*agentTurns // agents with requests in progress, by id
}

type agentTurns struct {
	gate     Gate
	requests int // waiting or admitted; guarded by turns.mu
}

// NewTurns returns turns that nobody has taken.
func NewTurns() *Turns { return &Turns{agents: map[string]*agentTurns{}} }

// enter waits until a request of the agent is admitted. If it returns nil, the caller must call leave.
func (t *Turns) enter(ctx context.Context, agentID string) error {
	t.mu.Lock()
	agent := t.agents[agentID]
	if agent == nil {
		agent = &agentTurns{gate: NewGate(maxAtDatabase)}
		t.agents[agentID] = agent
	}
	if agent.requests >= maxAtDatabase+maxWaitingOfAgent {
		t.mu.Unlock()
		return errAgentBusy
	}
	agent.requests++
	t.mu.Unlock()
	if agent.gate.Enter(ctx) != nil {
		t.done(agentID, agent)
		return errAgentBusy
	}
	return nil
}

func (t *Turns) leave(agentID string) {
	t.mu.Lock()
	agent := t.agents[agentID]
	t.mu.Unlock()
	agent.gate.Leave()
	t.done(agentID, agent)
}

func (t *Turns) done(agentID string, agent *agentTurns) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if agent.requests--; agent.requests == 0 {
		delete(t.agents, agentID)
	}
}

// enterTurn waits until the calling agent's request is admitted. The wait is not part of the recorded latency. Requests
// of other callers do not wait.
func (x *Exchange) enterTurn(ctx context.Context) (leave func(), err error) {
	id := x.Caller.Agent.ID()
	if id == "" {
		return func() {}, nil
	}
	start := x.Shared.Now()
	err = x.Shared.Turns.enter(ctx, id)
	x.Hold(x.Shared.Now().Sub(start))
	return func() { x.Shared.Turns.leave(id) }, err
}
