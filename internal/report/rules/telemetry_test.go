package rules_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/prometheus/promql/parser"
	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/observe/metrics"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/report/rules"
)

// measuring returns the API's metrics after one event of every kind.
func measuring(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	now := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	reg := metrics.NewRegistry(metrics.BuildInfo{Version: "1", GoVersion: "go"})
	metrics.NewRecorder(reg, now).Route(report.PendingMethod, report.PendingRoute).Observe(304, time.Millisecond, 0, 0)
	metrics.NewQueryObserver(reg, zap.NewNop(), now).ObserveQuery("Ping", time.Millisecond, nil, "")
	reg.MustRegister(metrics.NewPoolCollector(func() metrics.PoolSample { return metrics.PoolSample{Max: 4, InUse: 1} }))
	metrics.NewFleetGauges(reg, time.Minute, clock).Set(metrics.FleetSample{
		Taken: now, Agents: map[string]int64{"online": 1, "late": 1, "offline": 1},
	})
	metrics.NewLedgerMetrics(reg)
	metrics.NewDayCostGauge(reg, time.Minute, clock).Set(metrics.DayCost{Taken: now})
	cost := int64(1)
	metrics.NewExecutionMetrics(reg, time.Now).Observe([]execution.Execution{{
		AgentName: "helper", Model: "m", Request: true, Status: execution.Success, Cost: &cost, Tokens: execution.Tokens{Input: 1, Used: 1},
	}})
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]*dto.MetricFamily{}
	for _, f := range families {
		byName[f.GetName()] = f
	}
	return byName
}

// TestBounds compares the list of thresholds with the actual buckets of the API's histograms.
func TestBounds(t *testing.T) {
	t.Parallel()
	families := measuring(t)
	for _, name := range []string{"watchbill_http_request_duration_seconds", "watchbill_db_query_duration_seconds"} {
		var got []time.Duration
		for _, bucket := range families[name].GetMetric()[0].GetHistogram().GetBucket() {
			got = append(got, time.Duration(bucket.GetUpperBound()*float64(time.Second)))
		}
		if diff := cmp.Diff(rules.Bounds(), got); diff != "" {
			t.Errorf("%s: rules -, buckets +:\n%s", name, diff)
		}
	}
}

// TestSeriesExist compares the metrics and labels that rules read with the API's actual ones.
func TestSeriesExist(t *testing.T) {
	t.Parallel()
	families := measuring(t)
	window := daily(latency("slow", "GET", "/a", "0.99", "1s"), errorRate("0.01", "/a"), success("0.9", "helper"), queryTime("0.99", "100ms"),
		pool("0.8"), polling("0.1", "0.5"), cost("day", "50", ""), cost("window", "7.5", objective.PeriodWindow))
	window.Window = time.Hour
	file, _ := build(t, window, rules.Options{})
	read, recorded := map[string]bool{}, map[string]bool{}
	for _, g := range file.Groups {
		for _, rule := range g.Rules {
			recorded[rule.Record] = true
			expr, err := parser.ParseExpr(rule.Expr)
			if err != nil {
				t.Fatal(err)
			}
			for _, matchers := range parser.ExtractSelectors(expr) {
				name, labels := "", []string{}
				for _, m := range matchers {
					if m.Name == "__name__" {
						name = m.Value
					} else {
						labels = append(labels, m.Name)
					}
				}
				read[name] = true
				checkSeries(t, families, recorded, name, labels)
			}
		}
	}
	for name := range recorded {
		if name != "" && !read[name] && !strings.HasPrefix(name, "watchbill:objective_bad_events:ratio") && !strings.HasPrefix(name, "watchbill:objective_error_budget_remaining:") {
			t.Errorf("nobody reads %s", name)
		}
	}
}

// checkSeries checks that a series is one of the API's, or was recorded before. The controller's are covered by its tests.
func checkSeries(t *testing.T, families map[string]*dto.MetricFamily, recorded map[string]bool, name string, labels []string) {
	t.Helper()
	if strings.HasPrefix(name, "watchbill:") {
		if !recorded[name] {
			t.Errorf("%s is read before it is recorded", name)
		}
		return
	}
	if strings.HasPrefix(name, "watchbill_report_") {
		return
	}
	has := map[string]bool{}
	base := strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_count")
	family := families[base]
	if family == nil {
		t.Errorf("the API has no %s", name)
		return
	}
	for _, pair := range family.GetMetric()[0].GetLabel() {
		has[pair.GetName()] = true
	}
	has["le"] = strings.HasSuffix(name, "_bucket")
	for _, label := range labels {
		if !has[label] {
			t.Errorf("%s has no label %s, but %v", name, label, slices.Sorted(maps.Keys(has)))
		}
	}
}
