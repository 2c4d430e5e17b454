package rules

import (
	"fmt"
	"time"
)

const (
	unmeasuredAlert   = "WatchbillObjectiveBlind"
	unmeasuredPending = 30 * time.Minute
)

// blind returns the alert for an objective without series although the API is scraped. None of its other alerts can fire
// then.
func (p *plan) blind(name string, in indicator) []Rule {
	expr := in.blind()
	if expr == "" {
		return nil
	}
	b := base{plan: p, name: name}
	return []Rule{b.alert(alarm{
		alert: unmeasuredAlert, tier: Slow, expr: expr, pending: unmeasuredPending,
		summary:     "Objective " + b.whose() + " has no data",
		description: "Prometheus scrapes Watchbill's API, but has had no series of the objective for " + duration(unmeasuredPending) + ".",
	})}
}

// scrapedWithout has a sample if replicas are scraped and expr has no sample.
func (b base) scrapedWithout(expr string) string {
	return fmt.Sprintf("count(%s) unless on () %s", b.measured(buildInfo), expr)
}

// storedWithout has a sample if replicas store executions and the series that counts them is missing. Executions have no
// series before the first one, so absence alone means nothing.
func (b base) storedWithout(metric string) string {
	return fmt.Sprintf("sum(increase(%s[1h])) > 0 unless on () count(%s)",
		b.measured("watchbill_ledger_rows_total", is("result", "accepted")), b.measured(metric))
}

func (e events) blind() string {
	if e.created {
		return e.storedWithout("watchbill_executions_total")
	}
	return e.scrapedWithout(e.recorded(eventsSeries))
}

func (o pool) blind() string { return o.scrapedWithout(o.recorded(poolSeries)) }

// blind does not use the polls per agent, which do not exist without agents.
func (o polls) blind() string {
	return o.scrapedWithout(fmt.Sprintf("(count(%s) and on () count(%s))", o.measured("watchbill_agents"), o.polls()))
}

func (o dayCost) blind() string { return o.scrapedWithout("count(" + o.measured(dayCostSeries) + ")") }

// blind uses executions, since those without tokens have no costs.
func (o windowCost) blind() string {
	if o.Window == 0 {
		return ""
	}
	return fmt.Sprintf("sum(increase(%s[1h])) > 0 unless on () count(%s)",
		o.measured("watchbill_tokens_total"), o.measured("watchbill_cost_usd_total"))
}
