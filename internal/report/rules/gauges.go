package rules

import (
	"fmt"
	"math/big"
	"time"

	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report"
)

// gaugeWindow is the window of gauges' means.
const gaugeWindow = 15 * time.Minute

// pool is an objective for the share of database connections in use, on the worst replica.
type pool struct {
	base
	limit *big.Rat
}

const (
	poolSeries  = "watchbill:objective_pool_utilization:mean15m"
	poolPending = 10 * time.Minute
	poolKeep    = 15 * time.Minute
)

func (b base) poolUtilization(o objective.Resolved) indicator { return pool{b, o.Target} }

func (o pool) recordings() []Rule {
	return []Rule{o.record(poolSeries, fmt.Sprintf(
		"max(\n  avg_over_time(%s[15m])\n  / ignoring(state)\n  (avg_over_time(%s[15m]) > 0)\n)",
		o.measured("watchbill_db_pool_connections", is("state", "in_use")), o.measured("watchbill_db_pool_max_connections")))}
}

func (pool) slow() []Rule { return nil }
func (pool) note() string { return "" }
func (pool) lazy() bool   { return false }

func (o pool) alerts() []Rule {
	return []Rule{o.alert(alarm{
		alert: "WatchbillPoolUtilizationHigh", tier: Slow,
		expr:    o.recorded(poolSeries) + " >= " + number(o.limit),
		pending: poolPending, keep: poolKeep,
		summary: "Objective " + o.whose() + " is missed: the database pool is nearly used up",
		description: fmt.Sprintf("The worst replica had {{ $value | humanizePercentage }} of its database connections in use, averaged over %s. "+
			"The objective allows less than %s.", duration(gaugeWindow), percent(o.limit)),
	})}
}

// polls is an objective for how often agents poll.
type polls struct {
	base
	perAgent, tolerance *big.Rat
}

const (
	pollsSeries       = "watchbill:objective_polls_per_agent:rate15m"
	pollsTargetSeries = "watchbill:objective_polls_per_agent_target:mean15m"
	pollsPending      = 15 * time.Minute
	pollsKeep         = 30 * time.Minute
)

func (b base) pollRate(o objective.Resolved) indicator { return polls{b, o.Target, o.Tolerance} }

// recordings divide by the number of agents that are online or late, and have no sample without agents. Gauges read from the
// database are the same on every replica, so the maximum is used and not the sum, and its mean, since replicas start and stop.
func (o polls) recordings() []Rule {
	agents := fmt.Sprintf("(sum(avg_over_time((max by (state) (%s))[15m:1m])) > 0)",
		o.measured("watchbill_agents", like("state", "online|late")))
	expected := fmt.Sprintf("avg_over_time((max(%s))[15m:1m])", o.measured("watchbill_agents_expected_polls_per_second"))
	return []Rule{
		o.record(pollsSeries, fmt.Sprintf("(\n  %[1]s\n  - (%[2]s - %[3]s)\n  or\n  %[1]s\n)\n/\n%[4]s",
			rate(o.polls()), rate(o.measured("watchbill_held_polls_total")), rate(o.measured("watchbill_held_poll_intervals_total")), agents)),
		o.record(pollsTargetSeries, fmt.Sprintf("clamp_max((%s > 0) / %s, %s)\nor\n0 * %s + %s",
			expected, agents, number(o.perAgent), agents, number(o.perAgent))),
	}
}

// rate returns the rate of a counter over gaugeWindow, summed over its series.
func rate(counter string) string { return "sum(rate(" + counter + "[15m]))" }

// polls selects the counters of polls. A held poll counts as many as the agent would have made in that time, so that agents
// with held polls meet the objective too; replicas of earlier releases do not count that.
func (o polls) polls() string {
	return o.measured("watchbill_http_requests_total", is("method", report.PendingMethod), is("route", report.PendingRoute))
}

func (polls) slow() []Rule { return nil }
func (polls) note() string { return "" }
func (polls) lazy() bool   { return false }

func (o polls) alerts() []Rule {
	rate, target := o.recorded(pollsSeries), o.recorded(pollsTargetSeries)
	return []Rule{o.alert(alarm{
		alert: "WatchbillPollRateOff", tier: Slow,
		expr:    fmt.Sprintf("%s\nand\nabs(%s - %s) > %s * %s", rate, rate, target, number(o.tolerance), target),
		pending: pollsPending, keep: pollsKeep,
		summary: "Objective " + o.whose() + " is missed: agents poll too often or too rarely",
		description: fmt.Sprintf("Agents that are online or late made {{ $value | humanize }} polls per second each, over %s. "+
			"The objective is %s, or the rate that the server asks for if that is less, and at most %s away from it.",
			duration(gaugeWindow), number(o.perAgent), percent(o.tolerance)),
	})}
}
