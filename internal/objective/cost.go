package objective

import (
	"cmp"
	"slices"
	"strings"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/number"
	"github.com/watchbill/watchbill/internal/text"
)

// Cost requires the cost of AI agents' executions below a limit. Tokens without a price are in no cost; the result
// includes their number, and has no figure if nothing else was spent.
type Cost struct {
	MaxUSD string `json:"maxUSD"`           // above 0, at most 1000000
	Period Period `json:"period,omitempty"` // default: Day
}

// Period is the period of a budget.
type Period string

// The periods.
const (
	// PeriodDay is each UTC day that overlaps the window; the most expensive one counts. A day counts from its
	// beginning, even before the window, so that a report of an hour checks the whole day against its budget, and up to
	// the earlier of its end and the window's. Days are UTC, since a request has no time zone.
	PeriodDay Period = "Day"
	// PeriodWindow is the window of the report.
	PeriodWindow Period = "Window"
)

func (o *Cost) resolve(f fields) Resolved {
	r := Resolved{Unit: UnitUSD, Comparison: Below, Target: f.decimal("maxUSD", o.MaxUSD, 1e6), Needs: Needs{Executions: true}}
	switch o.Period {
	case "", PeriodDay:
		r.Description = "cost of AI agents' executions on the most expensive UTC day"
		r.Needs.Days = true
		r.measure = costliestDay
	case PeriodWindow:
		r.Description = "cost of AI agents' executions in the window"
		r.measure = func(d Data) reading {
			total := d.Spent()
			return spent(total.Cost, total, "", unclear(total))
		}
	default:
		f.fault("period", "must be %s or %s, not %s", PeriodDay, PeriodWindow, text.Quote(string(o.Period), 40))
	}
	return r
}

// costliestDay measures the most expensive day, with the unknown costs of all days.
func costliestDay(d Data) reading {
	days := d.SpentByDay()
	var all execution.Spend
	unknown := false
	for _, day := range days {
		all.Add(day.Spend)
		unknown = unknown || unclear(day.Spend)
	}
	day := slices.MaxFunc(days, func(a, b execution.SpendOf) int {
		return cmp.Or(cmp.Compare(a.Cost, b.Cost), cmp.Compare(a.Key, b.Key))
	})
	return spent(day.Cost, all, day.Key, unknown)
}

// maxUnclear limits what may be unknown for a cost below its target to meet the objective: one in maxUnclear requests
// of unknown usage, and one in maxUnclear tokens without a price.
const maxUnclear = 20

// unclear reports whether too much of a spend is unknown for its cost to be meaningful.
func unclear(s execution.Spend) bool {
	return s.UnknownUsage > s.Requests/maxUnclear || s.Unpriced > s.Tokens.Used/maxUnclear
}

// spent returns a cost, with its day if something was spent. Unlike a rate, it is 0 if nothing happened.
func spent(cost int64, all execution.Spend, day string, unclear bool) reading {
	var details []string
	if cost > 0 && day != "" {
		details = append(details, day)
	}
	switch {
	case all.Unpriced == 1:
		details = append(details, "1 token has no price")
	case all.Unpriced > 1:
		details = append(details, number.Grouped(all.Unpriced)+" tokens have no price")
	}
	if all.UnknownUsage > 0 {
		details = append(details, "usage of "+number.Counted(all.UnknownUsage, "execution")+" is unknown or estimated")
	}
	read := reading{detail: strings.Join(details, "; "), unclear: unclear}
	if known, ok := execution.KnownCost(cost, all.Unpriced, all.Evidence); ok {
		read.actual = dollars(known)
		read.atLeast = all.Unpriced > 0 || all.UnknownUsage > 0
	}
	return read
}
