package server

import (
	"context"
	"net/http"
	"time"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/server/endpoint"
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
func isRead(r endpoint.Route) bool {
	switch r.Pattern {
	case "/api/health", "/livez", "/readyz", "/api/openapi.yaml", "/api/session", "/api/live", "/api/admin/alerts", "/api/admin/prices": // no query, or one on a separate connection
		return false
	case "/api/admin/executions": // it takes a turn for each page of an export
		return false
	case "/api/admin/users/{user_id}":
		return true
	}
	switch r.Access {
	case endpoint.Admin, endpoint.Everyone:
		return r.Method == http.MethodGet
	case endpoint.Reporter:
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
func (s *Server) enterReads(x *endpoint.Exchange) error {
	select {
	case s.adminReads <- struct{}{}:
		return nil
	default:
	}
	_ = x.ExtendDeadlines(readsWithin) // if unsupported, the server's timeouts apply
	ctx, cancel := context.WithTimeout(x.Request.Context(), readsWithin)
	defer cancel()
	if err := s.adminReads.Enter(ctx); err != nil {
		return errReadsBusy
	}
	return nil
}
