package metrics

import (
	"bufio"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/observe"
)

// series returns the values of the metrics of reg whose names begin with prefix, by name and labels as in the text
// format. The value of a histogram is its count.
func series(t *testing.T, reg prometheus.Gatherer, prefix string) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, family := range families {
		if !strings.HasPrefix(family.GetName(), prefix) {
			continue
		}
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			value := m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			got[family.GetName()+"{"+strings.Join(labels, ",")+"}"] = value
		}
	}
	return got
}

// everything returns a registry with all metrics, each with a value.
func everything() *prometheus.Registry {
	reg := NewRegistry(BuildInfo{Version: "v1.2.3", GoVersion: "go1.26"})
	rec := NewRecorder(reg, epoch)
	rec.Route("GET", "/x").Observe(200, time.Millisecond, 0, 1)
	rec.Route("GET", "/x").ObserveOther(observe.Probe, 200)
	rec.Poll(PollEmpty)
	queries := NewQueryObserver(reg, zap.NewNop(), epoch)
	queries.ObserveQuery("GetAgent", time.Millisecond, errors.New("x"), "")
	reg.MustRegister(NewPoolCollector(func() PoolSample { return PoolSample{Max: 10, InUse: 3, AcquireWait: time.Second} }))
	NewFleetGauges(reg, time.Minute, func() time.Time { return epoch }).Set(FleetSample{
		Taken: epoch, Agents: map[string]int64{"online": 3, "late": 0}, Deployments: map[string]int64{"pending": 2}, ExpectedPolls: 0.3,
	})
	NewDayCostGauge(reg, time.Minute, func() time.Time { return epoch }).Set(DayCost{Taken: epoch, USD: 1.5})
	NewFlusher(reg, FlusherOptions{})
	NewExecutionMetrics(reg, time.Now).Observe([]execution.Execution{
		{AgentName: "tutor", Model: "gpt-5", Status: execution.Success, Request: true, Tokens: execution.Tokens{Input: 9, Used: 9}, Cost: new(int64(1))},
	})
	ledger := NewLedgerMetrics(reg)
	ledger.ObserveCommit(10, time.Millisecond, nil)
	ledger.ObserveRows(10, 0, 0, 0)
	reg.MustRegister(
		NewLedgerQueueCollector(func() QueueSample { return QueueSample{Rows: 1, Bytes: 100, CapacityRows: 10} }),
		NewSpoolCollector(func() SpoolSample { return SpoolSample{Records: 1, Bytes: 100, CapacityBytes: 1000} }),
		NewRollupDeltasCollector(func() (int64, bool) { return 7, true }),
		NewContentCollector(func() ContentSample { return ContentSample{Waiting: 1, Bytes: 10, Kept: 1} }),
	)
	return reg
}

func TestMetricNames(t *testing.T) {
	reg := everything()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v, %v", problems, err)
	}
	got := make(map[string]bool)
	for _, family := range families {
		got[family.GetName()] = true
	}
	for _, want := range []string{
		"watchbill_http_requests_total", "watchbill_http_request_duration_seconds", "watchbill_polls_total",
		"watchbill_unauthenticated_requests_total", "watchbill_probe_requests_total",
		"watchbill_db_other_queries_total", "watchbill_db_other_query_seconds_total",
		"watchbill_db_pool_connections", "watchbill_db_pool_max_connections", "watchbill_db_pool_acquires_total",
		"watchbill_db_pool_empty_acquires_total", "watchbill_db_pool_acquire_wait_seconds_total",
		"watchbill_db_query_duration_seconds", "watchbill_db_query_errors_total", "watchbill_agents",
		"watchbill_deployments", "watchbill_agents_expected_polls_per_second", "watchbill_day_cost_usd",
		"watchbill_build_info", "watchbill_rollups_dropped_total",
		"watchbill_executions_total", "watchbill_execution_duration_seconds", "watchbill_tokens_total",
		"watchbill_cost_usd_total", "watchbill_unpriced_tokens_total",
		"watchbill_ledger_queue_rows", "watchbill_ledger_queue_bytes", "watchbill_ledger_queue_capacity_rows",
		"watchbill_ledger_batch_rows", "watchbill_ledger_commit_duration_seconds", "watchbill_ledger_rows_total",
		"watchbill_ledger_commit_failures_total", "watchbill_spool_records", "watchbill_spool_bytes",
		"watchbill_spool_capacity_bytes", "watchbill_spool_oldest_age_seconds", "watchbill_spool_replayed_total",
		"watchbill_spool_corrupt_total", "watchbill_rollup_deltas",
		"watchbill_log_contents_waiting", "watchbill_log_contents_waiting_bytes", "watchbill_log_contents_total",
		"go_goroutines", "process_start_time_seconds",
	} {
		if !got[want] {
			t.Errorf("there is no metric %s", want)
		}
	}
}

func TestMetricsHandler(t *testing.T) {
	server := httptest.NewServer(Handler(everything(), zap.NewNop()))
	defer server.Close()
	get := func(accept string) (contentType, body string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", accept)
		resp, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("status %d, %v", resp.StatusCode, err)
		}
		return resp.Header.Get("Content-Type"), string(b)
	}

	if kind, body := get("application/openmetrics-text; version=1.0.0"); !strings.HasPrefix(kind, "application/openmetrics-text") ||
		!strings.HasSuffix(body, "# EOF\n") || !strings.Contains(body, `le="0.05"`) {
		t.Errorf("asked for OpenMetrics, got %s", kind)
	}
	if kind, body := get("text/plain"); !strings.HasPrefix(kind, "text/plain") ||
		!strings.Contains(body, `watchbill_http_requests_total{code="500",method="GET",route="/x"} 0`) {
		t.Errorf("asked for text, got %s:\n%s", kind, body)
	}

	_, body := get("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited")
	decoder := expfmt.NewDecoder(bufio.NewReader(strings.NewReader(body)), expfmt.NewFormat(expfmt.TypeProtoDelim))
	for {
		var family dto.MetricFamily
		if err := decoder.Decode(&family); err != nil {
			t.Fatalf("no native histogram in the protobuf format: %v", err)
		}
		if family.GetName() == requestDuration {
			if h := family.GetMetric()[0].GetHistogram(); h.GetSchema() != nativeSchema || len(h.GetPositiveSpan()) == 0 {
				t.Errorf("got %v, want a native histogram", h)
			}
			return
		}
	}
}

const requestDuration = "watchbill_http_request_duration_seconds"

// TestHistogramsMatchReference checks that the histograms, which are cheaper to count, equal those of client_golang for
// the same observations.
func TestHistogramsMatchReference(t *testing.T) {
	latencies := prometheus.NewRegistry()
	rt := NewRecorder(latencies, epoch).Route("GET", "/x")
	checkHistogram(t, latencies, requestDuration, classicBuckets, time.Hour, func(d time.Duration) { rt.Observe(200, d, 0, 0) })

	executions := prometheus.NewRegistry()
	metrics := NewExecutionMetrics(executions, time.Now)
	e := execution.Execution{AgentName: "tutor", Status: execution.Success}
	metrics.Observe([]execution.Execution{e}) // creates the histogram
	e.Request = true
	checkHistogram(t, executions, "watchbill_execution_duration_seconds", durationBuckets.classic, execution.MaxDuration, func(d time.Duration) {
		e.Duration = d
		metrics.Observe([]execution.Execution{e})
	})
}

func checkHistogram(t *testing.T, reg prometheus.Gatherer, name string, classic []float64, longest time.Duration, observe func(time.Duration)) {
	t.Helper()
	referenceReg := prometheus.NewRegistry()
	reference := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: name, Buckets: classic, NativeHistogramBucketFactor: nativeFactor, NativeHistogramZeroThreshold: nativeZeroUpTo,
	})
	referenceReg.MustRegister(reference)
	histogram := func(g prometheus.Gatherer) *dto.Histogram {
		t.Helper()
		families, err := g.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			if family.GetName() == name {
				return family.GetMetric()[0].GetHistogram()
			}
		}
		t.Fatal("no histogram")
		return nil
	}
	check := func() {
		t.Helper()
		got, want := histogram(reg), histogram(referenceReg)
		if diff := got.GetSampleSum() - want.GetSampleSum(); diff > 1e-9*want.GetSampleSum()+1e-6 || diff < -1e-9*want.GetSampleSum()-1e-6 {
			t.Errorf("%s: sum %v, want %v", name, got.GetSampleSum(), want.GetSampleSum())
		}
		got.SampleSum, got.CreatedTimestamp, want.SampleSum, want.CreatedTimestamp = nil, nil, nil, nil
		if got.String() != want.String() {
			t.Errorf("got\n%v\nwant\n%v", got, want)
		}
	}

	check()
	observed := []time.Duration{0, 1, longest}
	for _, bound := range classic {
		at := time.Duration(bound * 1e9)
		observed = append(observed, at-1, at, at+1)
	}
	for range 20000 {
		observed = append(observed, time.Duration(rand.Int64N(int64(longest))>>rand.IntN(40)))
	}
	for _, d := range observed {
		observe(d)
		reference.Observe(d.Seconds())
	}
	check()
}

func TestHistogramOfImpossibleLatencies(t *testing.T) {
	reg := prometheus.NewRegistry()
	rt := NewRecorder(reg, epoch).Route("GET", "/x")
	for _, latency := range []time.Duration{-time.Hour, -1, 1000 * time.Hour, 1<<63 - 1} {
		rt.Observe(200, latency, -1, -1)
	}
	if got := series(t, reg, requestDuration)[requestDuration+"{method=GET,route=/x}"]; got != 4 {
		t.Errorf("count %v, want 4", got)
	}
}

func TestSlots(t *testing.T) {
	if len(slots) > maxSlots || len(statusCodes) > maxStatusCodes {
		t.Fatalf("%d slots and %d status codes, the arrays have %d and %d", len(slots), len(statusCodes), maxSlots, maxStatusCodes)
	}
	for i := 1; i < len(slots); i++ {
		if a, b := slots[i-1], slots[i]; a.upTo >= b.upTo || a.native > b.native || a.classic > b.classic {
			t.Errorf("slot %d is %+v, %d is %+v, want them to ascend", i-1, a, i, b)
		}
	}
}

func TestPoolCollector(t *testing.T) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(NewPoolCollector(func() PoolSample {
		return PoolSample{Max: 10, InUse: 5, Others: 2, Idle: 4, Constructing: 1, Acquires: 100, EmptyAcquires: 7, AcquireWait: 1500 * time.Millisecond}
	}))
	checkSeries(t, reg, "", map[string]float64{
		"watchbill_db_pool_connections{state=in_use}": 3,
		"watchbill_db_pool_connections{state=idle}":   4,

		"watchbill_db_pool_connections{state=in_use_unauthenticated}": 2,
		"watchbill_db_pool_connections{state=constructing}":           1,
		"watchbill_db_pool_max_connections{}":                         10,
		"watchbill_db_pool_acquires_total{}":                          100,
		"watchbill_db_pool_empty_acquires_total{}":                    7,
		"watchbill_db_pool_acquire_wait_seconds_total{}":              1.5,
	})
}

func TestFleetGaugesOmitUncounted(t *testing.T) {
	reg := prometheus.NewRegistry()
	now := epoch
	clock := func() time.Time { return now }
	gauges, cost := NewFleetGauges(reg, time.Minute, clock), NewDayCostGauge(reg, time.Minute, clock)
	checkSeries(t, reg, "", map[string]float64{})

	gauges.Set(FleetSample{
		Taken: epoch, Agents: map[string]int64{"online": 3, "offline": 0}, Deployments: map[string]int64{"pending": 1}, ExpectedPolls: 0.25,
	})
	cost.Set(DayCost{Taken: epoch, USD: 12.5})
	now = now.Add(time.Minute)
	checkSeries(t, reg, "", map[string]float64{
		"watchbill_agents{state=online}": 3, "watchbill_agents{state=offline}": 0, "watchbill_deployments{status=pending}": 1,
		"watchbill_agents_expected_polls_per_second{}": 0.25, "watchbill_day_cost_usd{}": 12.5,
	})

	now = now.Add(time.Nanosecond)
	checkSeries(t, reg, "", map[string]float64{})
}

func checkSeries(t *testing.T, reg prometheus.Gatherer, prefix string, want map[string]float64) {
	t.Helper()
	got := series(t, reg, prefix)
	for name, value := range want {
		if v, ok := got[name]; !ok || v != value {
			t.Errorf("%s is %v (there: %v), want %v", name, v, ok, value)
		}
	}
	for name, value := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s is %v, want no such series", name, value)
		}
	}
}
