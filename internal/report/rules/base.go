package rules

import (
	"cmp"
	"fmt"
	"maps"
	"math/big"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

// Labels that rules set.
const (
	labelObjective = "objective"
	labelReport    = "report"
	labelNamespace = "report_namespace"
	labelSeverity  = "severity"
	labelTier      = "tier"
	labelWindow    = "window" // an alert's longer window, if an objective has several alerts
)

// Severities. Others may be set by the report.
const (
	critical = "critical" // pages someone
	warning  = "warning"  // a ticket
)

var severityOf = map[Tier]string{Fast: critical, Slow: warning}

// DefaultInterval is the default evaluation interval.
const DefaultInterval = time.Minute

// minutesOfIncrease is the window of recorded increases.
const minutesOfIncrease = 5

// sightings returns the number of recorded increases that contain the same event.
func (p *plan) sightings() string {
	return number(big.NewRat(int64(minutesOfIncrease*time.Minute), int64(p.Interval)))
}

// buildInfo is a series of every replica of the API from its first scrape on.
const buildInfo = "watchbill_build_info"

// base is the common part of an objective's rules, or of the report's if name is empty.
type base struct {
	*plan
	name string // the objective's
}

// labels identify the series of a report's objective.
func (b base) labels() map[string]string {
	labels := map[string]string{labelReport: b.Name, labelNamespace: b.Namespace}
	if b.name != "" {
		labels[labelObjective] = b.name
	}
	return labels
}

// recorded selects series recorded for this objective.
func (b base) recorded(metric string) string { return series(metric, matchers(b.labels())...) }

// measured selects series of the API.
func (b base) measured(metric string, matchers ...string) string {
	return series(metric, append(matchers, b.api...)...)
}

// increase is the increase of a counter of the API in 5 minutes, summed over its series. Prometheus ignores a series' first
// value. Here it counts, since counters of an agent and model begin with their first execution: a series that did not exist
// 5 minutes ago although its replica did has increased by its whole value. Whether it existed is decided by the counter's
// own labels, so that a relabeling, which renames all series, makes none of them new.
func (b base) increase(metric string, own []string, matchers ...string) string {
	counter := b.measured(metric, matchers...)
	return fmt.Sprintf("sum(\n  (%[1]s unless on (%[3]s) %[1]s offset 5m and on (job, instance) %[2]s offset 5m)\n  or\n  increase(%[1]s[5m])\n)",
		counter, b.measured(buildInfo), strings.Join(append([]string{"job", "instance"}, own...), ", "))
}

func (b base) record(metric, expr string) Rule {
	return Rule{Record: metric, Expr: expr, Labels: b.labels()}
}

// alarm is the part in which alerts differ.
type alarm struct {
	alert, window        string // window may be empty
	tier                 Tier   // empty: the alert is about no objective
	severity             string // empty: the tier's
	expr                 string
	pending, keep        time.Duration // for and keep_firing_for
	summary, description string        // templates
}

func (b base) alert(a alarm) Rule {
	labels := map[string]string{labelSeverity: cmp.Or(a.severity, severityOf[a.tier])}
	if a.tier != "" {
		labels[labelTier] = string(a.tier)
	}
	for name, value := range b.Labels {
		labels[name] = literal(value)
	}
	if severity := b.Severities[a.tier]; severity != "" {
		labels[labelSeverity] = literal(severity)
	}
	if a.tier != "" && a.severity != "" { // a window's own
		labels[labelSeverity] = literal(a.severity)
	}
	ours := b.labels()
	if a.window != "" {
		ours[labelWindow] = a.window
	}
	for name, value := range ours {
		labels[name] = literal(value)
	}
	return Rule{
		Alert: a.alert, Expr: a.expr, For: duration(a.pending), KeepFiringFor: duration(a.keep), Labels: labels,
		Annotations: map[string]string{
			"summary":     a.summary,
			"description": a.description,
			"runbook_url": literal(b.RunbookURL) + "/" + a.alert + ".md",
		},
	}
}

// whose returns the objective and report for a template.
func (b base) whose() string { return literal(b.name) + " of report " + b.reportName() }

// reportName returns the report's name for a template.
func (b base) reportName() string { return literal(b.Namespace) + "/" + literal(b.Name) }

// duration formats a duration for Prometheus; "" for 0.
func duration(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return model.Duration(d).String()
}

// with returns a copy of labels with more of them.
func with(labels map[string]string, more ...string) map[string]string {
	all := maps.Clone(labels)
	if all == nil {
		all = map[string]string{}
	}
	for i := 0; i < len(more); i += 2 {
		all[more[i]] = more[i+1]
	}
	return all
}
