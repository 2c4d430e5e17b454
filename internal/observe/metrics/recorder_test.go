package metrics

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/watchbill/watchbill/internal/observe"
	"github.com/watchbill/watchbill/internal/observe/logging"
	"github.com/watchbill/watchbill/internal/sketch"
)

func TestRecorderSeries(t *testing.T) {
	reg := prometheus.NewRegistry()
	rec := NewRecorder(reg, epoch)
	polls := rec.Route("GET", "/pending/{agent_id}", 304)
	if again := rec.Route("GET", "/pending/{agent_id}"); again != polls {
		t.Error("the same route registered again is another one")
	}
	rec.Route("POST", "/agents").Observe(201, time.Millisecond, 10, 20)
	polls.Observe(200, time.Millisecond, 0, 0)
	polls.Observe(200, time.Millisecond, 0, 0)
	for _, status := range []int{0, -1, 99, 299, 1 << 40} { // codes that the server does not return
		polls.Observe(status, time.Millisecond, 0, 0)
	}
	polls.Observe(499, time.Millisecond, 0, 0)
	rec.Unmatched("GET").Observe(404, time.Millisecond, 0, 0)
	rec.Unmatched("BREW").Observe(404, time.Millisecond, 0, 0)
	rec.Unmatched("get").Observe(405, time.Millisecond, 0, 0)
	rec.Poll(PollNotModified)
	polls.ObserveOther(observe.Unauthenticated, 401)
	polls.ObserveOther(observe.Unauthenticated, 1<<40)
	polls.ObserveOther(observe.Probe, 503)
	checkSeries(t, reg, "", map[string]float64{
		"watchbill_http_requests_total{code=200,method=GET,route=/pending/{agent_id}}":   2,
		"watchbill_http_requests_total{code=304,method=GET,route=/pending/{agent_id}}":   0,
		"watchbill_http_requests_total{code=500,method=GET,route=/pending/{agent_id}}":   0,
		"watchbill_http_requests_total{code=503,method=GET,route=/pending/{agent_id}}":   0,
		"watchbill_http_requests_total{code=499,method=GET,route=/pending/{agent_id}}":   1,
		"watchbill_http_requests_total{code=other,method=GET,route=/pending/{agent_id}}": 5,
		"watchbill_http_requests_total{code=200,method=POST,route=/agents}":              0,
		"watchbill_http_requests_total{code=201,method=POST,route=/agents}":              1,
		"watchbill_http_requests_total{code=500,method=POST,route=/agents}":              0,
		"watchbill_http_requests_total{code=503,method=POST,route=/agents}":              0,
		"watchbill_http_requests_total{code=200,method=GET,route=unmatched}":             0,
		"watchbill_http_requests_total{code=404,method=GET,route=unmatched}":             1,
		"watchbill_http_requests_total{code=405,method=GET,route=unmatched}":             0,
		"watchbill_http_requests_total{code=500,method=GET,route=unmatched}":             0,
		"watchbill_http_requests_total{code=503,method=GET,route=unmatched}":             0,
		"watchbill_http_requests_total{code=200,method=OTHER,route=unmatched}":           0,
		"watchbill_http_requests_total{code=404,method=OTHER,route=unmatched}":           1,
		"watchbill_http_requests_total{code=405,method=OTHER,route=unmatched}":           1,
		"watchbill_http_requests_total{code=500,method=OTHER,route=unmatched}":           0,
		"watchbill_http_requests_total{code=503,method=OTHER,route=unmatched}":           0,
		"watchbill_http_request_duration_seconds{method=GET,route=/pending/{agent_id}}":  8,
		"watchbill_http_request_duration_seconds{method=POST,route=/agents}":             1,
		"watchbill_http_request_duration_seconds{method=GET,route=unmatched}":            1,
		"watchbill_http_request_duration_seconds{method=OTHER,route=unmatched}":          2,
		"watchbill_polls_total{result=delivered}":                                        0,
		"watchbill_polls_total{result=empty}":                                            0,
		"watchbill_polls_total{result=not_modified}":                                     1,
		"watchbill_polls_total{result=unavailable}":                                      0,
		"watchbill_polls_total{result=unauthorized}":                                     0,
		"watchbill_held_polls_total{}":                                                   0,
		"watchbill_held_poll_intervals_total{}":                                          0,

		"watchbill_unauthenticated_requests_total{code=401,method=GET,route=/pending/{agent_id}}":   1,
		"watchbill_unauthenticated_requests_total{code=other,method=GET,route=/pending/{agent_id}}": 1,
		"watchbill_unauthenticated_requests_total{code=401,method=POST,route=/agents}":              0,
		"watchbill_unauthenticated_requests_total{code=401,method=GET,route=unmatched}":             0,
		"watchbill_unauthenticated_requests_total{code=401,method=OTHER,route=unmatched}":           0,
		"watchbill_probe_requests_total{code=503,method=GET,route=/pending/{agent_id}}":             1,
	})
}

func TestTotals(t *testing.T) {
	rec := NewRecorder(prometheus.NewRegistry(), epoch)
	for _, status := range []int{200, 304, 404, 429, 503, 777} {
		rec.Route("GET", "/x").Observe(status, 0, 0, 0)
		rec.Unmatched("PUT").Observe(status, 0, 0, 0)
		rec.Unmatched("PUT").ObserveOther(observe.Unauthenticated, status)
		rec.Route("GET", "/livez").ObserveOther(observe.Probe, status)
	}
	if got, want := rec.Totals(), (Totals{Requests: 12, ClientErrors: 4, ServerErrors: 2}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestDrainingWhileCounting checks that nothing is lost or counted twice if counts are drained concurrently.
func TestDrainingWhileCounting(t *testing.T) {
	reg := prometheus.NewRegistry()
	rec := NewRecorder(reg, epoch)
	queries := NewQueryObserver(reg, newTestLogs(t, logging.Options{Stdout: io.Discard, Level: "error"}).Queries, epoch)
	const counters, each = 4, 5000
	stop := make(chan struct{})
	total := newMinute(epoch)
	var drains, counting sync.WaitGroup
	drains.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				rec.drain(total)
				queries.drain(total)
				_, _ = reg.Gather()
			}
		}
	})
	for c := range counters {
		counting.Go(func() {
			rt := rec.Route("GET", fmt.Sprint("/", c%2))
			for i := range each {
				rt.Observe(200+i%3, time.Duration(i)*time.Microsecond, 1, 2)
				rec.Unmatched("GET").Observe(http.StatusNotFound, 0, 0, 0)
				rt.ObserveOther(observe.Unauthenticated, http.StatusUnauthorized)
				rec.Route("GET", "/livez").ObserveOther(observe.Probe, http.StatusServiceUnavailable)
				rec.Poll(PollResult(i % int(pollResults)))
				queries.ObserveQuery(fmt.Sprint("q", i%3), time.Microsecond, http.ErrBodyNotAllowed, "")
			}
		})
	}
	counting.Wait()
	close(stop)
	drains.Wait()
	rec.drain(total)
	queries.drain(total)

	got := total.rollup()
	if len(got.Requests) != 5 || len(got.Queries) != 3 {
		t.Fatalf("got %d routes and %d queries, want 5 and 3", len(got.Requests), len(got.Queries))
	}
	for _, other := range []struct {
		route  string
		status int
	}{{UnauthenticatedRoute, 401}, {ProbeRoute, 503}} {
		i := slices.IndexFunc(got.Requests, func(r RequestRollup) bool { return r.Route == other.route })
		if i < 0 {
			t.Fatalf("%s is missing", other.route)
		}
		r := got.Requests[i]
		if r.Method != AnyMethod || len(r.ByStatus) != 1 || r.ByStatus[other.status] != counters*each || decodeSketch(t, r.Sketch).Count() != 0 {
			t.Errorf("%s: got %+v, want %d and no latencies", other.route, r, counters*each)
		}
		got.Requests = slices.Delete(got.Requests, i, i+1)
	}
	for i, route := range []string{"/0", "/1", UnmatchedRoute} {
		r := got.Requests[i]
		var statuses int64
		for _, n := range r.ByStatus {
			statuses += n
		}
		want := int64(counters / 2 * each)
		if route == UnmatchedRoute {
			want = counters * each
		}
		if r.Route != route || statuses != want || int64(decodeSketch(t, r.Sketch).Count()) != want {
			t.Errorf("route %s: %d statuses, %d latencies, want %d", r.Route, statuses, decodeSketch(t, r.Sketch).Count(), want)
		}
		if route != UnmatchedRoute && (r.BytesIn != want || r.BytesOut != 2*want) {
			t.Errorf("route %s: %d bytes in, %d out, want %d and %d", r.Route, r.BytesIn, r.BytesOut, want, 2*want)
		}
	}
	var runs, failed int64
	for _, q := range got.Queries {
		runs, failed = runs+q.Count, failed+q.Errors
	}
	if runs != counters*each || failed != counters*each {
		t.Errorf("%d queries, %d failed, want %d", runs, failed, counters*each)
	}
	if want := (PollRollup{Delivered: 4000, Empty: 4000, NotModified: 4000, Failed: 8000}); got.Polls != want {
		t.Errorf("polls %+v, want %+v", got.Polls, want)
	}
}

func decodeSketch(t *testing.T, b []byte) *sketch.Sketch {
	t.Helper()
	s, err := sketch.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestObserveDoesNotAllocate(t *testing.T) {
	rec := NewRecorder(prometheus.NewRegistry(), epoch)
	rt := rec.Route("GET", "/x")
	if n := testing.AllocsPerRun(100, func() {
		rt.Observe(200, time.Millisecond, 1, 1)
		rec.Poll(PollEmpty)
	}); n != 0 {
		t.Errorf("%v allocations per request, want none", n)
	}
}
