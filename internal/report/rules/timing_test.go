package rules_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/report/rules"
)

// TestOutageWithProbes simulates the minimum traffic for an alert, while the probes of two replicas continue to succeed: the
// first page comes within 15 minutes.
func TestOutageWithProbes(t *testing.T) {
	t.Parallel()
	series := [][2]string{}
	for _, replica := range []string{"a", "b"} {
		labels := `{job="api",instance="` + replica + `",method="GET",route="/api/agents",code=`
		series = append(series, api(replica, 400),
			[2]string{"watchbill_http_requests_total" + labels + `"200"}`, "0+3x300 900x100"},
			[2]string{"watchbill_http_requests_total" + labels + `"503"}`, "0x300 3+3x100"},
			[2]string{`watchbill_probe_requests_total{job="api",instance="` + replica + `",method="GET",route="/livez",code="200"}`, "0+26x400"})
	}
	const pages = `(count(ALERTS{alertname="WatchbillErrorRateHigh",alertstate="firing",severity="critical"}) or vector(0))`
	scenario(t, daily(errorRate("0.01", "")), series,
		expected{300, pages, 0}, expected{315, pages + " > bool 0", 1}, expected{360, pages + " > bool 0", 1},
		expected{299, `watchbill:objective_events:increase5m`, 30})
}

func TestRouteNotes(t *testing.T) {
	t.Parallel()
	routes := []rules.Route{
		{Method: "GET", Pattern: report.PendingRoute},
		{Method: "POST", Pattern: "/api/agents"},
		{Method: "GET", Pattern: "/api/agents"},
		{Method: "GET", Pattern: "/readyz", Probe: true},
	}
	for _, test := range []struct {
		objective objective.Objective
		want      string
	}{
		{latency("x", "GET", report.PendingRoute, "0.99", "1s"), ""},
		{latency("x", "", "/api/agents", "0.99", "1s"), ""},
		{errorRate("0.01", ""), ""},
		{latency("x", "GET", "/api/deployments/pending/agent-1", "0.99", "1s"), "no data: the API has no route /api/deployments/pending/agent-1; requests like it are counted as " + report.PendingRoute},
		{latency("x", "GET", "/api/deployments/pending/{id}", "0.99", "1s"), "no data: the API has no route /api/deployments/pending/{id}; requests like it are counted as " + report.PendingRoute},
		{errorRate("0.01", "/API/agents/"), "no data: the API has no route /API/agents/; requests like it are counted as /api/agents"},
		{errorRate("0.01", "/nowhere"), "no data: the API has no route /nowhere"},
		{latency("x", "PUT", "/api/agents", "0.99", "1s"), "no data: /api/agents has no method PUT, but GET, POST"},
		{errorRate("0.01", "/readyz"), "no data: /readyz is a health check, and health checks do not count for objectives"},
	} {
		_, notes, err := rules.Build(daily(test.objective), rules.Options{Routes: routes})
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, note := range notes {
			got += note.Text
		}
		if got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

// TestCustomWindows checks the alerts of custom windows: severity, tier and window of each.
func TestCustomWindows(t *testing.T) {
	t.Parallel()
	second := time.Second
	r := daily(errorRate("0.01", ""))
	r.Labels = map[string]string{"severity": "none"}
	r.Severities = map[rules.Tier]string{rules.Slow: "ticket"}
	r.Interval = 30 * time.Second
	r.Windows = []rules.Window{
		{Long: 2 * time.Hour, Factor: "12", For: &second},
		{Long: 12 * time.Hour, Short: 20 * time.Minute, Factor: "0.5", Severity: "{{mine}}", Tier: rules.Fast},
		{Long: 48 * time.Hour, Factor: "2.5"},
	}
	file, _ := build(t, r, rules.Options{})
	var got []string
	for _, rule := range file.Groups[0].Rules {
		if rule.Labels["window"] != "" {
			got = append(got, strings.Join([]string{rule.Labels["severity"], rule.Labels["tier"], rule.Labels["window"], rule.For, rule.KeepFiringFor}, " "))
			if !strings.Contains(rule.Expr, " / 10 >= 50") {
				t.Errorf("events are counted wrong: %s", rule.Expr)
			}
		}
	}
	want := []string{"none fast 2h 1s 15m", `{{"{{"}}mine}} fast 12h 2m 15m`, "ticket slow 2d 15m 30m"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if file.Groups[0].Interval != "30s" || file.Groups[2].Interval != "1m" {
		t.Errorf("evaluated every %s and %s", file.Groups[0].Interval, file.Groups[2].Interval)
	}
	dir := written(t, r, rules.Prometheus)
	program, err := promtool()
	if err != nil {
		t.Fatal(err)
	}
	runIn(t, dir, program, "test", "rules", "tests.yaml")
}

func TestWindowFaults(t *testing.T) {
	t.Parallel()
	negative := -time.Second
	r := daily(pool("0.8"))
	r.Period, r.Interval = "1y", time.Hour
	r.Severities = map[rules.Tier]string{"medium": "x", rules.Fast: "\xff"}
	r.Windows = []rules.Window{
		{Long: time.Minute, Factor: "1"},
		{Long: time.Hour, Short: 2 * time.Hour, Factor: "1e3", Tier: "x", For: &negative},
		{Long: time.Hour, Factor: "0", Severity: "a\nb"},
		{Long: 6 * time.Hour, Factor: "1"},
		{Long: 800 * time.Hour, Factor: "1"},
	}
	_, _, err := rules.Build(r, rules.Options{})
	if err == nil {
		t.Fatal("nothing is refused")
	}
	for _, want := range []string{
		"period: must be 7d", "interval: must be", "severities.fast: must be", "severities: must be of", "windows: there may be 4", "windows[0].long", "windows[1].short",
		"windows[1].factor", "windows[1].tier", "windows[1].for", "windows[2].long: 1h is another", "windows[2].factor", "windows[2].severity", "windows[4].long",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
}

// TestMonth simulates a bad month and its end, when the budget is reset. Two samples per hour suffice for recorded series.
func TestMonth(t *testing.T) {
	t.Parallel()
	r := daily(errorRate("0.01", ""))
	r.Period = rules.Month
	file, _ := build(t, r, rules.Options{})
	file.Groups = file.Groups[len(file.Groups)-1:]
	dir := t.TempDir()
	// Time begins in January. There is a check on its last day, and one on the first day of February.
	const tests = `rule_files: [rules.yaml]
evaluation_interval: 30m
tests:
  - interval: 30m
    input_series:
      - series: 'watchbill:objective_events:increase5m{objective="errors",report="daily",report_namespace="fleet"}'
        values: '500x1584'
      - series: 'watchbill:objective_bad_events:increase5m{objective="errors",report="daily",report_namespace="fleet"}'
        values: '10x1487 0x96'
    promql_expr_test:
      - expr: 'sum(round(watchbill:objective_error_budget_remaining:ratio_month, 0.01))'
        eval_time: 30d
        exp_samples: [{labels: '{}', value: -1}]
      - expr: 'sum(watchbill:objective_error_budget_remaining:ratio_month)'
        eval_time: 32d
        exp_samples: [{labels: '{}', value: 1}]
      - expr: 'sum(watchbill:objective_error_budget_remaining:seconds_month)'
        eval_time: 32d
        exp_samples: [{labels: '{}', value: 24192}]
`
	for name, text := range map[string]string{"rules.yaml": yamlOf(t, file), "tests.yaml": tests} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program, err := promtool()
	if err != nil {
		t.Fatal(err)
	}
	runIn(t, dir, program, "test", "rules", "tests.yaml")
}
