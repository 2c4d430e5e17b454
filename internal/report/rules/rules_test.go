package rules_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"

	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/report/rules"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// daily returns a minimal report.
func daily(objectives ...objective.Objective) rules.Report {
	return rules.Report{Namespace: "fleet", Name: "daily", Objectives: objective.Resolve(objectives)}
}

func latency(name, method, route, quantile, threshold string) objective.Objective {
	return objective.Objective{Name: name, Latency: &objective.Latency{
		Method: method, Route: route, Quantile: quantile, Threshold: threshold,
	}}
}

func queryTime(quantile, threshold string) objective.Objective {
	return objective.Objective{Name: "queries", QueryTime: &objective.QueryTime{Quantile: quantile, Threshold: threshold}}
}

func errorRate(limit, route string) objective.Objective {
	return objective.Objective{Name: "errors", ErrorRate: &objective.ErrorRate{Max: limit, Route: route}}
}

func success(minimum, agent string) objective.Objective {
	return objective.Objective{Name: "success", SuccessRate: &objective.SuccessRate{Min: minimum, Agent: agent}}
}

func pool(limit string) objective.Objective {
	return objective.Objective{Name: "pool", PoolUtilization: &objective.PoolUtilization{Max: limit}}
}

func polling(perAgent, tolerance string) objective.Objective {
	return objective.Objective{Name: "polling", PollRate: &objective.PollRate{PerAgent: perAgent, Tolerance: tolerance}}
}

func cost(name, limit string, period objective.Period) objective.Objective {
	return objective.Objective{Name: name, Cost: &objective.Cost{MaxUSD: limit, Period: period}}
}

// everyKind returns a report with kinds of objectives that the default ones lack, and with names that need escaping in
// PromQL, templates and YAML.
func everyKind() (rules.Report, rules.Options) {
	r := daily(
		latency("slow", "", `/a/{id}{{.}}"'\`, "0.999", "1s"),
		errorRate("0.0694", `/b/{{"`), // 14.4 times this is just below 1
		queryTime("0.9", "2500us"),    // too much for 14.4 times, but not for 6
		success("0.000001", `{{ $labels.agent }}"\{`),
		pool("1"),
		polling("0.5", "1"),
		cost("day", "0.01", objective.PeriodDay),
		cost("window", "007.50", objective.PeriodWindow),
	)
	r.Name = "nasty.{{ $labels }}\n\"'\\"
	r.MinEvents = 1
	r.Window = 30 * time.Minute
	r.Labels = map[string]string{"severity": "page", "team": "{{ $value }}{{", "note": "a\n# \\ \" ' {{"}
	return r, rules.Options{
		Selector:           map[string]string{"job": `w"{{`, "instance": "one"},
		ControllerSelector: map[string]string{"job": "controller"},
	}
}

func build(t *testing.T, r rules.Report, o rules.Options) (rules.File, []rules.Note) {
	t.Helper()
	file, notes, err := rules.Build(r, o)
	if err != nil {
		t.Fatal(err)
	}
	verify(t, file)
	return file, notes
}

// verify checks that Prometheus accepts a file and that its size is within its bound.
func verify(t *testing.T, file rules.File) {
	t.Helper()
	if _, faults := rulefmt.Parse([]byte(yamlOf(t, file)), false, model.LegacyValidation); len(faults) > 0 {
		t.Errorf("rules that Prometheus refuses: %v", faults)
	}
	if size, limit := len(yamlOf(t, file)), file.SizeAtMost(); limit < size || limit > 8*size+100 {
		t.Errorf("a file of %d bytes is thought to have at most %d", size, limit)
	}
}

func yamlOf(t *testing.T, file rules.File) string {
	t.Helper()
	text, err := file.YAML()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestGolden(t *testing.T) {
	t.Parallel()
	file, _ := build(t, daily(latency("polls", "GET", report.PendingRoute, "0.95", "200ms"), errorRate("0.5", ""), pool("0.8"),
		polling("0.1", "0.5"), success("0.95", ""), cost("day", "50", objective.PeriodDay)), rules.Options{Selector: map[string]string{"job": "watchbill"}})
	got, path := yamlOf(t, file), filepath.Join("testdata", "daily.yaml")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
}

func TestBuildIsStable(t *testing.T) {
	t.Parallel()
	r, o := everyKind()
	first, _ := build(t, r, o)
	tests, err := rules.Tests(r, o, "rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		again, _ := build(t, r, o)
		if diff := cmp.Diff(first, again); diff != "" {
			t.Fatal(diff)
		}
		testsAgain, err := rules.Tests(r, o, "rules.yaml")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(tests), string(testsAgain)); diff != "" {
			t.Fatal(diff)
		}
	}
}

func TestNoRules(t *testing.T) {
	t.Parallel()
	r := daily(latency("slow", "", "/a", "0.5", "123ms")) // for which no alert is possible
	r.Mode = rules.None
	file, notes := build(t, r, rules.Options{})
	if len(notes) > 0 || yamlOf(t, file) != "groups: []\n" {
		t.Errorf("want nothing, got %v and\n%s", notes, yamlOf(t, file))
	}
	tests, err := rules.Tests(r, rules.Options{}, "x.yaml")
	if want := "rule_files:\n  - x.yaml\nevaluation_interval: 1m\ntests: []\n"; err != nil || string(tests) != want {
		t.Errorf("want\n%s\ngot %v\n%s", want, err, tests)
	}
}

// TestFaults checks that every fault is returned with its field and the change to make.
func TestFaults(t *testing.T) {
	t.Parallel()
	labels := func(pairs ...string) rules.Report {
		r := daily(pool("0.8"))
		r.Labels = map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			r.Labels[pairs[i]] = pairs[i+1]
		}
		return r
	}
	changed := func(change func(*rules.Report)) rules.Report {
		r := daily(pool("0.8"))
		change(&r)
		return r
	}
	many := map[string]string{}
	for c := 'a'; c <= 'q'; c++ {
		many[string(c)] = ""
	}
	for _, test := range []struct {
		name    string
		report  rules.Report
		options rules.Options
		want    []string // "field: words of the problem"
	}{
		{
			"a threshold between bounds", daily(latency("a", "", "/a", "0.5", "300ms")),
			rules.Options{},
			[]string{"objectives[0].latency.threshold: 200ms or 500ms"},
		},
		{
			"a threshold below all bounds", daily(pool("0.8"), queryTime("0.5", "500us")),
			rules.Options{},
			[]string{"objectives[1].queryTime.threshold: use 1ms, or set alerting.mode to None"},
		},
		{
			"a threshold above all bounds", daily(latency("a", "", "/a", "0.5", "1m")),
			rules.Options{},
			[]string{"objectives[0].latency.threshold: use 30s,"},
		},
		{"thresholds without a number", daily(latency("a", "", "/a", "0.5", "soon"), queryTime("1", "3ms")), rules.Options{}, []string{
			"objectives[0].latency.threshold: must be a duration", "objectives[1].queryTime.quantile: between 0 and 1",
			"objectives[1].queryTime.threshold: 2.5ms or 5ms",
		}},
		{"no objectives", changed(func(r *rules.Report) { r.Objectives = objective.Resolve([]objective.Objective{}) }), rules.Options{}, []string{"objectives: must not be empty"}},
		{"an objective of no kind", daily(objective.Objective{Name: "a"}), rules.Options{}, []string{"objectives[0]: must have one of"}},
		{"an objective of two kinds", daily(objective.Objective{
			Name: "a", PoolUtilization: &objective.PoolUtilization{Max: "1"}, QueryTime: &objective.QueryTime{Quantile: "0.5", Threshold: "3ms"},
		}), rules.Options{}, []string{"objectives[0]: must have only one of", "objectives[0].queryTime.threshold: 2.5ms or 5ms"}},
		{"too many objectives", daily(make([]objective.Objective, 33)...), rules.Options{}, []string{"objectives: there may be 32"}},
		{"no names", rules.Report{}, rules.Options{}, []string{"namespace: must be", "name: must be"}},
		{"names of no text", rules.Report{Namespace: "\xff", Name: strings.Repeat("x", 254)}, rules.Options{}, []string{"namespace: must be", "name: must be"}},
		{"another mode", changed(func(r *rules.Report) { r.Mode = "burnrate" }), rules.Options{}, []string{"mode: must be BurnRate, Threshold or None"}},
		{"few events", changed(func(r *rules.Report) { r.MinEvents = -1 }), rules.Options{}, []string{"minEvents: must be from 1"}},
		{"many events", changed(func(r *rules.Report) { r.MinEvents = 1e9 + 1 }), rules.Options{}, []string{"minEvents: must be from 1"}},
		{"half a minute", changed(func(r *rules.Report) { r.Window = 90 * time.Second }), rules.Options{}, []string{"window: must be whole minutes"}},
		{"a window to come", changed(func(r *rules.Report) { r.Window = -time.Hour }), rules.Options{}, []string{"window: must be whole minutes"}},
		{"runbooks nowhere", changed(func(r *rules.Report) { r.RunbookURL = "docs/runbooks" }), rules.Options{}, []string{"runbookURL: must be a URL"}},
		{"runbooks in two lines", daily(pool("1")), rules.Options{RunbookURL: "https://a/\nb"}, []string{"runbookURL: must be a URL"}},
		{"labels of ours", labels("objective", "x", "window", "", "alertname", ""), rules.Options{}, []string{
			"labels: alertname is set already", "labels: objective is set already", "labels: window is set already",
		}},
		{"labels of no name", labels("__name__", "x", "a-b", "", "", "", strings.Repeat("x", 64), ""), rules.Options{}, []string{
			`labels: not ""`, `labels: not "__name__"`, `labels: not "a-b"`, `labels: not "xxx`,
		}},
		{"labels of no value", labels("a", "\xff", "b", strings.Repeat("x", 257)), rules.Options{}, []string{"labels.a: UTF-8", "labels.b: 256"}},
		{"many labels", changed(func(r *rules.Report) { r.Labels = many }), rules.Options{}, []string{"labels: there may be 16, not 17"}},
		{"selectors that select nothing", daily(pool("1")), rules.Options{
			Selector: map[string]string{"code": "200", "report": "x"}, ControllerSelector: map[string]string{"le": "1", "a b": ""},
		}, []string{
			"selector: code is a label that the series already have", "selector: report is a label",
			`controllerSelector: not "a b"`, "controllerSelector: le is a label",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := rules.Build(test.report, test.options)
			var faults report.FieldErrors
			if !errors.As(err, &faults) || len(faults) != len(test.want) {
				t.Fatalf("want %q, got %v", test.want, err)
			}
			for i, want := range test.want {
				field, words, _ := strings.Cut(want, ": ")
				if faults[i].Field != field || !strings.Contains(faults[i].Problem, words) {
					t.Errorf("want %q, got %s: %s", want, faults[i].Field, faults[i].Problem)
				}
			}
			if _, testsErr := rules.Tests(test.report, test.options, "x"); !cmp.Equal(err.Error(), testsErr.Error()) {
				t.Errorf("Tests: want %v, got %v", err, testsErr)
			}
		})
	}
}

// TestTooLarge checks prometheus-operator's size limit.
func TestTooLarge(t *testing.T) {
	t.Parallel()
	var objectives []objective.Objective
	for i := range objective.MaxCount {
		objectives = append(objectives, latency("a"+strings.Repeat("a", i), "", "/"+strings.Repeat("x", 255), "0.999", "1s"))
	}
	r := daily(objectives...)
	if _, _, err := rules.Build(r, rules.Options{}); err != nil {
		t.Errorf("long routes: %v", err)
	}
	r.Labels = map[string]string{}
	for c := 'a'; c <= 'p'; c++ {
		r.Labels[string(c)] = strings.Repeat("é", 256)
	}
	_, _, err := rules.Build(r, rules.Options{})
	var faults report.FieldErrors
	if !errors.As(err, &faults) || faults[0].Field != "objectives" || !strings.Contains(faults[0].Problem, "no more than 524288") {
		t.Errorf("long labels too: %v", err)
	}
}

func TestNotes(t *testing.T) {
	t.Parallel()
	window := func(d time.Duration) rules.Report {
		r := daily(cost("c", "1", objective.PeriodWindow))
		r.Window = d
		return r
	}
	threshold := daily(latency("a", "", "/a", "0.5", "1s"))
	threshold.Mode = rules.Threshold
	for _, test := range []struct {
		name   string
		report rules.Report
		want   []rules.Note
	}{
		{"the default objectives", daily(), []rules.Note{{
			"pending-p50", "alerts by threshold: its budget of 50% is too large for a burn rate, as 6 times as much is more than all requests",
		}}},
		{"by threshold anyway", threshold, nil},
		{"a budget that 6 times as much of is less than all", daily(success("0.84", "")), nil},
		{"a budget that 6 times as much of is more than all", daily(success("0.83", "")), []rules.Note{{
			"success", "alerts by threshold: its budget of 17% is too large for a burn rate, as 6 times as much is more than all requests",
		}}},
		{"a window that differs", window(0), []rules.Note{{
			"c", "no alert: its budget is for the report's window, which differs from run to run; set spec.window, or period to Day",
		}}},
		{"a window", window(30 * 24 * time.Hour), nil},
		{"a window longer than anything is kept", window(90 * 24 * time.Hour), []rules.Note{{
			"c", "alerts on no more data than Prometheus keeps: its window is 90d, and Prometheus keeps 15d by default",
		}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, notes := build(t, test.report, rules.Options{})
			if diff := cmp.Diff(test.want, notes); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
		})
	}
}

// TestPairs checks the alerts for a budget: the severity and window of each.
func TestPairs(t *testing.T) {
	t.Parallel()
	all := "critical 1h, critical 6h, warning 1d, warning 3d"
	for _, test := range []struct {
		budget string
		mode   rules.Mode
		want   string
	}{
		{"0.000000001", rules.BurnRate, all},
		{"0.01", "", all},
		{"0.01", rules.Threshold, "warning 30m"},
		{"0.069444444", "", all}, // 14.4 times is below 1
		{"0.069444445", "", "critical 6h, warning 1d, warning 3d"},
		{"0.166666666", "", "critical 6h, warning 1d, warning 3d"},
		{"0.166666667", "", "warning 30m"},
		{"1", "", "warning 30m"},
	} {
		r := daily(errorRate(test.budget, ""))
		r.Mode = test.mode
		file, _ := build(t, r, rules.Options{})
		var got []string
		for _, rule := range file.Groups[0].Rules {
			if rule.Labels["window"] != "" {
				got = append(got, rule.Labels["severity"]+" "+rule.Labels["window"])
			}
		}
		if list := strings.Join(got, ", "); list != test.want {
			t.Errorf("%s %s: want %s, got %s", test.budget, test.mode, test.want, list)
		}
	}
}
