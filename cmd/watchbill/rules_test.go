package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report/rules"
)

const reports = `apiVersion: v1
kind: Namespace
metadata: {name: fleet}
---
# nothing
---
apiVersion: monitoring.watchbill.dev/v1alpha1
kind: MonitoringReport
metadata: {name: daily, namespace: fleet}
spec:
  schedule: "0 0 * * *"
  objectives:
    - {name: pool, poolUtilization: {max: "0.8"}}
    - {name: budget, cost: {maxUSD: "50", period: Window}}
---
{"apiVersion": "monitoring.watchbill.dev/v1alpha1", "kind": "MonitoringReport", "metadata": {"name": "weekly"},
 "spec": {"schedule": "@weekly", "alerting": {"labels": {"team": "a"}, "ruleLabels": {"release": "p"}}, "window": "1h",
  "objectives": [{"name": "budget", "cost": {"maxUSD": "7", "period": "Window"}}]}}
`

const reportsNote = "watchbill: objective budget of fleet/daily: no alert: its budget is for the report's window, " +
	"which differs from run to run; set spec.window, or period to Day\n"

// ruleFile returns the expected output for reports.
func ruleFile(t *testing.T, options rules.Options) string {
	t.Helper()
	budget := func(limit string) objective.Objective {
		return objective.Objective{Name: "budget", Cost: &objective.Cost{MaxUSD: limit, Period: objective.PeriodWindow}}
	}
	var file rules.File
	for _, r := range []rules.Report{
		{Namespace: "fleet", Name: "daily", Objectives: objective.Resolve([]objective.Objective{
			{Name: "pool", PoolUtilization: &objective.PoolUtilization{Max: "0.8"}}, budget("50"),
		})},
		{
			Namespace: "default", Name: "weekly", Labels: map[string]string{"team": "a"}, Window: 60 * 60e9,
			Objectives: objective.Resolve([]objective.Objective{budget("7")}),
		},
	} {
		built, _, err := rules.Build(r, options)
		if err != nil {
			t.Fatal(err)
		}
		file.Groups = append(file.Groups, built.Groups...)
	}
	text, err := file.YAML()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestRules(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "reports.yaml")
	if err := os.WriteFile(path, []byte(reports), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Run("of a file", func(t *testing.T) {
		t.Parallel()
		got := shell{}.run(t.Context(), "rules", "--file", path)
		got.check(t, 0, ruleFile(t, rules.Options{}), reportsNote)
	})
	t.Run("of standard input, with selectors", func(t *testing.T) {
		t.Parallel()
		got := shell{stdin: reports}.run(t.Context(), "rules", "-f", "-", "--selector", "job=watchbill,namespace=fleet",
			"--controller-selector", "job=controller", "--runbook-url", "https://runbooks.example")
		got.check(t, 0, ruleFile(t, rules.Options{
			Selector:           map[string]string{"job": "watchbill", "namespace": "fleet"},
			ControllerSelector: map[string]string{"job": "controller"},
			RunbookURL:         "https://runbooks.example",
		}), reportsNote)
	})
	t.Run("to a file", func(t *testing.T) {
		t.Parallel()
		out := filepath.Join(t.TempDir(), "new", "rules.yaml")
		got := shell{}.run(t.Context(), "rules", "--file", path, "--output", out)
		got.check(t, 0, "", reportsNote)
		if content, err := os.ReadFile(out); err != nil || string(content) != ruleFile(t, rules.Options{}) {
			t.Errorf("got %v\n%s", err, content)
		}
	})
	t.Run("for Kubernetes", func(t *testing.T) {
		t.Parallel()
		got := shell{}.must(t, "rules", "--file", path, "--kind", "PrometheusRule")
		for _, want := range []string{
			"kind: PrometheusRule\n", "  name: daily-report\n  namespace: fleet\n", "\n---\napiVersion: monitoring.coreos.com/v1\n",
			"    release: p\n  name: weekly-report\n  namespace: default\n", "- alert: WatchbillPoolUtilizationHigh\n",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("want %q in\n%s", want, got)
			}
		}
		if strings.Contains(got, "ownerReferences") || strings.Contains(got, "status") {
			t.Errorf("it cannot be applied:\n%s", got)
		}
	})
	t.Run("without an operator", func(t *testing.T) {
		t.Parallel()
		got := shell{}.must(t, "rules", "--file", path, "--kind", "ConfigMap", "--target", "victoriametrics")
		for _, want := range []string{"kind: ConfigMap\n", "  watchbill.fleet.daily.yaml: |\n", "  name: daily-report-rules\n", "    release: p\n"} {
			if !strings.Contains(got, want) {
				t.Errorf("want %q in\n%s", want, got)
			}
		}
	})
	t.Run("for another engine", func(t *testing.T) {
		t.Parallel()
		slow := shell{stdin: `{apiVersion: monitoring.watchbill.dev/v1alpha1, kind: MonitoringReport, metadata: {name: a}, spec: {schedule: "@daily",
  objectives: [{name: a, latency: {route: /api/deployments/pending/agent-1, quantile: "0.99", threshold: 200ms}}]}}`}
		got := slow.run(t.Context(), "rules", "-f", "-", "--target", "victoriametrics")
		if got.code != 0 || strings.Contains(got.out, "histogram_") || !strings.Contains(got.err, "are counted as /api/deployments/pending/{agent_id}") {
			t.Errorf("got %+v", got)
		}
		got = slow.run(t.Context(), "rules", "-f", "-", "--target", "thanos")
		got.check(t, exitUsage, "", "watchbill: --target: must be one of prometheus, victoriametrics, mimir, not \"thanos\"\n")
	})
	t.Run("of a report that wants none", func(t *testing.T) {
		t.Parallel()
		got := shell{stdin: `{apiVersion: monitoring.watchbill.dev/v1alpha1, kind: MonitoringReport, metadata: {name: a},
  spec: {schedule: "@daily", alerting: {mode: None}, objectives: [{name: a, queryTime: {quantile: "0.5", threshold: 3ms}}]}}`}
		got.run(t.Context(), "rules", "-f", "-").check(t, 0, "groups: []\n", "")
		got.run(t.Context(), "rules", "-f", "-", "--kind", "PrometheusRule").check(t, 0, "", "")
	})
}

// TestRulesInPromtool runs the commands of docs/objectives.md.
func TestRulesInPromtool(t *testing.T) {
	t.Parallel()
	tool, err := exec.Command(filepath.Join("..", "..", "hack", "tool"), "--path", "promtool").Output()
	if err != nil {
		t.Fatal(err)
	}
	promtool := func(stdin string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), strings.TrimSpace(string(tool)), args...)
		cmd.Stdin = strings.NewReader(stdin)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	out := filepath.Join(t.TempDir(), "rules.yaml")
	in := shell{stdin: reports}
	promtool(in.must(t, "rules", "-f", "-"), "check", "rules")
	in.must(t, "rules", "-f", "-", "-o", out)
	promtool(in.must(t, "rules", "-f", "-", "--tests", "--rule-file", out), "test", "rules", "/dev/stdin")
}

func TestBadRules(t *testing.T) {
	t.Parallel()
	const head = "apiVersion: monitoring.watchbill.dev/v1alpha1\nkind: MonitoringReport\n"
	good := head + "metadata: {name: a}\nspec: {schedule: '@daily'}\n"
	for _, test := range []struct {
		name, stdin string
		args        []string
		want        string
	}{
		{"everything at once", head + `metadata: {name: A}
spec:
  schedule: "0 0 * *"
  shedule: x
  alerting: {minEvent: 4, mode: Burn}
  objectives:
    - {name: a, latency: {route: /a, quantile: "0.5", threshold: 300ms}}
    - {name: b, cost: {maxUSD: "50", period: "W\e[2J"}}
---
` + head + `metadata: {name: b}
spec: {schedule: "@daily", alerting: {minEvents: many}}
---
` + good + "---\n" + good + "---\nx: [\n", nil, `watchbill: -: document 1: unknown field "spec.alerting.minEvent"
watchbill: -: document 1: unknown field "spec.shedule"
watchbill: -: document 1: metadata.name: must be of a-z, 0-9, - and ., and begin and end with a letter or digit, not "A"
watchbill: -: document 1: spec.schedule: "0 0 * *" is not one that CronJobs take: expected exactly 5 fields, found 4: [0 0 * *]
watchbill: -: document 1: spec.objectives[1].cost.period: must be Day or Window, not "W\x1b[2J"
watchbill: -: document 1: spec.alerting.mode: must be BurnRate, Threshold or None, not "Burn"
watchbill: -: document 1: spec.objectives[0].latency.threshold: 300ms is not a bucket bound of the latency histogram; use 200ms or 500ms, or set alerting.mode to None
watchbill: -: document 2: json: cannot unmarshal string into Go struct field Alerting.spec.alerting.minEvents of type int64
watchbill: -: document 4: default/a is in document 3 too
watchbill: -: document 5: yaml: line 1: did not find expected node content
`},
		{"nothing", "", nil, "watchbill: -: has no MonitoringReport\n"},
		{"other kinds alone", "{apiVersion: v1, kind: Secret}", nil, "watchbill: -: has no MonitoringReport\n"},
		{"no kind", "{spec: {}}", nil, "watchbill: -: document 1: Object 'Kind' is missing in '{spec: {}} '\n"},
		{"another version", strings.Replace(good, "v1alpha1", "v9", 1), nil, "watchbill: -: has no MonitoringReport\n"},
		{"a field twice", good + "kind: MonitoringReport\n", nil, "watchbill: -: document 1: yaml: unmarshal errors: line 5: key \"kind\" already set in map\n"},
		{"too large", good + "# " + strings.Repeat("x", maxManifest), nil, "watchbill: --file: - has more than 1048576 bytes\n"},
		{"no file", "", []string{"--file", "/nowhere"}, "watchbill: --file: open /nowhere: no such file or directory\n"},
		{"bad flags", good, []string{
			"--kind", "y", "--rule-file", "z", "--selector", "code=1,a-b=c", "--controller-selector", "le=2", "--runbook-url", "x", "--file", "",
		}, `watchbill: --kind: must be rules, PrometheusRule or ConfigMap, not "y"
watchbill: --rule-file: requires --tests
watchbill: --runbook-url: must be a URL of http or https, of at most 512 characters
watchbill: --selector: must be named like Prometheus' labels, not "a-b"
watchbill: --selector: code is a label that the series already have, so nothing would be selected
watchbill: --controller-selector: le is a label that the series already have, so nothing would be selected
watchbill: --file: is required
`},
		{"tests of an object", good, []string{"--tests", "--kind", "PrometheusRule"}, "watchbill: --tests: apply only to --kind rules\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := shell{stdin: test.stdin}.run(t.Context(), append([]string{"rules", "-f", "-"}, test.args...)...)
			got.check(t, exitUsage, "", test.want)
		})
	}
}
