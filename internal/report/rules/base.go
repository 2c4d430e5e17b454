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
	labelWindow    = "window" // the longer one of an alert's, where an objective has several alerts
)

// Severities. Others may be set by the report.
const (
	critical = "critical" // wakes somebody
	warning  = "warning"  // can wait for the day
)

var severityOf = map[Tier]string{Fast: critical, Slow: warning}

// DefaultInterval is how often rules are evaluated, where a report does not say.
const DefaultInterval = time.Minute

// minutesOfIncrease is what increases are recorded over.
const minutesOfIncrease = 5

// sightings is how many of the recorded increases see the same event.
func (p *plan) sightings() string {
	return number(big.NewRat(int64(minutesOfIncrease*time.Minute), int64(p.Interval)))
}

// buildInfo is a series that every replica of the API has from its first scrape on.
const buildInfo = "watchbill_build_info"

// base is what all rules of an objective have in common; or of the report, where name is empty.
type base struct {
	*plan
	name string // the objective's
}

// labels tell the series of one report's objective from all others.
func (b base) labels() map[string]string {
	labels := map[string]string{labelReport: b.Name, labelNamespace: b.Namespace}
	if b.name != "" {
		labels[labelObjective] = b.name
	}
	return labels
}

// recorded selects what rules of this objective recorded.
func (b base) recorded(metric string) string { return series(metric, matchers(b.labels())...) }

// measured selects series of the API.
func (b base) measured(metric string, matchers ...string) string {
	return series(metric, append(matchers, b.api...)...)
}

// increase is what a counter of the API rose by in 5 minutes, of all its series together. Prometheus does not count what a
// series begins with; here it counts, for counters that an agent and a model have from their first execution on: a series
// that did not exist 5 minutes ago, when its replica did, has risen by all that it shows. The counter's own labels tell
// whether it existed, so that a relabeling, which renames every series at once, makes none of them new.
func (b base) increase(metric string, own []string, matchers ...string) string {
	counter := b.measured(metric, matchers...)
	return fmt.Sprintf("sum(\n  (%[1]s unless on (%[3]s) %[1]s offset 5m and on (job, instance) %[2]s offset 5m)\n  or\n  increase(%[1]s[5m])\n)",
		counter, b.measured(buildInfo), strings.Join(append([]string{"job", "instance"}, own...), ", "))
}

func (b base) record(metric, expr string) Rule {
	return Rule{Record: metric, Expr: expr, Labels: b.labels()}
}

// alarm is what differs between alerts.
type alarm struct {
	alert, window        string // window may be empty
	tier                 Tier   // empty: the alert is about no objective
	severity             string // empty: the tier's
	expr                 string
	pending, keep        time.Duration // how long it must hold, and for how long it is kept once it does not
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

// whose says in a template whose objective it is.
func (b base) whose() string { return literal(b.name) + " of report " + b.reportName() }

// reportName is the report's in a template.
func (b base) reportName() string { return literal(b.Namespace) + "/" + literal(b.Name) }

// duration writes a duration as Prometheus reads it; nothing for 0.
func duration(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return model.Duration(d).String()
}

// with returns labels with more of them.
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
