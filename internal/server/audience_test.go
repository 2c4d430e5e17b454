package server

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/fleet/mailbox"
	"github.com/watchbill/watchbill/internal/observe"
	"github.com/watchbill/watchbill/internal/observe/metrics"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/server/traffic"
	"github.com/watchbill/watchbill/internal/testkit/await"
)

// countedOf returns the sum of a registry's counters with a name, and of the sample counts of its histograms.
func countedOf(t testing.TB, registry *prometheus.Registry, name string) (n float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			n += m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return n
}

// TestAudiences checks how requests are counted, mainly on routes that need no token. TestAccess has the others.
func TestAudiences(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	a := newAPI(t, func(o *Options) { o.Recorder = metrics.NewRecorder(registry, time.Now()) })
	agent := a.enroll(t, "a1")
	deleted := a.enroll(t, "a2")
	a.send(t, request{method: "DELETE", path: "/api/agents/a2", token: adminToken}).want(http.StatusNoContent)
	awaitUnknown(t, a, deleted)

	const unknown = "wba_nobody's"
	for _, tt := range []struct {
		method, path, token string
		status              int
		want                observe.Audience
	}{
		{"GET", "/nothing", "", 404, observe.Unauthenticated},
		{"GET", "/nothing", unknown, 404, observe.Unauthenticated},
		{"GET", "/nothing", agent, 404, observe.Known},
		{"GET", "/nothing", enrollmentToken, 404, observe.Known},
		{"PUT", "/api/agents", "", 405, observe.Unauthenticated},
		{"PUT", "/api/agents", ingestToken, 405, observe.Known},
		{"BREW", "/api/agents", adminToken, 405, observe.Known},
		{"GET", "/api/metrics?hours=0", "", 400, observe.Unauthenticated},
		{"GET", "/api/metrics", adminToken, 200, observe.Known},
		{"GET", "/api/metrics?admin_token=" + adminToken, "", 200, observe.Known},
		{"GET", "/api/metrics/pending-deployments", unknown, 200, observe.Unauthenticated},
		{"GET", "/api/openapi.yaml", "", 200, observe.Unauthenticated},
		{"GET", "/api/openapi.yaml", agent, 200, observe.Known},
		{"GET", "/livez", adminToken, 200, observe.Probe},
		{"GET", "/readyz", "", 200, observe.Probe},
		{"GET", "/api/health", agent, 200, observe.Probe},
		{"POST", "/livez", "", 405, observe.Unauthenticated},
		{"GET", "/api/deployments/pending/a2", deleted, 401, observe.Unauthenticated},
		{"GET", "/api/deployments/pending/a2", agent, 403, observe.Known},
		{"GET", "/api/deployments/pending/a1?wait=forever", agent, 400, observe.Known},
	} {
		names := []string{"watchbill_unauthenticated_requests_total", "watchbill_probe_requests_total", "watchbill_http_requests_total"}
		count := func() (all [3]float64) {
			for i, name := range names {
				all[i] = countedOf(t, registry, name)
			}
			return all
		}
		const latencies = "watchbill_http_request_duration_seconds"
		want, wantLatencies, polls := count(), countedOf(t, registry, latencies), countedOf(t, registry, "watchbill_polls_total")
		want[tt.want]++
		if tt.want == observe.Known {
			wantLatencies++
		}
		a.send(t, request{method: tt.method, path: tt.path, token: tt.token}).want(tt.status)
		if got := count(); got != want || countedOf(t, registry, latencies) != wantLatencies {
			t.Errorf("%s %s with %.8s: counted %v (unauthenticated, probes, known), want %v", tt.method, tt.path, tt.token, got, want)
		}
		if got := countedOf(t, registry, "watchbill_polls_total"); tt.want != observe.Known && got != polls {
			t.Errorf("%s %s with %.8s counts as a poll", tt.method, tt.path, tt.token)
		}
	}
}

// awaitUnknown waits until an agent's token is rejected.
func awaitUnknown(t testing.TB, a *api, token string) {
	t.Helper()
	await.Until(t, "the token is unknown", func() bool {
		_, err := a.mailbox.Authenticate(t.Context(), token)
		return err != nil
	})
}

// silentSource is a Source that blocks in every sweep but the first, until it is released.
type silentSource struct {
	mailbox.Source
	swept    bool
	released chan struct{}
}

func (s *silentSource) Sweep(ctx context.Context, _ string, _ []string, into mailbox.Sink) (string, error) {
	if !s.swept {
		s.swept = true
		into.Full()
		return "1", nil
	}
	select {
	case <-s.released:
		return "2", nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// LookUpTokens finds no token, once it is released.
func (s *silentSource) LookUpTokens(ctx context.Context, _ []fleet.TokenHash) ([]fleet.TokenHash, error) {
	select {
	case <-s.released:
		return nil, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (*silentSource) SavePresence(context.Context, []mailbox.Sighting) error { return nil }

// A limited number of unknown tokens wait to be looked up by the mailbox at a time, without an effect on known callers.
func TestUnknownTokensWaitApart(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	a.unknown = newWaitingTokens(2)
	one, two, three := fleet.HashToken("wba_1"), fleet.HashToken("wba_2"), fleet.HashToken("wba_3")
	for _, token := range []fleet.TokenHash{one, two, two, two} { // any number of requests may wait with one token
		if !a.unknown.enter(token) {
			t.Fatal("a request is refused")
		}
	}
	agent := a.enroll(t, "a1")
	poll := func(token string) response {
		return a.send(t, request{method: "GET", path: "/api/deployments/pending/a1", token: token})
	}
	got := poll("wba_nobody's").want(http.StatusTooManyRequests)
	if p := got.problem(); p.Code != "rate_limited" || got.Header().Get("Retry-After") == "" {
		t.Errorf("got %+v, %v", p, got.Header())
	}
	poll("nobody's").want(http.StatusUnauthorized) // not an agent token's format
	poll(agent).want(http.StatusOK)
	a.unknown.leave(two)
	poll("wba_nobody's").want(http.StatusTooManyRequests) // other requests still wait with token two
	a.unknown.leave(one)
	poll("wba_nobody's").want(http.StatusUnauthorized)
	if !a.unknown.enter(three) || a.unknown.enter(one) {
		t.Error("the place was not given back")
	}
}

// The time that an unknown token waits is not part of the request's logged duration.
func TestWaitOfUnknownTokensIsHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		source := &silentSource{released: make(chan struct{})}
		box := mailbox.New(mailbox.Options{Source: source, Log: zap.NewNop(), Now: time.Now})
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = box.Run(ctx) })
		defer running.Wait()
		defer cancel()
		synctest.Wait()
		time.AfterFunc(time.Second, func() { close(source.released) })

		s := &Server{mailbox: box, now: time.Now, unknown: newWaitingTokens(1), jitter: func() float64 { return 0.5 }}
		x := &endpoint.Exchange{ResponseWriter: httptest.NewRecorder(), Request: httptest.NewRequest("GET", "/", nil)}
		const token = "wba_nobody's"
		start := time.Now()
		if _, err := s.authenticateAgent(x, token, fleet.HashToken(token)); err == nil {
			t.Fatal("nobody's token is known")
		}
		if took := time.Since(start); took < 100*time.Millisecond+refusalSpread/2 || x.Held != took || x.Audience != observe.Unauthenticated {
			t.Errorf("waited %s, of which %s are held, as %s; want all, unauthenticated", took, x.Held, x.Audience)
		}
	})
}

// countingMeasurements counts reads of facts, and blocks them until proceed is closed.
type countingMeasurements struct {
	mu       sync.Mutex
	read     int
	audience observe.Audience
	proceed  chan struct{} // if nil, reads do not block
	err      error
}

func (m *countingMeasurements) Facts(ctx context.Context, w report.Window, _ report.Parts) (report.Facts, error) {
	m.mu.Lock()
	m.read++
	m.audience = observe.AudienceOf(ctx)
	err := m.err
	m.mu.Unlock()
	if m.proceed != nil {
		select {
		case <-m.proceed:
		case <-ctx.Done():
			return report.Facts{Window: w}, ctx.Err()
		}
	}
	return report.Facts{Window: w}, err
}

func (m *countingMeasurements) reads() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.read
}

func TestMetricsWithoutATokenAreCached(t *testing.T) {
	t.Parallel()
	facts := &countingMeasurements{}
	var mu sync.Mutex
	now := time.Now()
	clock := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	a := newAPI(t, func(o *Options) { o.Measurements, o.Now = facts, clock })
	const metrics, pending = "/api/metrics", "/api/metrics/pending-deployments"
	for i, step := range []struct {
		path, token string
		later       time.Duration
		want        int // reads so far
	}{
		{metrics + "?hours=1", "", 0, 1},
		{metrics + "?hours=1", "", 9 * time.Second, 1},
		{metrics + "?hours=2", "", 0, 2},
		{pending + "?hours=1", "", 0, 3},
		{pending + "?hours=1", "wba_nobody's", 0, 3},
		{metrics + "?hours=1", "", time.Second, 4},
		{metrics + "?hours=1", adminToken, 0, 5},
		{metrics + "?hours=1", adminToken, 0, 6},
	} {
		mu.Lock()
		now = now.Add(step.later)
		mu.Unlock()
		a.send(t, request{method: "GET", path: step.path, token: step.token}).want(http.StatusOK)
		if got := facts.reads(); got != step.want {
			t.Errorf("step %d, %s: the database was read %d times, want %d", i, step.path, got, step.want)
		}
	}
	facts.err = context.DeadlineExceeded
	a.send(t, request{method: "GET", path: metrics + "?hours=3"}).want(http.StatusServiceUnavailable)
	facts.err = nil
	a.send(t, request{method: "GET", path: metrics + "?hours=3"}).want(http.StatusOK)
}

func TestLongWindowsNeedAToken(t *testing.T) {
	t.Parallel()
	a := newAPI(t, func(o *Options) { o.Measurements = &countingMeasurements{} })
	agent := a.enroll(t, "a1")
	for _, path := range []string{"/api/metrics", "/api/metrics/pending-deployments"} {
		for _, tt := range []struct {
			hours int
			token string
			want  int
		}{
			{168, "", 200}, {169, "", 400}, {169, "wba_nobody's", 400}, {169, agent, 200}, {report.MaxHours, adminToken, 200}, {report.MaxHours + 1, adminToken, 400},
		} {
			got := a.send(t, request{method: "GET", path: fmt.Sprintf("%s?hours=%d", path, tt.hours), token: tt.token}).want(tt.want)
			if tt.want != 400 || tt.token == adminToken {
				continue
			}
			if p := got.problem(); p.Field != "hours" || !strings.Contains(p.Detail, "168") || !strings.Contains(p.Detail, "token") {
				t.Errorf("%s of %d hours: got %+v", path, tt.hours, p)
			}
		}
	}
}

// However many requests have no token, one response is computed for them at a time. Equal requests share it, and
// administrators' metrics and costs do not wait for it.
func TestMetricsWithoutATokenWaitApart(t *testing.T) {
	t.Parallel()
	facts := &countingMeasurements{proceed: make(chan struct{})}
	a := newAPI(t, func(o *Options) { o.Measurements = facts })
	get := func(hours int) int {
		return serve(a, request{method: "GET", path: fmt.Sprintf("/api/metrics?hours=%d", hours)}.http()).Code
	}
	var asking sync.WaitGroup
	codes := make(chan int, traffic.MaxWaiting)
	for i := range traffic.MaxWaiting {
		asking.Go(func() { codes <- get(1 + i%2) })
	}
	awaitCount(t, func() int { return len(a.traffic.Open.Waiting) }, traffic.MaxWaiting)
	if got := get(3); got != http.StatusTooManyRequests {
		t.Errorf("one more returned %d, want 429", got)
	}
	if got := facts.reads(); got != traffic.MaxComputing {
		t.Errorf("%d answers are computed at a time, want %d", got, traffic.MaxComputing)
	}
	if len(a.traffic.Computing) != 0 {
		t.Error("an administrator's metrics would wait")
	}
	close(facts.proceed)
	asking.Wait()
	close(codes)
	for code := range codes {
		if code != http.StatusOK {
			t.Errorf("got %d", code)
		}
	}
	if got := facts.reads(); got != 2 || facts.audience != observe.Unauthenticated {
		t.Errorf("%d answers were computed for %s, want 2", got, facts.audience)
	}
}

func awaitCount(t testing.TB, count func() int, want int) {
	t.Helper()
	await.Until(t, fmt.Sprintf("the count is %d", want), func() bool { return count() == want })
}
