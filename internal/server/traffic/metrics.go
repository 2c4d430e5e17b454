package traffic

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/server/problem"
	"github.com/watchbill/watchbill/internal/text"
)

var errLongWindow = problem.New(http.StatusServiceUnavailable, "unavailable", "hours",
	"reading the window took longer than %s; ask for fewer hours or try again later", text.Duration(endpoint.ResponseTimeout))

func (a *API) getMetrics(ctx context.Context, req meteredSpan) (openapi.Metrics, error) {
	doc, err := a.measure(ctx, req, report.SectionSummary, report.SectionEndpoints, report.SectionDatabasePool, report.SectionQueries)
	if err != nil {
		return openapi.Metrics{}, err
	}
	if !req.admin {
		doc.Sections.Queries = &report.Queries{}
	}
	m := openapi.Metrics{
		Window: windowOf(doc.Window), Totals: trafficOf(doc.Sections.Summary.Traffic),
		Unauthenticated: othersOf(doc.Sections.Summary.Unauthenticated), Probes: othersOf(doc.Sections.Summary.Probes),
		Endpoints: make([]openapi.EndpointTraffic, len(doc.Sections.Endpoints)), Database: databaseOf(doc.Sections),
	}
	for i, e := range doc.Sections.Endpoints {
		t := trafficOf(e.Traffic)
		m.Endpoints[i] = openapi.EndpointTraffic{
			Method: e.Method, Route: e.Route, Requests: t.Requests, RPS: t.RPS, ErrorRate: t.ErrorRate,
			ClientErrorRate: t.ClientErrorRate, ErrorsByStatus: t.ErrorsByStatus, LatencyMs: t.LatencyMs,
		}
	}
	return m, nil
}

func (a *API) getPendingMetrics(ctx context.Context, req meteredSpan) (openapi.PendingDeploymentsMetrics, error) {
	doc, err := a.measure(ctx, req, report.SectionPendingDeployments, report.SectionDatabasePool, report.SectionQueries)
	if err != nil {
		return openapi.PendingDeploymentsMetrics{}, err
	}
	if !req.admin {
		doc.Sections.Queries = &report.Queries{}
	}
	p := doc.Sections.PendingDeployments
	t := trafficOf(p.Traffic)
	return openapi.PendingDeploymentsMetrics{
		Window: windowOf(doc.Window), Method: p.Method, Route: p.Route, Requests: t.Requests, RPS: t.RPS, ErrorRate: t.ErrorRate,
		ClientErrorRate: t.ClientErrorRate, ErrorsByStatus: t.ErrorsByStatus, LatencyMs: t.LatencyMs,
		Agents: p.MeanAgents, RPSPerAgent: endpoint.Deref(p.RPSPerAgent), EmptyRatio: endpoint.Deref(p.EmptyRatio), Database: databaseOf(doc.Sections),
	}, nil
}

// measure computes a report without objectives, so that metrics agree with a report over the same window.
func (a *API) measure(ctx context.Context, req meteredSpan, sections ...report.Section) (report.Document, error) {
	compute := func(ctx context.Context, metering endpoint.Gate) (report.Document, error) {
		now := a.Now()
		window, err := req.Window(now)
		if err != nil {
			return report.Document{}, err
		}
		if err := metering.Enter(ctx); err != nil {
			return report.Document{}, err
		}
		defer metering.Leave()
		facts, err := a.Measurements.Facts(ctx, window, report.Parts{Queries: true})
		if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return report.Document{}, errLongWindow
		}
		if err != nil {
			return report.Document{}, err
		}
		return report.Compute(report.Request{Window: window, Sections: sections, CompareWith: report.CompareNone}, facts, nil, now, "")
	}
	responses := a.Open
	switch {
	case req.admin:
		return compute(ctx, a.Computing)
	case req.known:
		responses = a.Tokened
	}
	return responses.response(ctx, openQuestion{req.Span, sections[0]}, a.Now, compute)
}

func windowOf(c report.Coverage) openapi.Window {
	return openapi.Window{From: c.From, To: c.To, CoveredSeconds: c.CoveredSeconds}
}

func othersOf(o report.Others) openapi.OtherTraffic {
	return openapi.OtherTraffic{Requests: o.Requests, ErrorsByStatus: byStatusOf(o.ErrorsByStatus)}
}

func byStatusOf(counts map[int]int64) openapi.ErrorsByStatus {
	byStatus := make(openapi.ErrorsByStatus, len(counts))
	for status, n := range counts {
		byStatus[strconv.Itoa(status)] = n
	}
	return byStatus
}

// trafficOf converts traffic. Rates without requests become 0, so that clients can add them up.
func trafficOf(t report.Traffic) openapi.Traffic {
	return openapi.Traffic{
		Requests: t.Requests, RPS: endpoint.Deref(t.RPS), ErrorRate: endpoint.Deref(t.ErrorRate), ClientErrorRate: endpoint.Deref(t.ClientErrorRate),
		ErrorsByStatus: byStatusOf(t.ErrorsByStatus), LatencyMs: latencyOf(t.Latency),
	}
}

// latencyOf converts latencies. Without responses it is zero, which is omitted from JSON.
func latencyOf(l report.Latency) openapi.Latency {
	return openapi.Latency{Mean: endpoint.Deref(l.Mean), P50: endpoint.Deref(l.P50), P95: endpoint.Deref(l.P95), P99: endpoint.Deref(l.P99), Max: endpoint.Deref(l.Max)}
}

func databaseOf(sections report.Sections) openapi.DatabaseMetrics {
	pool, queries := sections.DatabasePool, sections.Queries
	m := openapi.DatabaseMetrics{
		Pool:    openapi.PoolMetrics{Utilization: endpoint.Deref(pool.Utilization), PeakUtilization: endpoint.Deref(pool.PeakUtilization)},
		Queries: make([]openapi.QueryMetrics, len(queries.Slowest)),
	}
	for _, replica := range pool.Replicas {
		m.Pool.Max = max(m.Pool.Max, replica.Max)
		m.Pool.Waits += replica.EmptyAcquires
	}
	for i, q := range queries.Slowest {
		m.Queries[i] = openapi.QueryMetrics{Query: q.Name, Count: q.Executed, Errors: q.Errors, LatencyMs: latencyOf(q.Latency)}
	}
	return m
}
