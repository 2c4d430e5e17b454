package rules

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// testFile is a file of unit tests in promtool's format.
type testFile struct {
	RuleFiles []string   `yaml:"rule_files"`
	Interval  string     `yaml:"evaluation_interval"`
	Order     []string   `yaml:"group_eval_order,omitempty"`
	Tests     []unitTest `yaml:"tests"`
}

type unitTest struct {
	Name     string        `yaml:"name"`
	Interval string        `yaml:"interval"`
	Input    []inputSeries `yaml:"input_series"`
	PromQL   []check       `yaml:"promql_expr_test,omitempty"`    // for promtool
	MetricQL []check       `yaml:"metricsql_expr_test,omitempty"` // for vmalert-tool

	checks  []check
	minutes int      // duration
	about   []string // metrics that intentionally have no samples
}

type inputSeries struct {
	Series string `yaml:"series"`
	Values string `yaml:"values"`
}

type check struct {
	Expr    string   `yaml:"expr"`
	At      string   `yaml:"eval_time"`
	Samples []sample `yaml:"exp_samples"`
}

type sample struct {
	Labels string  `yaml:"labels"`
	Value  float64 `yaml:"value"`
}

// TestsOf returns a file of unit tests, for promtool or the target's own tester, of the rules that Build returns for the same
// reports, which are in ruleFile. They test that every alert fires in time and resolves, does not fire without traffic or
// with few events, and does not flap at its limit, with series that begin at 0, counter resets and two replicas. Reports of
// mode None have no tests. Its error is that of Build.
func TestsOf(reports []Report, o Options, ruleFile string) ([]byte, error) {
	file := testFile{RuleFiles: []string{ruleFile}, Interval: duration(DefaultInterval), Tests: []unitTest{}}
	var evaluated time.Duration
	for _, r := range reports {
		p, err := newPlan(r, o)
		if err != nil {
			return nil, err
		}
		if p.Mode == None {
			continue
		}
		if evaluated != 0 && evaluated != p.Interval {
			return nil, fmt.Errorf("reports that are evaluated every %s and every %s need separate test files", duration(evaluated), duration(p.Interval))
		}
		evaluated = p.Interval
		file.Interval = duration(evaluated)
		for _, g := range p.file().Groups {
			file.Order = append(file.Order, g.Name)
		}
		tests := base{plan: &p}.reportTests()
		for _, in := range p.indicators {
			tests = append(tests, in.tests()...)
		}
		tests = append(tests, p.unmeasuredTest(tests))
		for _, t := range together(tests) {
			if p.target.metricsQL {
				t.MetricQL = t.checks
			} else {
				t.PromQL = t.checks
			}
			file.Tests = append(file.Tests, t)
		}
	}
	return encode(file)
}

// together joins tests that share no metric, since promtool evaluates all rules for every minute of every test.
func together(tests []unitTest) []unitTest {
	tests = slices.Clone(tests)
	slices.SortStableFunc(tests, func(a, b unitTest) int { return cmp.Compare(b.minutes, a.minutes) })
	var joined []unitTest
	var metrics []map[string]bool // of each joined test
	for _, t := range tests {
		theirs := t.metrics()
		at := slices.IndexFunc(metrics, func(taken map[string]bool) bool {
			for metric := range theirs {
				if taken[metric] {
					return false
				}
			}
			return true
		})
		if at < 0 {
			joined, metrics = append(joined, t), append(metrics, theirs)
			continue
		}
		joined[at].Name += "; " + t.Name
		joined[at].Input = slices.Concat(joined[at].Input, t.Input)
		joined[at].checks = slices.Concat(joined[at].checks, t.checks)
		maps.Copy(metrics[at], theirs)
	}
	return joined
}

// metrics returns the metrics of a test, including those without samples.
func (t unitTest) metrics() map[string]bool {
	names := map[string]bool{}
	for _, metric := range t.about {
		names[metric] = true
	}
	for _, s := range t.Input {
		name, _, _ := strings.Cut(s.Series, "{")
		for _, suffix := range []string{"_count", "_bucket"} {
			name = strings.TrimSuffix(name, suffix)
		}
		names[name] = true
	}
	return names
}

// test returns a test of the objective, or of the report, without checks.
func (b base) test(name string, input ...inputSeries) unitTest {
	subject := b.name
	if subject == "" {
		subject = b.Namespace + "/" + b.Name
	}
	return unitTest{Name: subject + ": " + name, Interval: duration(time.Minute), Input: input}
}

// expect adds a check that an expression has a value at a minute, whatever its labels.
func (t *unitTest) expect(at int, expr string, value float64) {
	t.minutes = max(t.minutes, at)
	t.checks = append(t.checks, check{
		Expr: "sum(" + expr + ")", At: strconv.Itoa(at) + "m", Samples: []sample{{Labels: "{}", Value: value}},
	})
}

// fires checks whether an alert fires.
func (t *unitTest) fires(at int, b base, alert Rule, want bool) {
	t.expect(at, b.firing(alert), truth(want))
}

func truth(want bool) float64 {
	if want {
		return 1
	}
	return 0
}

// steady checks that an alert has changed at most once until a minute.
func (t *unitTest) steady(at int, b base, alert Rule) {
	t.expect(at, fmt.Sprintf("changes((%s)[%dm:1m]) <= bool 1", b.firing(alert), at), 1)
}

// none checks that a series has no sample.
func (t *unitTest) none(at int, series string) {
	t.expect(at, "count("+series+") or vector(0)", 0)
}

// firing returns an expression that is 1 while an alert fires, and otherwise 0. It does not match labels that reports
// may set.
func (b base) firing(alert Rule) string {
	labels := with(b.labels(), "alertname", alert.Alert, "alertstate", "firing")
	if window := alert.Labels[labelWindow]; window != "" {
		labels[labelWindow] = window
	}
	return "count(" + series("ALERTS", matchers(labels)...) + ") or vector(0)"
}

// replica returns the name of a series of one replica of the API.
func (b base) replica(name, metric string, labels map[string]string) string {
	return instance(name, metric, labels, b.apiLabels)
}

// present returns the series of a replica that Prometheus discovers after some minutes.
func (b base) present(name string, after, minutes int) inputSeries {
	v := (&values{}).hold(minutes, 1).String()
	if after > 0 {
		v = fmt.Sprintf("_x%d %s", after, v)
	}
	return inputSeries{b.replica(name, buildInfo, map[string]string{"version": "1"}), v}
}

// instance returns the name of a series of one process that a selector selects.
func instance(name, metric string, labels, selector map[string]string) string {
	label := "instance"
	for selector[label] != "" {
		label += "_"
	}
	all := with(selector, label, name)
	for name, value := range labels {
		all[name] = value
	}
	return series(metric, matchers(all)...)
}

// values builds the samples of a series, one per minute, in promtool's notation.
type values struct {
	parts []string
	value float64
}

// counter returns a counter that begins at 0.
func counter() *values { return &values{parts: []string{"0"}} }

// rise appends minutes with a number of events per minute.
func (v *values) rise(minutes int, perMinute float64) {
	v.parts = append(v.parts, run(v.value+perMinute, perMinute, minutes))
	for range minutes { // added as promtool does: a counter slightly below its last value would be a reset
		v.value += perMinute
	}
}

// restart resets the counter, as a restart of the process does.
func (v *values) restart() { v.value = 0 }

// hold appends minutes with the same value.
func (v *values) hold(minutes int, value float64) *values {
	v.value = value
	v.parts = append(v.parts, run(value, 0, minutes))
	return v
}

// gone appends minutes without samples, as after a failed scrape.
func (v *values) gone(minutes int) *values {
	v.parts = append(v.parts, "stale", fmt.Sprintf("_x%d", minutes-1))
	return v
}

func (v *values) String() string { return strings.Join(v.parts, " ") }

func run(from, step float64, n int) string {
	text := strconv.FormatFloat(from, 'f', -1, 64)
	if n > 1 {
		text += fmt.Sprintf("+%sx%d", strconv.FormatFloat(step, 'f', -1, 64), n-1)
	}
	return text
}

// inMinutes rounds up.
func inMinutes(d time.Duration) int { return int((d + time.Minute - 1) / time.Minute) }

// durationOf returns a rule's duration in minutes.
func durationOf(rule string) int {
	if rule == "" {
		return 0
	}
	// Go's parser suffices, since generated durations are less than a day.
	d, err := time.ParseDuration(rule)
	if err != nil {
		return 0
	}
	return inMinutes(d)
}

// hair is how far oscillating values differ from a limit, as a share of it.
const hair = 0.01

// oscillating returns values that repeatedly cross a limit, as far above as below it, and are at most highest. They stay on
// either side for longer than an alert's pending time, so that flapping is not prevented by that alone.
func oscillating(minutes, each int, limit, highest float64) []float64 {
	away := min(hair, highest/limit-1)
	all := make([]float64, minutes/each)
	for i := range all {
		all[i] = limit * (1 + away)
		if i%2 == 1 {
			all[i] = limit * (1 - away)
		}
	}
	return all
}
