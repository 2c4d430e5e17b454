package server

import (
	"context"
	"net/http"
	"time"

	"github.com/watchbill/watchbill/internal/fault"
)

const (
	// readsWithin is how long a read waits for its turn.
	readsWithin = 5 * time.Second
	// defaultShare is how many of a kind there may be at once where the pool's size is not known.
	defaultShare = 5
)

var errReadsBusy = &fault.Error{
	Kind: fault.Unavailable, Code: "busy",
	Detail: "the database connections for administrators' reads and reports are all in use; try again later",
}

// isRead reports whether a route is one of those that share a third of the pool, so that however long the database takes for them
// the rest is left for enrolments, deployments, polls and status reports. Each takes one connection at a time.
func (r route) isRead() bool {
	switch r.pattern {
	case "/api/health", "/livez", "/readyz", "/api/openapi.yaml": // ask the database for nothing, or by a connection of their own
		return false
	case "/api/admin/users/{user_id}":
		return true
	}
	switch r.access {
	case admin, everyone:
		return r.method == http.MethodGet
	case reporter:
		return true
	}
	return false
}

// poolShare returns how many connections of a pool reads may hold at once, and as many those that read for polls: a third
// each, so that writes always find one.
func poolShare(limiter int32) int {
	if limiter <= 0 {
		return defaultShare
	}
	return max(int(limiter)/3, 1)
}

// enterReads waits for a read's turn.
func (s *Server) enterReads(x *exchange) error {
	select {
	case s.adminReads <- struct{}{}:
		return nil
	default:
	}
	_ = x.extendDeadlines(s.now(), readsWithin) // if unsupported, the server's timeouts apply
	ctx, cancel := context.WithTimeout(x.r.Context(), readsWithin)
	defer cancel()
	if err := s.adminReads.enter(ctx); err != nil {
		return errReadsBusy
	}
	return nil
}
