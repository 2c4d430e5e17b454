package server

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/observe/metrics"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/sketch"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	get := func(want int) openapi.Health {
		t.Helper()
		var h openapi.Health
		a.send(t, request{method: "GET", path: "/api/health"}).want(want).decode(&h)
		return h
	}
	if h := get(http.StatusOK); h.Status != "ok" || !h.Database.Reachable || h.Database.SchemaVersion < 1 || h.Database.Pool.Max != 8 || h.Version != "test" {
		t.Errorf("got %+v", h)
	}
	a.send(t, request{method: "GET", path: "/api/agents", token: adminToken}).want(http.StatusOK)
	if h := get(http.StatusOK); h.Requests.Total != 1 || h.Requests.RPS <= 0 {
		t.Errorf("want one request counted, got %+v", h.Requests)
	}
	a.send(t, request{method: "GET", path: "/livez"}).want(http.StatusOK)
	a.send(t, request{method: "HEAD", path: "/livez"}).want(http.StatusOK)
	a.send(t, request{method: "GET", path: "/readyz"}).want(http.StatusOK)

	a.ready = func() error { return errors.New("draining") }
	got := a.send(t, request{method: "GET", path: "/readyz"}).want(http.StatusServiceUnavailable)
	if p := got.problem(); p.Detail != "draining" || got.Header().Get("Retry-After") == "" {
		t.Errorf("got %+v, %v", p, got.Header())
	}
	if h := get(http.StatusOK); h.Requests.Total != 1 || h.Requests.ErrorRate != 0 {
		t.Errorf("health checks count: %+v", h.Requests)
	}
}

// fakeDatabase is a Database with a given pool sample and Ping error.
type fakeDatabase struct {
	err  error
	pool metrics.PoolSample
}

func (f fakeDatabase) Ping(context.Context) (int64, error) { return 1, f.err }
func (f fakeDatabase) Pool() metrics.PoolSample            { return f.pool }

func TestHealthIsDegradedOrDown(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		database fakeDatabase
		strains  []string
		code     int
		status   openapi.HealthStatus
	}{
		"strained":    {fakeDatabase{}, []string{"the queue is full"}, http.StatusOK, "degraded"},
		"a busy pool": {fakeDatabase{pool: metrics.PoolSample{Max: 10, InUse: 8}}, nil, http.StatusOK, "degraded"},
		"not busy":    {fakeDatabase{pool: metrics.PoolSample{Max: 10, InUse: 7}}, nil, http.StatusOK, "ok"},
		"away":        {fakeDatabase{err: errors.New("away")}, []string{"the queue is full"}, http.StatusServiceUnavailable, "down"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAPI(t, func(o *Options) {
				o.Database, o.Strains = tt.database, func() []string { return tt.strains }
			})
			var h openapi.Health
			a.send(t, request{method: "GET", path: "/api/health"}).want(tt.code).decode(&h)
			if h.Status != tt.status || (h.Status == "ok") != (len(h.Reasons) == 0) {
				t.Errorf("got %+v, want %s", h, tt.status)
			}
		})
	}
}

func TestMetricsWithoutData(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	var m openapi.Metrics
	a.send(t, request{method: "GET", path: "/api/metrics?hours=1"}).want(http.StatusOK).decode(&m)
	if got := m.Window.To.Sub(m.Window.From).Hours(); got < 1 || got > 1.05 || m.Totals.Requests != 0 {
		t.Errorf("got %+v", m)
	}
	var p openapi.PendingDeploymentsMetrics
	a.send(t, request{method: "GET", path: "/api/metrics/pending-deployments"}).want(http.StatusOK).decode(&p)
	if p.Route != "/api/deployments/pending/{agent_id}" {
		t.Errorf("got %+v", p)
	}
}

func TestMetricsBetweenTwoTimes(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	now := time.Now().UTC().Truncate(time.Minute)
	at := func(hours int) string { return now.Add(time.Duration(hours) * time.Hour).Format(time.RFC3339) }
	tests := map[string]struct {
		query, token string
		code         int
		from, to     int // hours from now
	}{
		"within":                   {"from=" + at(-3) + "&to=" + at(-1), adminToken, http.StatusOK, -3, -1},
		"to alone":                 {"to=" + at(-1), adminToken, http.StatusOK, -25, -1},
		"a week without a token":   {"from=" + at(-168) + "&to=" + at(0), "", http.StatusOK, -168, 0},
		"longer without a token":   {"from=" + at(-169) + "&to=" + at(0), "", http.StatusBadRequest, 0, 0},
		"longer":                   {"from=" + at(-169) + "&to=" + at(0), adminToken, http.StatusOK, -169, 0},
		"the wrong way around":     {"from=" + at(-1) + "&to=" + at(-2), adminToken, http.StatusBadRequest, 0, 0},
		"in the future":            {"to=" + at(1), adminToken, http.StatusBadRequest, 0, 0},
		"hours and from":           {"hours=1&from=" + at(-1), adminToken, http.StatusBadRequest, 0, 0},
		"longer than a year":       {"from=" + at(-report.MaxHours-1), adminToken, http.StatusBadRequest, 0, 0},
		"no time":                  {"from=yesterday", adminToken, http.StatusBadRequest, 0, 0},
		"no time without a token":  {"from=yesterday", "", http.StatusBadRequest, 0, 0},
		"two times of one meaning": {"from=" + at(-1) + "&to=" + at(-1), "", http.StatusBadRequest, 0, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			paths := []string{"/api/metrics", "/api/metrics/pending-deployments"}
			if tt.token != "" {
				paths = append(paths, "/api/admin/metrics")
			}
			for _, path := range paths {
				got := a.send(t, request{method: "GET", path: path + "?" + tt.query, token: tt.token}).want(tt.code)
				if tt.code != http.StatusOK {
					continue
				}
				var m struct {
					Window  openapi.ExecutionWindow
					Metrics struct{ Window openapi.ExecutionWindow }
				}
				got.decode(&m)
				window := cmp.Or(m.Window, m.Metrics.Window)
				want := openapi.ExecutionWindow{From: now.Add(time.Duration(tt.from) * time.Hour), To: now.Add(time.Duration(tt.to) * time.Hour)}
				if !window.From.Equal(want.From) || !window.To.Equal(want.To) {
					t.Errorf("%s: got %+v, want %+v", path, window, want)
				}
			}
		})
	}
}

// The metrics and a report over the same window agree.
func TestMetricsAgreeWithReports(t *testing.T) {
	t.Parallel()
	a := newAPI(t, func(o *Options) { o.Measurements = measured{} })
	var m openapi.Metrics
	a.send(t, request{method: "GET", path: "/api/metrics?hours=1", token: adminToken}).want(http.StatusOK).decode(&m)
	var p openapi.PendingDeploymentsMetrics
	a.send(t, request{method: "GET", path: "/api/metrics/pending-deployments?hours=1"}).want(http.StatusOK).decode(&p)
	var doc report.Document
	a.send(t, request{method: "POST", path: "/api/reports", token: adminToken, body: `{"hours":1}`}).want(http.StatusCreated).decode(&doc)

	if want := *doc.Sections.Summary.RPS; m.Totals.RPS != want || m.Totals.Requests != 400 || m.Totals.ErrorRate != *doc.Sections.Summary.ErrorRate {
		t.Errorf("got %+v, want %v requests a second of 400", m.Totals, want)
	}
	pending := doc.Sections.PendingDeployments
	if p.Requests != 300 || p.RPSPerAgent != *pending.RPSPerAgent || p.EmptyRatio != *pending.EmptyRatio || p.LatencyMs.P99 != *pending.Latency.P99 ||
		p.ErrorsByStatus["503"] != 10 || p.Window.CoveredSeconds != 600 {
		t.Errorf("got %+v, want %+v", p, pending)
	}
	if m.Unauthenticated.Requests != 8 || m.Unauthenticated.ErrorsByStatus["401"] != 7 || m.Probes.Requests != 11 || m.Probes.ErrorsByStatus["503"] != 2 {
		t.Errorf("got %+v and %+v of others", m.Unauthenticated, m.Probes)
	}
	if len(m.Endpoints) != 2 || m.Database.Pool.Utilization != 0.5 || m.Database.Pool.Max != 8 || m.Database.Queries[0].Query != "Slow" {
		t.Errorf("got %+v", m)
	}
}

// measured is a Measurements that returns fixed facts for any window.
type measured struct{}

func (measured) Facts(_ context.Context, w report.Window, _ report.Parts) (report.Facts, error) {
	var latency sketch.Sketch
	for i := range 300 {
		latency.Add(float64(i) / 1000)
	}
	return report.Facts{
		Window: w, CoveredSeconds: 600,
		Endpoints: []report.EndpointFacts{
			{Method: report.PendingMethod, Route: report.PendingRoute, ByStatus: map[int]int64{200: 90, 304: 200, 503: 10}, Latency: &latency},
			{Method: "GET", Route: "/livez", ByStatus: map[int]int64{200: 100}, Latency: &latency},
		},
		Unauthenticated: map[int]int64{200: 1, 401: 7}, Probes: map[int]int64{200: 9, 503: 2},

		Polls:   report.PollFacts{Empty: 80, NotModified: 200, Delivered: 10, Failed: 10},
		Agents:  report.AgentFacts{Polling: 5, ExpectedRPS: 0.5, Online: 5},
		Pool:    []report.PoolFacts{{Replica: "a", Max: 8, InUseMean: 4, InUsePeak: 8, Acquires: 10, EmptyAcquires: 1}},
		Queries: []report.QueryFacts{{Name: "Slow", Count: 300, Latency: &latency}},
	}, nil
}

func TestReports(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	create := func(body string) response {
		return a.send(t, request{method: "POST", path: "/api/reports", token: adminToken, body: body})
	}
	var r openapi.Report
	create(`{"name":"daily","hours":12,"sections":["summary","indexes"]}`).want(http.StatusCreated).decode(&r)
	if r.Name != "daily" || r.Verdict != "NoData" || len(r.Sections) != 2 || len(r.Objectives) == 0 {
		t.Errorf("got %+v", r)
	}
	create(`{}`).want(http.StatusCreated)
	p := create(`{"hours":0,"sections":["nope"],"objectives":[{"name":"x","latency":{"route":"/","quantile":"2","threshold":"1s"}}]}`).
		want(http.StatusBadRequest).problem()
	if p.Field != "hours" || len(p.Errors) != 3 || p.Errors[2].Field != "objectives[0].latency.quantile" {
		t.Errorf("got %+v, want all three faults", p)
	}

	var list openapi.ReportList
	a.send(t, request{method: "GET", path: "/api/reports?limit=1", token: adminToken}).want(http.StatusOK).decode(&list)
	if len(list.Reports) != 1 || list.NextCursor == "" || list.Reports[0].Name != "report" {
		t.Errorf("got %+v", list)
	}
	a.send(t, request{method: "GET", path: "/api/reports?cursor=" + list.NextCursor, token: adminToken}).want(http.StatusOK).decode(&list)
	if len(list.Reports) != 1 || list.Reports[0].ID != r.ID {
		t.Errorf("got %+v", list)
	}

	path := "/api/reports/" + r.ID
	for format, want := range map[string]string{"": "application/json", "?format=json": "application/json", "?format=markdown": "text/markdown", "?format=csv": "text/csv", "?format=html": "text/html"} {
		got := a.send(t, request{method: "GET", path: path + format, token: adminToken}).want(http.StatusOK)
		if mediaType := got.Header().Get("Content-Type"); !strings.HasPrefix(mediaType, want) || !strings.Contains(got.Body.String(), "daily") {
			t.Errorf("%s: got %s\n%s", format, mediaType, got.Body)
		}
	}
	a.send(t, request{method: "GET", path: "/api/reports/0197a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b", token: adminToken}).want(http.StatusNotFound)
}

func TestOpenAPIDocument(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	got := a.send(t, request{method: "GET", path: "/api/openapi.yaml"}).want(http.StatusOK)
	if got.Body.String() != string(openapi.Spec) {
		t.Error("it is not the document")
	}
	tag := map[string]string{"If-None-Match": `"other", ` + got.Header().Get("ETag")}
	a.send(t, request{method: "GET", path: "/api/openapi.yaml", header: tag}).want(http.StatusNotModified)
}
