package rules

import (
	"fmt"
	"math/big"
	"time"

	"github.com/watchbill/watchbill/internal/objective"
)

const (
	costAlert = "WatchbillCostOverBudget"
	costKeep  = 15 * time.Minute // a starting replica does not know the day's cost at once
)

// dayCostSeries is a gauge read from the database.
const dayCostSeries = "watchbill_day_cost_usd"

// cost returns the indicator of a budget's period.
func (b base) cost(o objective.Resolved) indicator {
	if o.Cost.Period == objective.PeriodWindow {
		return windowCost{b, o.Target}
	}
	return dayCost{b, o.Target}
}

// dayCost is a budget for each UTC day.
type dayCost struct {
	base
	limit *big.Rat
}

func (dayCost) recordings() []Rule { return nil }
func (dayCost) slow() []Rule       { return nil }
func (dayCost) note() string       { return "" }
func (dayCost) lazy() bool         { return false }

// alerts use a gauge read from the database, which is the same on every replica.
func (o dayCost) alerts() []Rule {
	return []Rule{o.alert(alarm{
		alert: costAlert, tier: Slow,
		expr:        fmt.Sprintf("max(%s) >= %s", o.measured(dayCostSeries), number(o.limit)),
		keep:        costKeep,
		summary:     "Objective " + o.whose() + " is missed: the day's budget is spent",
		description: fmt.Sprintf(`AI agents' executions of this UTC day cost {{ $value | printf "%%.2f" }} USD so far. The objective allows less than %s USD a day.`, number(o.limit)),
	})}
}

// windowCost is a budget for the report's window.
type windowCost struct {
	base
	limit *big.Rat
}

const costSeries = "watchbill:objective_cost_usd:increase5m"

// costLabels are the labels of the cost counter.
var costLabels = []string{"agent", "model"}

// recordings make sums over long windows cheap: thousands of samples instead of those of every agent and model.
func (o windowCost) recordings() []Rule {
	if o.Window == 0 {
		return nil
	}
	return []Rule{o.record(costSeries, o.increase("watchbill_cost_usd_total", costLabels))}
}

func (windowCost) slow() []Rule { return nil }
func (windowCost) lazy() bool   { return true }

func (o windowCost) note() string {
	switch {
	case o.Window == 0:
		return "no alert: its budget is for the report's window, which differs from run to run; set spec.window, or period to Day"
	case o.Window > 30*day:
		return fmt.Sprintf("alerts on no more data than Prometheus keeps: its window is %s, and Prometheus keeps 15d by default", duration(o.Window))
	default:
		return ""
	}
}

func (o windowCost) alerts() []Rule {
	if o.Window == 0 {
		return nil
	}
	window := duration(o.Window)
	return []Rule{o.alert(alarm{
		alert: costAlert, tier: Slow, window: window,
		expr:    fmt.Sprintf("sum_over_time(%s[%s]) / %s >= %s", o.recorded(costSeries), window, o.sightings(), number(o.limit)),
		keep:    costKeep,
		summary: "Objective " + o.whose() + " is missed: the budget of " + window + " is spent",
		description: fmt.Sprintf(`AI agents' executions cost {{ $value | printf "%%.2f" }} USD in the last %s. The objective allows less than %s USD.`,
			window, number(o.limit)),
	})}
}
