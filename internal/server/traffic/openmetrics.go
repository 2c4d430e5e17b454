package traffic

import (
	"context"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/watchbill/watchbill/internal/observe"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/server/problem"
)

// Metrics are open to callers without a token. The cost of computing metrics is limited separately for callers without
// a valid token and for known callers that are not administrators.
const (
	openHours    = 168              // maximum window without a token
	openAge      = 10 * time.Second // for which a response is reused
	MaxComputing = 1                // maximum number of responses computed at a time
	MaxWaiting   = 64               // maximum number of waiting requests
)

var errTooManyMetrics = problem.New(http.StatusTooManyRequests, "rate_limited", "",
	"too many requests for metrics are waiting; try again later, or with a token")

// meteredSpan is a request for metrics.
type meteredSpan struct {
	endpoint.Span

	known bool // the caller has a valid token
	admin bool // the caller is an administrator
}

func readMeteredSpan(x *endpoint.Exchange) (meteredSpan, error) {
	span, err := endpoint.ReadSpan(x)
	req := meteredSpan{Span: span, known: x.Audience == observe.Known, admin: x.Caller.Admin}
	if err == nil && span.Hours > openHours && !req.known {
		err = problem.BadRequest("invalid_parameter", "hours",
			"must be from 1 to %d without a token; with any valid token it may be up to %d", openHours, report.MaxHours)
	}
	return req, err
}

// Cache caches the metrics for callers that are not administrators. Each response is computed once for all requests
// that arrive during its computation or within openAge of its start. The cache holds only as many responses as can be
// computed in that time.
type Cache struct {
	Computing endpoint.Gate
	Waiting   endpoint.Gate
	mu        sync.Mutex
	responses map[openQuestion]*openResponse
}

type openQuestion struct {
	span    endpoint.Span
	section report.Section // the first section requested, which differs by route
}

// openResponse is a cached response. It is being computed until done is closed.
type openResponse struct {
	done chan struct{}
	at   time.Time // when its computation began
	doc  report.Document
	err  error
}

func newCache() *Cache {
	return &Cache{Computing: endpoint.NewGate(MaxComputing), Waiting: endpoint.NewGate(MaxWaiting), responses: map[openQuestion]*openResponse{}}
}

// response returns the cached response to a request, and computes it if there is none or it is older than openAge. The
// computation continues if ctx is cancelled, since others may wait for it.
func (m *Cache) response(
	ctx context.Context, q openQuestion, now func() time.Time, compute func(context.Context, endpoint.Gate) (report.Document, error),
) (report.Document, error) {
	a, mine := m.find(q, now())
	if !mine && a.isDone() {
		return a.doc, a.err
	}
	if !m.Waiting.TryEnter() {
		if mine {
			m.finish(q, a, report.Document{}, errTooManyMetrics)
		}
		return report.Document{}, errTooManyMetrics
	}
	defer m.Waiting.Leave()
	if mine {
		m.compute(ctx, q, a, compute)
		return a.doc, a.err
	}
	select {
	case <-a.done:
		return a.doc, a.err
	case <-ctx.Done():
		return report.Document{}, ctx.Err()
	}
}

// find returns the response to wait for, and reports whether the caller must compute it.
func (m *Cache) find(q openQuestion, now time.Time) (a *openResponse, mine bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.responses, func(_ openQuestion, a *openResponse) bool { return a.isDone() && now.Sub(a.at) >= openAge })
	if a = m.responses[q]; a != nil {
		return a, false
	}
	a = &openResponse{done: make(chan struct{}), at: now}
	m.responses[q] = a
	return a, true
}

func (m *Cache) compute(
	ctx context.Context, q openQuestion, a *openResponse, compute func(context.Context, endpoint.Gate) (report.Document, error),
) {
	doc, err := report.Document{}, error(problem.ErrInternal) // the result if compute panics; the panic propagates
	defer func() { m.finish(q, a, doc, err) }()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endpoint.ResponseTimeout)
	defer cancel()
	doc, err = compute(ctx, m.Computing)
}

// finish publishes the response to the waiting requests. Failures are not cached.
func (m *Cache) finish(q openQuestion, a *openResponse, doc report.Document, err error) {
	a.doc, a.err = doc, err
	if err != nil {
		m.mu.Lock()
		delete(m.responses, q)
		m.mu.Unlock()
	}
	close(a.done)
}

func (a *openResponse) isDone() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}
