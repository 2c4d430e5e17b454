package rules

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report"
)

const (
	maxName       = 253 // bytes, of a report and its namespace
	maxLabels     = 16
	maxLabelValue = 256 // characters
	maxRunbookURL = 512 // bytes
	maxMinEvents  = 1_000_000_000
)

// plan is a validated report.
type plan struct {
	Report
	api, controller []string // matchers of their series
	apiLabels       map[string]string
	controlLabels   map[string]string
	target          engine
	period          budgetPeriod
	burns           []burn
	routes          []Route
	indicators      []indicator
}

// indicator is an objective's service level indicator and its rules.
type indicator interface {
	recordings() []Rule
	slow() []Rule // recordings over long ranges, for which every two minutes suffices
	alerts() []Rule
	blind() string // an expression with a sample if the objective has no series although it should; empty if that is undetectable
	note() string  // after the objective's name; may be empty
	tests() []unitTest
	// lazy reports whether the series exist from their first event on, and not before.
	lazy() bool
}

// newPlan validates all input. Its error is report.FieldErrors.
func newPlan(r Report, o Options) (plan, error) {
	r.Mode = cmp.Or(r.Mode, BurnRate)
	r.MinEvents = cmp.Or(r.MinEvents, DefaultMinEvents)
	r.Interval = cmp.Or(r.Interval, DefaultInterval)
	r.RunbookURL = cmp.Or(r.RunbookURL, o.RunbookURL, DefaultRunbookURL)
	r.RunbookURL = strings.TrimRight(r.RunbookURL, "/")
	var f faults
	f.name("namespace", r.Namespace)
	f.name("name", r.Name)
	f.alerting(r)
	f.windows(r)
	f.selector("selector", o.Selector)
	f.selector("controllerSelector", o.ControllerSelector)
	f.objectives(r)
	target, err := ParseTarget(string(o.Target))
	if err != nil {
		f.add("target", "%s", err)
	}
	if r.Window < 0 || r.Window%time.Minute != 0 {
		f.add("window", "must be whole minutes, not %s", r.Window)
	}
	if len(f) > 0 {
		return plan{}, report.FieldErrors(f)
	}
	p := plan{
		Report: r, api: matchers(o.Selector), controller: matchers(o.ControllerSelector),
		apiLabels: o.Selector, controlLabels: o.ControllerSelector, target: engines[target],
		period: periods[cmp.Or(r.Period, Days30)], routes: o.Routes,
	}
	p.burns = p.period.burns
	if r.Windows != nil {
		p.burns = nil
	}
	for _, w := range r.Windows {
		p.burns = append(p.burns, w.burn())
	}
	if r.Mode == None {
		return p, nil
	}
	for _, o := range r.Objectives.All {
		p.indicators = append(p.indicators, indicators[o.Kind](base{plan: &p, name: o.Name}, o))
	}
	return p, nil
}

// indicators makes the indicator of an objective, by its kind.
var indicators = map[objective.Kind]func(base, objective.Resolved) indicator{
	objective.KindLatency:         base.latency,
	objective.KindErrorRate:       base.errorRate,
	objective.KindPoolUtilization: base.poolUtilization,
	objective.KindQueryTime:       base.queryTime,
	objective.KindPollRate:        base.pollRate,
	objective.KindSuccessRate:     base.successRate,
	objective.KindCost:            base.cost,
}

func (p *plan) notes() []Note {
	var notes []Note
	for i, in := range p.indicators {
		o := p.Objectives.All[i]
		for _, text := range []string{in.note(), p.routeNote(o)} {
			if text != "" {
				notes = append(notes, Note{o.Name, text})
			}
		}
	}
	return notes
}

// faults are the faults of a report.
type faults report.FieldErrors

func (f *faults) add(field, format string, args ...any) {
	*f = append(*f, report.FieldError{Field: field, Problem: fmt.Sprintf(format, args...)})
}

func (f *faults) name(field, s string) {
	if s == "" || len(s) > maxName || !utf8.ValidString(s) {
		f.add(field, "must be 1 to %d bytes of UTF-8", maxName)
	}
}

var (
	labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]{0,62}$`)
	// As many digits as a factor needs; a fraction could otherwise be of any length.
	decimalSyntax = regexp.MustCompile(`^[0-9]{1,4}([.][0-9]{1,9})?$`)

	urlSyntax = regexp.MustCompile(`^https?://[!-~]+$`)
)

func (f *faults) alerting(r Report) {
	if !slices.Contains([]Mode{BurnRate, Threshold, None}, r.Mode) {
		f.add("mode", "must be %s, %s or %s, not %q", BurnRate, Threshold, None, r.Mode)
	}
	if r.MinEvents < 1 || r.MinEvents > maxMinEvents {
		f.add("minEvents", "must be from 1 to %d, not %d", maxMinEvents, r.MinEvents)
	}
	if len(r.Labels) > maxLabels {
		f.add("labels", "there may be %d, not %d", maxLabels, len(r.Labels))
	}
	ours := []string{"alertname", labelObjective, labelReport, labelNamespace, labelWindow}
	f.labels("labels", r.Labels, ours, "is set already")
	base, err := url.Parse(r.RunbookURL)
	if err != nil || base.Host == "" || len(r.RunbookURL) > maxRunbookURL || !urlSyntax.MatchString(r.RunbookURL) {
		f.add("runbookURL", "must be a URL of http or https, of at most %d characters", maxRunbookURL)
	}
}

// selector rejects labels that the API's series already have: with two values for one label nothing would be selected.
func (f *faults) selector(field string, selector map[string]string) {
	theirs := []string{
		labelObjective, labelReport, labelNamespace,
		"agent", "code", "le", "method", "model", "query", "route", "state", "status",
	}
	f.labels(field, selector, theirs, "is a label that the series already have, so nothing would be selected")
}

func (f *faults) labels(field string, labels map[string]string, reserved []string, why string) {
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		value := labels[name]
		switch {
		case !labelName.MatchString(name) || strings.HasPrefix(name, "__"):
			f.add(field, "must be named like Prometheus' labels, not %.70q", name)
		case slices.Contains(reserved, name):
			f.add(field, "%s %s", name, why)
		case !utf8.ValidString(value) || utf8.RuneCountInString(value) > maxLabelValue:
			f.add(field+"."+name, "must be at most %d characters of UTF-8", maxLabelValue)
		}
	}
}

// objectives adds the faults of the objectives, and thresholds that are not bucket bounds.
func (f *faults) objectives(r Report) {
	for _, fault := range r.Objectives.Faults {
		*f = append(*f, report.FieldError(fault))
	}
	if r.Mode == None {
		return
	}
	for i, o := range r.Objectives.All {
		if o.Threshold == 0 {
			continue
		}
		if problem := boundFault(o.Threshold); problem != "" {
			f.add(fmt.Sprintf("objectives[%d].%s.threshold", i, o.Kind), "%s", problem)
		}
	}
}
