package rules

import (
	"fmt"
	"math/big"
	"time"
)

// burn is an alert by burn rate: the share of bad events is more than so many times the budget, over a long window (it is
// serious) and over a short one (it goes on, and the alert ends soon after).
type burn struct {
	factor        *big.Rat
	long, short   time.Duration
	severity      string
	pending, keep time.Duration
}

// burns are the pairs of Google's Site Reliability Workbook, chapter 5, Alerting on SLOs, for a budget of 30 days: 2 % of it
// gone in an hour, 5 % in 6 hours, 10 % in a day, 10 % in three. pending and keep are ours: a share that hovers about the
// limit would otherwise wake somebody each time it crosses it.
var burns = []burn{
	{big.NewRat(144, 10), time.Hour, 5 * time.Minute, critical, 2 * time.Minute, 10 * time.Minute},
	{big.NewRat(6, 1), 6 * time.Hour, 30 * time.Minute, critical, 2 * time.Minute, 15 * time.Minute},
	{big.NewRat(3, 1), 24 * time.Hour, 2 * time.Hour, warning, 15 * time.Minute, 30 * time.Minute},
	{big.NewRat(1, 1), 72 * time.Hour, 6 * time.Hour, warning, 15 * time.Minute, 30 * time.Minute},
}

// The alert by threshold: the objective was missed over so long.
const (
	thresholdWindow  = 30 * time.Minute
	thresholdPending = 5 * time.Minute
	thresholdKeep    = 15 * time.Minute
)

// feasible are the pairs that can be reached: no more than all events can be bad.
func (e events) feasible() []burn {
	var pairs []burn
	for _, pair := range burns {
		if below(times(pair.factor, e.budget), big.NewRat(1, 1)) {
			pairs = append(pairs, pair)
		}
	}
	return pairs
}

// byThreshold says whether the objective is alerted about by threshold: also where only slow burn rates could be reached,
// or the worst of outages would be a ticket in some hours.
func (e events) byThreshold() bool {
	pairs := e.feasible()
	return e.Mode == Threshold || len(pairs) == 0 || pairs[0].severity != critical
}

func (e events) note() string {
	if e.Mode != BurnRate || !e.byThreshold() {
		return ""
	}
	return fmt.Sprintf("alerts by threshold: its budget of %s is too large for a burn rate, as %s times as much is more than all %s",
		percent(e.budget), number(burns[1].factor), e.counts)
}

func (e events) alerts() []Rule {
	if e.byThreshold() {
		return []Rule{e.thresholdAlert()}
	}
	var alerts []Rule
	for _, pair := range e.feasible() {
		alerts = append(alerts, e.burnAlert(pair))
	}
	return alerts
}

func (e events) burnAlert(pair burn) Rule {
	factor, budget := number(pair.factor), number(e.budget)
	over := func(window time.Duration) string {
		return fmt.Sprintf("%s > %s * %s", e.recorded(ratioSeries+duration(window)), factor, budget)
	}
	lasts := time.Duration(float64(period) / float(pair.factor)).Round(time.Minute)
	limit := percent(times(pair.factor, e.budget))
	speed, more := factor+" times too fast", ", "+factor+" times as much,"
	if pair.factor.Cmp(big.NewRat(1, 1)) == 0 {
		speed, more = "faster than it may", ""
	}
	return e.alert(alarm{
		alert: e.alertName, severity: pair.severity, window: duration(pair.long),
		expr:    over(pair.long) + "\nand\n" + over(pair.short) + "\nand\n" + e.enough(pair.long),
		pending: pair.pending, keep: pair.keep,
		summary: "Objective " + e.whose() + " spends its error budget " + speed,
		description: fmt.Sprintf("{{ $value | humanizePercentage }} %s in the last %s, and more than %s in the last %s. "+
			"The objective (%s) allows %s; at %s%s the budget of 30 days lasts %s.",
			e.what, duration(pair.long), limit, duration(pair.short), e.wanted, percent(e.budget), limit, more, duration(lasts)),
	})
}

func (e events) thresholdAlert() Rule {
	return e.alert(alarm{
		alert: e.alertName, severity: warning, window: duration(thresholdWindow),
		expr: fmt.Sprintf("%s >= %s\nand\n%s",
			e.recorded(ratioSeries+duration(thresholdWindow)), number(e.budget), e.enough(thresholdWindow)),
		pending: thresholdPending, keep: thresholdKeep,
		summary: "Objective " + e.whose() + " is missed",
		description: fmt.Sprintf("{{ $value | humanizePercentage }} %s in the last %s. The objective (%s) allows less than %s.",
			e.what, duration(thresholdWindow), e.wanted, percent(e.budget)),
	})
}
