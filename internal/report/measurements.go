package report

import (
	"time"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/objective"
)

// measurements are the facts as objectives read them.
type measurements struct{ facts Facts }

var _ objective.Data = measurements{}

func (m measurements) Traffic(method, route string) objective.Traffic {
	t := m.facts.tally(method, route)
	all, errors, _ := t.counts()
	return objective.Traffic{Responses: all, Errors: errors, Latency: &t.latency}
}

func (m measurements) Queries() []objective.Query {
	all := make([]objective.Query, len(m.facts.Queries))
	for i, q := range m.facts.Queries {
		all[i] = objective.Query{Name: q.Name, Latency: q.Latency}
	}
	return all
}

func (m measurements) Pool() (objective.Pool, bool) {
	pool := Pool(m.facts)
	if pool.Utilization == nil {
		return objective.Pool{}, false
	}
	return objective.Pool{Replica: pool.WorstReplica, Utilization: *pool.Utilization, PeakUtilization: *pool.PeakUtilization}, true
}

func (m measurements) Polls() (objective.Polls, bool) {
	pending := PendingDeployments(m.facts)
	if pending.RPSPerAgent == nil {
		return objective.Polls{}, false
	}
	return objective.Polls{
		Agents: pending.MeanAgents, PerAgent: *pending.RPSPerAgent, Expected: *pending.ExpectedRPSPerAgent,
		Held: m.facts.Polls.Held, HeldIntervals: m.facts.Polls.HeldIntervals, Seconds: m.facts.CoveredSeconds,
	}, true
}

func (m measurements) Executions() []execution.Cell { return m.facts.Executions }

func (m measurements) Spent() execution.Spend { return totalSpend(m.facts) }

// SpentByDay adds what was spent on the window's first day before the window.
func (m measurements) SpentByDay() []execution.SpendOf {
	days := map[string]execution.Spend{m.facts.Window.From.UTC().Format(time.DateOnly): m.facts.SpentBefore}
	for _, d := range m.facts.Days {
		sum := days[d.Key]
		sum.Add(d.Spend)
		days[d.Key] = sum
	}
	return groups(days)
}
