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
	// defaultShare is the number of reads of a kind at a time if the pool's size is unknown.
	defaultShare = 5
)

var errReadsBusy = &fault.Error{
	Kind: fault.Unavailable, Code: "busy",
	Detail: "the database connections for administrators' reads and reports are all in use; try again later",
}

// isRead reports whether a route is one of the reads that share a third of the pool. However slow they are, the other
// connections are left for enrollments, deployments, polls and status reports. Each read uses one connection at a time.
func (r route) isRead() bool {
	switch r.pattern {
	case "/api/health", "/livez", "/readyz", "/api/openapi.yaml": // no query, or one on a separate connection
		return false
	case "/api/admin/executions": // it takes a turn for each page of an export
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

// poolShare returns how many connections of a pool administrators' reads may hold at once. The reads of polls may hold
// the same number: a third each, so that writes always find one.
func poolShare(conns int32) int {
	if conns <= 0 {
		return defaultShare
	}
	return max(int(conns)/3, 1)
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
