package server

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/fleet/mailbox"
	"github.com/watchbill/watchbill/internal/observe"
	"github.com/watchbill/watchbill/internal/pause"
)

// maxUnknownTokens is how many tokens that no agent is known by may wait at a time to be looked for. Requests with more of them
// are refused at once: they must not queue up beside requests of known callers. Agents that were just enrolled on another
// replica are among those that wait, and so are all agents after the database was restored.
const maxUnknownTokens = 128

// waitingTokens are the unknown tokens of requests that wait. Any number of requests may wait with one of them. It is safe for
// concurrent use.
type waitingTokens struct {
	limit int

	mu       sync.Mutex
	requests map[fleet.TokenHash]int // with each token
}

func newWaitingTokens(limit int) *waitingTokens {
	return &waitingTokens{limit: limit, requests: map[fleet.TokenHash]int{}}
}

// enter reports whether a request may wait. If so, leave must be called.
func (w *waitingTokens) enter(token fleet.TokenHash) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.requests[token] == 0 && len(w.requests) >= w.limit {
		return false
	}
	w.requests[token]++
	return true
}

func (w *waitingTokens) leave(token fleet.TokenHash) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.requests[token]--; w.requests[token] == 0 {
		delete(w.requests, token)
	}
}

// refusalSpread is over how long the refusals of unknown tokens are spread. Those that wait are looked for together, and would
// otherwise all be answered in the same moment: a burst that requests of known callers had to wait behind.
const refusalSpread = 100 * time.Millisecond

var errTooManyUnknown = newProblem(http.StatusTooManyRequests, "rate_limited", "",
	"too many unknown tokens are waiting to be looked up; try again later")

// identify finds out, without waiting for anything, whether a caller whom the route does not ask for a token has a valid one.
// ServiceAccounts of Kubernetes are known only where reports are made and read. It reports whether the caller is an administrator.
func (s *Server) identify(x *exchange) (isAdmin bool) {
	hash := fleet.HashToken(bearerToken(x.r))
	isAdmin = s.isAdmin(x.r, hash)
	if isAdmin || s.isToken(hash) {
		x.audience = observe.Known
	}
	return isAdmin
}

// isToken reports whether a hash is of any token but an administrator's.
func (s *Server) isToken(hash fleet.TokenHash) bool {
	if s.grants.Find(hash) != nil || s.ingestTokens.holdHash(hash) {
		return true
	}
	_, known := s.mailbox.Lookup(hash)
	return known
}

// authenticateAgent finds the agent that has a token. If none is known, it waits until the token was looked for; that time is
// no part of the answer's latency.
func (s *Server) authenticateAgent(x *exchange, token string, hash fleet.TokenHash) (mailbox.Agent, error) {
	if agent, known := s.mailbox.Lookup(hash); known {
		x.audience = observe.Known
		return agent, nil
	}
	if !strings.HasPrefix(token, fleet.TokenPrefix) {
		return mailbox.Agent{}, errUnknownToken
	}
	if !s.unknown.enter(hash) {
		return mailbox.Agent{}, errTooManyUnknown
	}
	defer s.unknown.leave(hash)
	start := s.now()
	agent, err := s.mailbox.Authenticate(observe.WithAudience(x.r.Context(), observe.Unauthenticated), token)
	switch {
	case err == nil:
		x.audience = observe.Known
	case errors.Is(err, mailbox.ErrUnknownToken):
		pause.For(x.r.Context(), time.Duration(s.jitter()*float64(refusalSpread)))
	}
	x.hold(s.now().Sub(start))
	return agent, err
}
