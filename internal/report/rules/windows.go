package rules

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Tier is how urgent an alert is, whatever its severity is called. Alertmanager inhibits by it.
type Tier string

// The tiers.
const (
	Fast Tier = "fast" // requires action now: the budget is used up within days
	Slow Tier = "slow" // requires action today
)

// Period is the period of error budgets.
type Period string

// The periods. Month is the current month in UTC; the others end now.
const (
	Days7  Period = "7d"
	Days28 Period = "28d"
	Days30 Period = "30d"
	Month  Period = "Month"
)

// budgetPeriod are the properties of a Period.
type budgetPeriod struct {
	// Series of the remaining budget, as a share and in seconds.
	remaining, seconds string

	span  time.Duration // for months, the maximum
	days  int64         // length used in calculations
	words string        // "budget of …"
	burns []burn
}

var periods = map[Period]budgetPeriod{
	Days7: {
		"watchbill:objective_error_budget_remaining:ratio7d", "watchbill:objective_error_budget_remaining:seconds7d",
		7 * day, 7, "7 days", burnsOf(big.NewRat(336, 25), big.NewRat(7, 2), big.NewRat(7, 5)),
	},
	Days28: {
		"watchbill:objective_error_budget_remaining:ratio28d", "watchbill:objective_error_budget_remaining:seconds28d",
		28 * day, 28, "28 days", burnsOf(big.NewRat(336, 25), big.NewRat(28, 5), big.NewRat(14, 5)),
	},
	Days30: {
		"watchbill:objective_error_budget_remaining:ratio30d", "watchbill:objective_error_budget_remaining:seconds30d",
		30 * day, 30, "30 days", burnsOf(big.NewRat(72, 5), big.NewRat(6, 1), big.NewRat(3, 1)),
	},
	Month: {
		"watchbill:objective_error_budget_remaining:ratio_month", "watchbill:objective_error_budget_remaining:seconds_month",
		31 * day, 30, "a month of 30 days", burnsOf(big.NewRat(72, 5), big.NewRat(6, 1), big.NewRat(3, 1)),
	},
}

const day = 24 * time.Hour

// burnsOf returns the window pairs of Google's Site Reliability Workbook, chapter 5, Alerting on SLOs, with these
// factors: 2 % of a budget of 30 days used in an hour, 5 % in 6 hours, 10 % in a day, 10 % in three; of a budget of 7
// days 8 %, 12.5 %, 20 % and 43 %. pending and keep are additions: otherwise a share that oscillates around the limit
// would page each time it crosses it.
func burnsOf(hour, hours, oneDay *big.Rat) []burn {
	return []burn{
		{hour, time.Hour, 5 * time.Minute, Fast, "", 2 * time.Minute, 10 * time.Minute},
		{hours, 6 * time.Hour, 30 * time.Minute, Fast, "", 2 * time.Minute, 15 * time.Minute},
		{oneDay, day, 2 * time.Hour, Slow, "", 15 * time.Minute, 30 * time.Minute},
		{big.NewRat(1, 1), 3 * day, 6 * time.Hour, Slow, "", 15 * time.Minute, 30 * time.Minute},
	}
}

// Window is a pair of windows of a burn-rate alert.
type Window struct {
	Long, Short time.Duration // whole minutes; Short 0: a twelfth of Long, at least 5 minutes
	Factor      string        // the burn rate: multiple of the allowed rate
	Tier        Tier          // empty: Fast if Long is less than a day
	Severity    string        // empty: the tier's
	// For is how long the burn rate must hold, KeepFiringFor how long the alert keeps firing after it ended.
	// nil: 2 and 15 minutes if the tier is fast, otherwise 15 and 30.
	For, KeepFiringFor *time.Duration
}

const (
	maxWindows  = 4 // their rules fit into a group of maxGroupRules
	minWindow   = 5 * time.Minute
	maxFactor   = 1000
	maxWaiting  = day
	maxInterval = 2 * time.Minute // the budgets' interval is twice this, and Prometheus looks back 5 minutes for a sample
	minInterval = 10 * time.Second
)

// burn returns the alert of the window, with defaults for missing fields.
func (w Window) burn() burn {
	b := burn{factor: decimal(w.Factor), long: w.Long, short: w.Short, tier: w.Tier, severity: w.Severity}
	b.short = cmp.Or(b.short, max(w.Long/12, minWindow).Truncate(time.Minute))
	if b.tier == "" && b.long < day {
		b.tier = Fast
	}
	b.tier = cmp.Or(b.tier, Slow)
	b.pending, b.keep = 15*time.Minute, 30*time.Minute
	if b.tier == Fast {
		b.pending, b.keep = 2*time.Minute, 15*time.Minute
	}
	if w.For != nil {
		b.pending = *w.For
	}
	if w.KeepFiringFor != nil {
		b.keep = *w.KeepFiringFor
	}
	return b
}

// windows checks the settings of burn-rate alerts.
func (f *faults) windows(r Report) {
	period, known := periods[cmp.Or(r.Period, Days30)]
	if !known {
		f.add("period", "must be %s, %s, %s or %s, not %.40q", Days7, Days28, Days30, Month, r.Period)
		period = periods[Days30]
	}
	if r.Interval != 0 && (r.Interval < minInterval || r.Interval > maxInterval || r.Interval%time.Second != 0) {
		f.add("interval", "must be whole seconds from %s to %s, not %s", duration(minInterval), duration(maxInterval), r.Interval)
	}
	for _, tier := range []Tier{Fast, Slow} {
		f.severity("severities."+string(tier), r.Severities[tier])
	}
	for tier := range r.Severities {
		if tier != Fast && tier != Slow {
			f.add("severities", "must be of %s and %s, not %.40q", Fast, Slow, tier)
		}
	}
	if len(r.Windows) > maxWindows {
		f.add("windows", "there may be %d, not %d", maxWindows, len(r.Windows))
	}
	seen := map[time.Duration]bool{}
	for i, w := range r.Windows {
		field := fmt.Sprintf("windows[%d]", i)
		f.window(field, w, period.span)
		if seen[w.Long] {
			f.add(field+".long", "%s is another window's already", duration(w.Long))
		}
		seen[w.Long] = true
	}
}

func (f *faults) window(field string, w Window, longest time.Duration) {
	switch {
	case w.Long <= minWindow || w.Long > longest || w.Long%time.Minute != 0:
		f.add(field+".long", "must be whole minutes, more than %s and at most %s, the budget's period", duration(minWindow), duration(longest))
	case w.Short != 0 && (w.Short < minWindow || w.Short >= w.Long || w.Short%time.Minute != 0):
		f.add(field+".short", "must be whole minutes, at least %s and less than long", duration(minWindow))
	}
	if factor := decimal(w.Factor); !decimalSyntax.MatchString(w.Factor) || factor.Sign() <= 0 || factor.Cmp(big.NewRat(maxFactor, 1)) > 0 {
		f.add(field+".factor", "must be a decimal number above 0 and at most %d, such as \"14.4\"", maxFactor)
	}
	if !slices.Contains([]Tier{"", Fast, Slow}, w.Tier) {
		f.add(field+".tier", "must be %s or %s, not %.40q", Fast, Slow, w.Tier)
	}
	f.severity(field+".severity", w.Severity)
	for name, d := range map[string]*time.Duration{"for": w.For, "keepFiringFor": w.KeepFiringFor} {
		if d != nil && (*d < 0 || *d > maxWaiting || *d%time.Second != 0) {
			f.add(field+"."+name, "must be whole seconds, at most %s", duration(maxWaiting))
		}
	}
}

func (f *faults) severity(field, value string) {
	if !utf8.ValidString(value) || utf8.RuneCountInString(value) > maxLabelValue || strings.ContainsAny(value, "\n\r") {
		f.add(field, "must be at most %d characters of UTF-8, in one line", maxLabelValue)
	}
}
