package postgres_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/watchbill/watchbill/internal/observe/metrics"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/sketch"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// noon is the start of an hour in the past.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func latencies(seconds ...float64) *sketch.Sketch {
	s := &sketch.Sketch{}
	for _, one := range seconds {
		s.Add(one)
	}
	return s
}

// busyMinute returns a minute with requests to three endpoints, two queries, polls and a pool.
func busyMinute(at time.Time, change ...func(*metrics.MinuteRollup)) metrics.MinuteRollup {
	m := metrics.MinuteRollup{
		Minute: at, Covered: time.Minute,
		Requests: []metrics.RequestRollup{
			{Route: "/a", Method: "GET", ByStatus: map[int]int64{200: 2, 503: 1}, Sketch: latencies(.01, .02, .5).Encode(), BytesIn: 30, BytesOut: 300},
			{Route: "/a", Method: "POST", ByStatus: map[int]int64{201: 1}, Sketch: latencies(.1).Encode(), BytesIn: 10, BytesOut: 1},
			{Route: "/b", Method: "GET", ByStatus: map[int]int64{404: 1}, Sketch: latencies(.001).Encode(), BytesIn: 1, BytesOut: 2},
			{Route: metrics.HeldIntervalsRoute, Method: metrics.AnyMethod, ByStatus: map[int]int64{0: 2500}, Sketch: latencies().Encode()},
			{Route: metrics.HeldPollsRoute, Method: metrics.AnyMethod, ByStatus: map[int]int64{0: 1}, Sketch: latencies().Encode()},
		},
		Queries: []metrics.QueryRollup{
			{Name: "One", Count: 2, Errors: 1, Sketch: latencies(.001, .003).Encode()},
			{Name: "Two", Count: 1, Sketch: latencies(.2).Encode()},
		},
		Polls: metrics.PollRollup{Delivered: 1, Empty: 2, NotModified: 3, Failed: 4},
		Pool:  metrics.PoolRollup{Max: 8, InUseSum: 60, Samples: 30, Peak: 5, Acquires: 100, EmptyAcquires: 7, WaitSeconds: .25},
	}
	for _, c := range change {
		c(&m)
	}
	return m
}

func (r *replica) write(t tester, name string, minutes ...metrics.MinuteRollup) {
	t.Helper()
	if err := r.rollups.WriteRollups(t.Context(), metrics.Rollups{Replica: name, Minutes: minutes}); err != nil {
		t.Fatal(err)
	}
}

// facts returns the facts of a number of hours from noon.
func (r *replica) facts(t tester, hours int) report.Facts {
	t.Helper()
	return r.factsOf(t, report.Window{From: noon, To: noon.Add(time.Duration(hours) * time.Hour)})
}

func (r *replica) factsOf(t tester, w report.Window) report.Facts {
	t.Helper()
	f, err := r.rollups.Facts(t.Context(), w, report.Parts{Queries: true})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// diffFacts compares facts, and sketches by their contents.
func diffFacts(want, got report.Facts) string {
	return cmp.Diff(want, got, cmp.Comparer(func(x, y *sketch.Sketch) bool { return bytes.Equal(x.Encode(), y.Encode()) }))
}

func TestFactsSumOverReplicasAndMinutes(t *testing.T) {
	t.Parallel()
	_, r := newFleet(t)
	later := func(m *metrics.MinuteRollup) {
		m.Pool.Peak, m.Pool.Max, m.Pool.Samples, m.Covered = 9, 16, 10, 30*time.Second
	}
	r.write(t, "r1", busyMinute(noon), busyMinute(noon.Add(59*time.Minute), later))
	r.write(t, "r2", busyMinute(noon))
	r.write(t, "r1", busyMinute(noon.Add(-time.Minute)), busyMinute(noon.Add(time.Hour))) // just outside the window

	want := report.Facts{
		Window: report.Window{From: noon, To: noon.Add(time.Hour)}, CoveredSeconds: 90,
		Endpoints: []report.EndpointFacts{
			{Method: "GET", Route: "/a", ByStatus: map[int]int64{200: 6, 503: 3}, Latency: latencies(.01, .02, .5, .01, .02, .5, .01, .02, .5), BytesIn: 90, BytesOut: 900},
			{Method: "POST", Route: "/a", ByStatus: map[int]int64{201: 3}, Latency: latencies(.1, .1, .1), BytesIn: 30, BytesOut: 3},
			{Method: "GET", Route: "/b", ByStatus: map[int]int64{404: 3}, Latency: latencies(.001, .001, .001), BytesIn: 3, BytesOut: 6},
		},
		Polls: report.PollFacts{Delivered: 3, Empty: 6, NotModified: 9, Failed: 12, Held: 3, HeldIntervals: 7.5},
		Pool: []report.PoolFacts{
			{Replica: "r1", Max: 16, InUseMean: 3, InUsePeak: 9, Acquires: 200, EmptyAcquires: 14, WaitSeconds: .5},
			{Replica: "r2", Max: 8, InUseMean: 2, InUsePeak: 5, Acquires: 100, EmptyAcquires: 7, WaitSeconds: .25},
		},
		Queries: []report.QueryFacts{
			{Name: "One", Count: 6, Errors: 3, Latency: latencies(.001, .003, .001, .003, .001, .003)},
			{Name: "Two", Count: 3, Latency: latencies(.2, .2, .2)},
		},
	}
	got := r.facts(t, 1)
	if diff := diffFacts(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	without, err := r.rollups.Facts(t.Context(), want.Window, report.Parts{})
	if err != nil {
		t.Fatal(err)
	}
	want.Queries = nil
	if diff := diffFacts(want, without); diff != "" {
		t.Errorf("without queries (-want +got):\n%s", diff)
	}
}

func TestFactsWithoutRows(t *testing.T) {
	t.Parallel()
	_, r := newFleet(t)
	want := report.Facts{Window: report.Window{From: noon, To: noon.Add(time.Hour)}}
	if diff := diffFacts(want, r.facts(t, 1)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRewrittenRollupsReplaceThemselves(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t)
	half := busyMinute(noon, func(m *metrics.MinuteRollup) {
		m.Covered, m.Requests, m.Queries, m.Polls.Empty = 20*time.Second, m.Requests[:1], m.Queries[:1], 1
	})
	r.write(t, "r1", half)
	r.write(t, "r1", busyMinute(noon), busyMinute(noon.Add(time.Minute)))
	once := r.facts(t, 1)
	var g errgroup.Group
	for range 4 {
		other := newReplica(t, postgres.Config{URL: db.url})
		g.Go(func() error {
			return other.rollups.WriteRollups(t.Context(), metrics.Rollups{
				Replica: "r1", Minutes: []metrics.MinuteRollup{busyMinute(noon), busyMinute(noon.Add(time.Minute))},
			})
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if diff := diffFacts(once, r.facts(t, 1)); diff != "" {
		t.Errorf("written many times at once (-once +now):\n%s", diff)
	}
	if once.CoveredSeconds != 120 || once.Polls.Empty != 4 || len(once.Endpoints) != 3 {
		t.Errorf("want the half minute replaced by the whole, got %+v", once)
	}
}

func TestRollupsAreWrittenAtomically(t *testing.T) {
	t.Parallel()
	_, r := newFleet(t)
	broken := busyMinute(noon, func(m *metrics.MinuteRollup) { m.Queries[1].Sketch = nil })
	err := r.rollups.WriteRollups(t.Context(), metrics.Rollups{Replica: "r1", Minutes: []metrics.MinuteRollup{busyMinute(noon), broken}})
	if err == nil {
		t.Fatal("want it refused")
	}
	if f := r.facts(t, 1); len(f.Endpoints)+len(f.Pool) != 0 {
		t.Errorf("want nothing written, got %+v", f)
	}
}

// TestCoveredSeconds checks that the covered time of a minute is that of the replica that was up longest in it.
func TestCoveredSeconds(t *testing.T) {
	t.Parallel()
	type up map[string]time.Duration // by replica, in one minute
	for name, tt := range map[string]struct {
		minutes []up
		want    float64
	}{
		"none":               {nil, 0},
		"one replica":        {[]up{{"r1": time.Minute}, {"r1": 30 * time.Second}}, 90},
		"overlapping":        {[]up{{"r1": time.Minute, "r2": 20 * time.Second}, {"r1": 10 * time.Second, "r2": 50 * time.Second}}, 110},
		"a gap":              {[]up{{"r1": time.Minute}, {}, {"r2": time.Minute}}, 120},
		"more than there is": {[]up{{"r1": 61 * time.Second}}, 60},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, r := newFleet(t)
			for i, minute := range tt.minutes {
				for replica, covered := range minute {
					at := noon.Add(time.Duration(i) * time.Minute)
					r.write(t, replica, metrics.MinuteRollup{Minute: at, Covered: covered})
				}
			}
			for _, when := range []string{"in minutes", "in hours"} {
				if got := r.facts(t, 1).CoveredSeconds; got != tt.want {
					t.Errorf("%s: want %g, got %g", when, tt.want, got)
				}
				r.cleanUp(t, noon.Add(24*time.Hour), postgres.Retention{RollupMinutes: time.Hour})
			}
		})
	}
}

// TestResponsesByAudience checks that responses to unknown callers
// are counted separately, also for replicas of an earlier release.
func TestResponsesByAudience(t *testing.T) {
	t.Parallel()
	r := newReplica(t, postgres.Config{URL: newDatabase(t).url})
	none := latencies().Encode()
	r.write(t, "new", metrics.MinuteRollup{Minute: noon, Covered: time.Minute, Requests: []metrics.RequestRollup{
		{Route: "/a", Method: "GET", ByStatus: map[int]int64{200: 2, 403: 1}, Sketch: latencies(.01, .02, .5).Encode()},
		{Route: metrics.ProbeRoute, Method: metrics.AnyMethod, ByStatus: map[int]int64{200: 7, 503: 1}, Sketch: none},
		{Route: metrics.UnauthenticatedRoute, Method: metrics.AnyMethod, ByStatus: map[int]int64{200: 1, 401: 9, 404: 2}, Sketch: none},
	}})
	r.write(t, "old", metrics.MinuteRollup{Minute: noon, Covered: time.Minute, Requests: []metrics.RequestRollup{
		{Route: "/a", Method: "GET", ByStatus: map[int]int64{200: 1, 401: 30}, Sketch: latencies(.01).Encode()},
		{Route: "/readyz", Method: "GET", ByStatus: map[int]int64{503: 100}, Sketch: latencies(.01).Encode()},
		{Route: "/livez", Method: "HEAD", ByStatus: map[int]int64{200: 50}, Sketch: latencies(.01).Encode()},
	}})
	for _, when := range []string{"by the minute", "by the hour"} {
		f := r.facts(t, 1)
		if len(f.Endpoints) != 1 || f.Endpoints[0].Route != "/a" {
			t.Fatalf("%s: got the endpoints %+v, want /a", when, f.Endpoints)
		}
		for _, diff := range []string{
			cmp.Diff(map[int]int64{200: 3, 403: 1}, f.Endpoints[0].ByStatus),
			cmp.Diff(map[int]int64{200: 1, 401: 39, 404: 2}, f.Unauthenticated),
			cmp.Diff(map[int]int64{200: 57, 503: 101}, f.Probes),
		} {
			if diff != "" {
				t.Errorf("%s (-want +got):\n%s", when, diff)
			}
		}
		if err := r.rollups.CleanUp(t.Context(), noon.Add(24*time.Hour), postgres.Retention{Deployments: 1e18, Reports: 1e18, Rollups: 1e17, RollupMinutes: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
}
