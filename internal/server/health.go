package server

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/observe/metrics"
	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/server/problem"
)

const (
	pingWithin = 2 * time.Second
	pingEvery  = time.Second // minimum interval of pings, since anyone may request /api/health

	busyPool = 0.8 // utilization from which the replica is degraded
)

// pinger caches the result of the last ping of the database.
type pinger struct {
	mu      sync.Mutex
	at      time.Time // zero before the first ping
	version int64
	err     error
}

// ping pings the database, or returns the last result if it is less than pingEvery old. Concurrent callers wait and
// share the result.
func (s *Server) ping(ctx context.Context) (schemaVersion int64, err error) {
	p := &s.pings
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := s.now(); p.at.IsZero() || now.Sub(p.at) >= pingEvery {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingWithin) // other callers share the result
		defer cancel()
		p.version, p.err = s.database.Ping(ctx)
		p.at = s.now()
	}
	return p.version, p.err
}

// health is a response that is sent with status 503 if the replica is down.
type health struct{ openapi.Health }

func (h health) Send(x *endpoint.Exchange) error {
	status := http.StatusOK
	if h.Status == openapi.HealthStatusDown {
		status = http.StatusServiceUnavailable
	}
	return endpoint.SendJSON(x, status, h.Health)
}

func (s *Server) getHealth(ctx context.Context, _ endpoint.Nothing) (health, error) {
	version, err := s.ping(ctx)
	pool := healthPool(s.database.Pool())
	h := openapi.Health{
		Status: openapi.HealthStatusOk, Version: s.version, UptimeSeconds: s.now().Sub(s.started).Seconds(),
		Database: openapi.HealthDatabase{Reachable: err == nil, SchemaVersion: version, Pool: pool},
	}
	h.Requests = healthRequests(s.recorder.Totals(), h.UptimeSeconds)
	worse := func(status openapi.HealthStatus, reason string) {
		h.Status = status
		h.Reasons = append(h.Reasons, reason)
	}
	for _, reason := range s.Faults() {
		worse(openapi.HealthStatusDegraded, reason)
	}
	if err != nil {
		reason := fault.ErrUnavailable.Detail
		if known := problem.Of(err); known != nil {
			reason = known.Detail
		}
		reason, _, _ = strings.Cut(reason, "; try again")
		worse(openapi.HealthStatusDown, reason)
	}
	return health{h}, nil
}

// Faults returns why the replica is degraded, without a query.
func (s *Server) Faults() []string {
	reasons := []string{}
	if s.mailbox.Health().Stale {
		reasons = append(reasons, "the mailbox is stale: pending deployments cannot be read from the database")
	}
	if healthPool(s.database.Pool()).Utilization >= busyPool {
		reasons = append(reasons, "80 % or more of the database connections are in use")
	}
	if s.strains != nil {
		reasons = append(reasons, s.strains()...)
	}
	return reasons
}

func healthRequests(t metrics.Totals, uptime float64) openapi.HealthRequests {
	r := openapi.HealthRequests{Total: int64(t.Requests)}
	if uptime > 0 {
		r.RPS = float64(t.Requests) / uptime
	}
	if t.Requests > 0 {
		r.ErrorRate = float64(t.ServerErrors) / float64(t.Requests)
	}
	return r
}

func healthPool(p metrics.PoolSample) openapi.HealthPool {
	pool := openapi.HealthPool{Max: p.Max, InUse: p.InUse, Idle: p.Idle, Waiting: p.Waiting}
	if p.Max > 0 {
		pool.Utilization = float64(p.InUse) / float64(p.Max)
	}
	return pool
}

var alive = endpoint.Content{Status: http.StatusOK, MediaType: "text/plain; charset=utf-8", Body: []byte("ok\n")}

func (*Server) getLivez(context.Context, endpoint.Nothing) (endpoint.Content, error) {
	return alive, nil
}

func (s *Server) getReadyz(context.Context, endpoint.Nothing) (endpoint.Content, error) {
	if err := s.ready(); err != nil {
		return endpoint.Content{}, problem.New(http.StatusServiceUnavailable, "not_ready", "", "%s", problem.Clip(err.Error()))
	}
	return alive, nil
}

func (s *Server) readyWhenFilled() error {
	switch h := s.mailbox.Health(); {
	case h.Draining:
		return errors.New("the replica is shutting down")
	case !h.Filled:
		return errors.New("pending deployments have not been read yet")
	}
	return nil
}
