package rules

import (
	"fmt"
	"math/big"
	"slices"
	"time"
)

// burn is a burn-rate alert: the share of bad events exceeds a multiple of the budget over a long window, so that it is
// serious, and over a short one, so that it is ongoing and the alert ends soon after it.
type burn struct {
	factor        *big.Rat
	long, short   time.Duration
	tier          Tier
	severity      string // empty: the tier's
	pending, keep time.Duration
}

// The threshold alert: the objective was missed over this window.
const (
	thresholdWindow  = 30 * time.Minute
	thresholdPending = 5 * time.Minute
	thresholdKeep    = 15 * time.Minute
)

// feasible returns the window pairs whose burn rate can be reached, since at most all events can be bad.
func (e events) feasible() []burn {
	var pairs []burn
	for _, pair := range e.burns {
		if below(times(pair.factor, e.budget), big.NewRat(1, 1)) {
			pairs = append(pairs, pair)
		}
	}
	return pairs
}

// byThreshold reports whether the objective has a threshold alert. It also has one if no fast burn rate can be reached,
// since a full outage would otherwise only raise a ticket after hours.
func (e events) byThreshold() bool {
	pairs := e.feasible()
	return e.Mode == Threshold || len(pairs) == 0 || hasFast(e.burns) && !hasFast(pairs)
}

func hasFast(pairs []burn) bool {
	return slices.ContainsFunc(pairs, func(pair burn) bool { return pair.tier == Fast })
}

func (e events) lazy() bool { return e.created }

func (e events) note() string {
	if e.Mode != BurnRate || !e.byThreshold() {
		return ""
	}
	minimum := e.burns[0].factor
	for _, pair := range e.burns {
		if (pair.tier == Fast || !hasFast(e.burns)) && below(pair.factor, minimum) {
			minimum = pair.factor
		}
	}
	return fmt.Sprintf("alerts by threshold: its budget of %s is too large for a burn rate, as %s times as much is more than all %s",
		percent(e.budget), number(minimum), e.counts)
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
	lasts := time.Duration(float64(e.period.days) * float64(day) / float(pair.factor)).Round(time.Minute)
	limit := percent(times(pair.factor, e.budget))
	speed, more := factor+" times too fast", ", "+factor+" times as much,"
	switch pair.factor.Cmp(big.NewRat(1, 1)) {
	case 0:
		speed, more = "faster than it may", ""
	case -1:
		speed = "at more than " + percent(pair.factor) + " of the speed that it may"
	}
	return e.alert(alarm{
		alert: e.alertName, tier: pair.tier, severity: pair.severity, window: duration(pair.long),
		expr:    over(pair.long) + "\nand\n" + over(pair.short) + "\nand\n" + e.enough(pair.long),
		pending: pair.pending, keep: pair.keep,
		summary: "Objective " + e.whose() + " spends its error budget " + speed,
		description: fmt.Sprintf("{{ $value | humanizePercentage }} %s in the last %s, and more than %s in the last %s. "+
			"The objective (%s) allows %s; at %s%s the budget of %s lasts %s.",
			e.what, duration(pair.long), limit, duration(pair.short), e.wanted, percent(e.budget), limit, more, e.period.words, duration(lasts)),
	})
}

func (e events) thresholdAlert() Rule {
	return e.alert(alarm{
		alert: e.alertName, tier: Slow, window: duration(thresholdWindow),
		expr: fmt.Sprintf("%s >= %s\nand\n%s",
			e.recorded(ratioSeries+duration(thresholdWindow)), number(e.budget), e.enough(thresholdWindow)),
		pending: thresholdPending, keep: thresholdKeep,
		summary: "Objective " + e.whose() + " is missed",
		description: fmt.Sprintf("{{ $value | humanizePercentage }} %s in the last %s. The objective (%s) allows less than %s.",
			e.what, duration(thresholdWindow), e.wanted, percent(e.budget)),
	})
}
