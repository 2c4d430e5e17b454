package rules_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report/rules"
)

// promtool returns the path of Prometheus's promtool in the pinned version.
var promtool = sync.OnceValues(func() (string, error) {
	out, err := exec.Command(filepath.Join("..", "..", "..", "hack", "tool"), "--path", "promtool").Output()
	return strings.TrimSpace(string(out)), err
})

func runPromtool(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	program, err := promtool()
	if err != nil {
		t.Fatalf("hack/tool promtool: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// folder returns a folder with the rules of a report and their tests.
func folder(t *testing.T, r rules.Report, o rules.Options, change func(string) string) string {
	t.Helper()
	dir := t.TempDir()
	file, _ := build(t, r, o)
	tests, err := rules.Tests(r, o, "rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := yamlOf(t, file)
	if change != nil {
		changed := change(text)
		if changed == text {
			t.Fatal("nothing was changed")
		}
		text = changed
	}
	for name, content := range map[string]string{"rules.yaml": text, "tests.yaml": string(tests)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestUnitTestsPass(t *testing.T) {
	t.Parallel()
	byThreshold := daily()
	byThreshold.Mode = rules.Threshold
	every, options := everyKind()
	for _, test := range []struct {
		name    string
		report  rules.Report
		options rules.Options
	}{
		{"the default objectives by burn rate", daily(), rules.Options{Selector: map[string]string{"job": "watchbill"}}},
		{"the default objectives by threshold", byThreshold, rules.Options{}},
		{"every kind", every, options},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := folder(t, test.report, test.options, nil)
			if out, err := runPromtool(t, dir, "check", "rules", "--lint=all", "--lint-fatal", "rules.yaml"); err != nil {
				t.Errorf("check rules: %v\n%s", err, out)
			}
			if out, err := runPromtool(t, dir, "test", "rules", "tests.yaml"); err != nil {
				t.Errorf("test rules: %v\n%s", err, out)
			}
		})
	}
}

// TestUnitTestsFail breaks rules, one at a time, and checks that the unit tests fail.
func TestUnitTestsFail(t *testing.T) {
	t.Parallel()
	replace := func(old, by string) func(string) string {
		return func(text string) string { return strings.ReplaceAll(text, old, by) }
	}
	// without removes the lines that begin with key.
	without := func(key string) func(string) string {
		return func(text string) string {
			var kept []string
			for line := range strings.Lines(text) {
				if !strings.HasPrefix(strings.TrimSpace(line), key) {
					kept = append(kept, line)
				}
			}
			return strings.Join(kept, "")
		}
	}
	slow := latency("slow", "", "/a", "0.99", "1s")
	for _, test := range []struct {
		name      string
		objective objective.Objective
		change    func(string) string
		want      string // in promtool's output
	}{
		{"alerts that are not kept", errorRate("0.01", ""), without("keep_firing_for:"), "changes("},
		{"few events wake somebody", slow, replace(" / 5 >= 50", " / 5 >= 0"), "ALERTS"},
		{"no failure is no sample", errorRate("0.01", ""), replace("0 * sum", "absent(vector(1)) * sum"), "ratio5m"},
		{"no traffic is a sample", success("0.9", ""), replace(" > 0)", " >= 0)"), "ratio5m"},
		{
			"shares are averaged", success("0.9", ""),
			replace(`sum_over_time(watchbill:objective_bad_events:increase5m{objective="success",report="daily",report_namespace="fleet"}[30m]) / (`,
				`avg_over_time(watchbill:objective_bad_events:ratio5m{objective="success",report="daily",report_namespace="fleet"}[30m]) + 0 * (`), "< bool 0.02",
		},
		{"the first of all is no event", success("0.9", ""), replace("offset 5m and on", "offset 1m and on"), "increase5m"},
		{"what came before counts", success("0.9", ""), replace("and on (job, instance) watchbill_build_info", "and on (job) watchbill_build_info"), "increase5m"},
		{"the first of all costs is no cost", cost("window", "50", objective.PeriodWindow), replace("offset 5m and on", "offset 0s and on"), "WatchbillCostOverBudget"},
		{"another factor", errorRate("0.01", ""), replace("> 14.4 *", "> 99 *"), "1h"},
		{"a short window that never ends", errorRate("0.01", ""), replace("ratio5m{", "ratio1h{"), "ALERTS"},
		{"another bucket", slow, replace(`le=~"1(\\.0)?"`, `le="2.5"`), "slow"},
		{"a bucket by one spelling", slow, replace(`le=~"1(\\.0)?"`, `le="1.0"`), "slow"},
		{"the mean of replicas", pool("0.8"), replace("max(", "avg("), "WatchbillPoolUtilizationHigh"},
		{"a pool at once", pool("0.8"), without("keep_firing_for:"), "changes("},
		{"replicas' gauges added up", polling("0.1", "0.5"), replace("max by (state)", "sum by (state)"), "polls_per_agent"},
		{"agents that are offline count", polling("0.1", "0.5"), replace("online|late", "online|late|offline"), "polls_per_agent"},
		{"a target that does not move", polling("0.1", "0.5"), replace("clamp_max(", "clamp_min("), "polls_per_agent_target"},
		{"replicas' costs added up", cost("day", "50", ""), replace("max(watchbill_day", "sum(watchbill_day"), "WatchbillCostOverBudget"},
		{"a cost counted five times", cost("window", "50", objective.PeriodWindow), replace("/ 5 >=", "/ 1 >="), "WatchbillCostOverBudget"},
		{"one replica gone", pool("0.8"), replace("absent(watchbill_build_info)", "count(watchbill_build_info) < 2"), "WatchbillTargetAbsent"},
		{"overdue before it is", pool("0.8"), replace("time() - max(", "3600 + time() - max("), "WatchbillReportOverdue"},
		{"reports that fail unseen", pool("0.8"), replace("watchbill_report_failing{", "watchbill_report_failed{"), "WatchbillReportFailing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := daily(test.objective)
			r.Window = 30 * 60e9
			out, err := runPromtool(t, folder(t, r, rules.Options{}, test.change), "test", "rules", "tests.yaml")
			if err == nil || !strings.Contains(out, test.want) {
				t.Errorf("want a fault with %q, got %v\n%s", test.want, err, out)
			}
		})
	}
}

// TestNativeHistograms covers a Prometheus that scrapes no classic buckets, and one that scrapes both.
func TestNativeHistograms(t *testing.T) {
	t.Parallel()
	const native = `
      - series: watchbill_db_query_duration_seconds{query="A"}
        values: '{{schema:0 count:0 sum:0 offset:0 buckets:[0 0]}}+{{schema:0 count:100 sum:100 offset:0 buckets:[90 10]}}x20'
      - series: watchbill_db_query_duration_seconds{query="B"}
        values: '{{schema:0 count:0 sum:0 offset:0 buckets:[0 0]}}x20'`
	const classic = `
      - series: watchbill_db_query_duration_seconds_count{query="A"}
        values: 0+100x20
      - series: watchbill_db_query_duration_seconds_bucket{query="A",le="1.0"}
        values: 0+80x20`
	const expectation = `
    promql_expr_test:
      - expr: sum(round(watchbill:objective_bad_events:ratio30m, 0.001))
        eval_time: 20m
        exp_samples: [{labels: "{}", value: SHARE}]
      - expr: count(ALERTS{alertstate="firing"})
        eval_time: 20m
        exp_samples: [{labels: "{}", value: 1}]
`
	r := daily(queryTime("0.95", "1s"))
	r.Mode = rules.Threshold
	for _, test := range []struct{ name, input, share string }{
		{"native ones", native, "0.1"},
		{"classic ones", classic, "0.2"},
		{"both", native + classic, "0.2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := folder(t, r, rules.Options{}, func(text string) string { // without the alert about the API's absence
				return strings.ReplaceAll(text, "absent(watchbill_build_info)", "vector(0) > 0")
			})
			tests := "rule_files: [rules.yaml]\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series:" + test.input +
				strings.Replace(expectation, "SHARE", test.share, 1)
			if err := os.WriteFile(filepath.Join(dir, "tests.yaml"), []byte(tests), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := runPromtool(t, dir, "test", "rules", "tests.yaml"); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
