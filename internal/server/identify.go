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
	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/server/problem"
)

// maxUnknownTokens is the number of unknown agent tokens that may wait to be looked up at a time. Requests with further
// ones are rejected immediately, so that they do not queue up beside requests of known callers. The tokens that wait
// include those of agents just enrolled on another replica and, after the database was restored, those of all agents.
const maxUnknownTokens = 128

// waitingTokens is the set of unknown tokens with requests waiting. Any number of requests may wait with the same
// token. It is safe for concurrent use.
type waitingTokens struct {
	limit int

	mu       sync.Mutex
	requests map[fleet.TokenHash]int // number of requests by token
}

func newWaitingTokens(limit int) *waitingTokens {
	return &waitingTokens{limit: limit, requests: map[fleet.TokenHash]int{}}
}

// enter reports whether a request may wait. If so, the caller must call leave afterwards.
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

// refusalSpread is the period over which rejections of unknown tokens are spread. Waiting tokens are looked up
// together; otherwise all their responses would be sent at the same moment and delay requests of known callers.
const refusalSpread = 100 * time.Millisecond

var errTooManyUnknown = problem.New(http.StatusTooManyRequests, "rate_limited", "",
	"too many unknown tokens are waiting to be looked up; try again later")

// identify returns the caller of an open route, with Admin set for an administrator, and marks the exchange as a known
// caller's if the request has a valid token or session. It does not wait for tokens to be looked up. Kubernetes
// ServiceAccounts are known only on the routes of reports.
func (s *Server) identify(x *endpoint.Exchange) endpoint.Caller {
	bearer := bearerToken(x.Request)
	hash := fleet.HashToken(bearer)
	c := endpoint.Caller{Admin: s.isAdmin(x.Request, hash)}
	if !c.Admin && bearer == "" && x.Request.Method == http.MethodGet {
		if found, err := s.sessions.Of(x); err == nil {
			c = endpoint.Caller{Admin: true, Session: found}
		}
	}
	if c.Admin || s.isToken(hash) {
		x.Audience = observe.Known
	}
	return c
}

// isToken reports whether a hash is that of a valid token other than an administrator's.
func (s *Server) isToken(hash fleet.TokenHash) bool {
	if s.grants.Find(hash) != nil || s.ingestTokens.holdHash(hash) {
		return true
	}
	_, known := s.mailbox.Lookup(hash)
	return known
}

// authenticateAgent returns the agent that has a token. If the token is not in the mailbox, it waits until the token
// has been looked up; that time is not part of the response's latency.
func (s *Server) authenticateAgent(x *endpoint.Exchange, token string, hash fleet.TokenHash) (mailbox.Agent, error) {
	if agent, known := s.mailbox.Lookup(hash); known {
		x.Audience = observe.Known
		return agent, nil
	}
	if !strings.HasPrefix(token, fleet.TokenPrefix) {
		return mailbox.Agent{}, problem.ErrUnknownToken
	}
	if !s.unknown.enter(hash) {
		return mailbox.Agent{}, errTooManyUnknown
	}
	defer s.unknown.leave(hash)
	start := s.now()
	agent, err := s.mailbox.Authenticate(observe.WithAudience(x.Request.Context(), observe.Unauthenticated), token)
	switch {
	case err == nil:
		x.Audience = observe.Known
	case errors.Is(err, mailbox.ErrUnknownToken):
		pause.For(x.Request.Context(), time.Duration(s.jitter()*float64(refusalSpread)))
	}
	x.Hold(s.now().Sub(start))
	return agent, err
}
