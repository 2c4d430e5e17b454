package report

import (
	"slices"

	"github.com/watchbill/watchbill/internal/execution"
)

// Costs is the cost of AI agents' executions.
type Costs struct {
	Spend
	Days   []NamedSpend `json:"days"`   // UTC days with executions, ascending
	Models []NamedSpend `json:"models"` // highest cost first; without a name: executions without a model
	Agents []NamedSpend `json:"agents"` // highest cost first
}

// Spend is the tokens and cost of a group of requests.
type Spend struct {
	Requests       int64    `json:"requests"` // by model: calls
	Tokens         Tokens   `json:"tokens"`
	CostUSD        *float64 `json:"cost_usd"`        // nil: unknown, because nothing has a price
	UnpricedTokens int64    `json:"unpriced_tokens"` // in no cost
	Evidence
	Converted
}

// NamedSpend is the spend of a day, a model, an agent or a user.
type NamedSpend struct {
	Name string `json:"name"`
	Spend
}

// Users is the users that AI agents worked for.
type Users struct {
	Window  Window       `json:"window"`  // in which users are counted: whole quarter hours
	Active  int64        `json:"active"`  // with a request or tokens
	Dearest []NamedSpend `json:"dearest"` // highest cost first
}

func costsOf(f Facts) Costs {
	byModel := spentBy(f.Executions, func(c *execution.Cell) (string, bool) { return c.Model, true })
	byAgent := spentBy(f.Executions, func(c *execution.Cell) (string, bool) { return c.Agent, c.Request })
	if byModel[""].Tokens == (execution.Tokens{}) {
		delete(byModel, "") // an agent's run has no model; its calls have the tokens
	}
	costs := Costs{
		Spend:  spendOf(totalSpend(f)),
		Days:   make([]NamedSpend, 0, len(f.Days)),
		Models: byCost(groups(byModel), execution.Spend{}),
		Agents: byCost(groups(byAgent), execution.Spend{}),
	}
	for _, day := range execution.NewCosts(execution.Window{}, execution.ByDay, slices.Clone(f.Days), 0).Groups {
		costs.Days = append(costs.Days, NamedSpend{day.Key, spendOf(day.Spend)})
	}
	return costs
}

func usersOf(f Facts) Users {
	window := f.Users.Window
	if window == (Window{}) {
		window = f.Window
	}
	return Users{Window: window, Active: f.Users.Active, Dearest: byCost(f.Users.Dearest, f.Users.Others)}
}

func totalSpend(f Facts) execution.Spend {
	return spentBy(f.Executions, func(c *execution.Cell) (string, bool) { return "", c.Request })[""]
}

// spentBy adds up cells by the name that key returns; key also returns whether the cell counts as requests, or calls.
func spentBy(cells []execution.Cell, key func(*execution.Cell) (name string, counts bool)) map[string]execution.Spend {
	all := map[string]execution.Spend{}
	for i := range cells {
		c := &cells[i]
		name, counts := key(c)
		sum := all[name]
		one := execution.Spend{Tokens: c.Tokens, Cost: c.Cost, Unpriced: c.Unpriced, Evidence: c.Evidence}
		if counts {
			one.Requests = c.Count
		}
		sum.Add(one)
		all[name] = sum
	}
	return all
}

func groups(by map[string]execution.Spend) []execution.SpendOf {
	all := make([]execution.SpendOf, 0, len(by))
	for name, spend := range by {
		all = append(all, execution.SpendOf{Key: name, Spend: spend})
	}
	return all
}

// byCost orders groups by cost, and adds those beyond MaxNamed to the others.
func byCost(groups []execution.SpendOf, others execution.Spend) []NamedSpend {
	groups = slices.DeleteFunc(slices.Clone(groups), func(g execution.SpendOf) bool {
		if g.Key == execution.Other {
			others.Add(g.Spend)
		}
		return g.Key == execution.Other
	})
	costs := execution.NewCosts(execution.Window{}, execution.ByUser, groups, MaxNamed)
	if costs.Rest != nil {
		others.Add(costs.Rest.Spend)
	}
	list := make([]NamedSpend, 0, len(costs.Groups)+1)
	for _, g := range costs.Groups {
		list = append(list, NamedSpend{g.Key, spendOf(g.Spend)})
	}
	if others != (execution.Spend{}) {
		list = append(list, NamedSpend{execution.Other, spendOf(others)})
	}
	return list
}

func spendOf(s execution.Spend) Spend {
	return Spend{
		Requests: s.Requests, Tokens: Tokens(s.Tokens), CostUSD: inUSD(s.Cost, s.Unpriced, s.Evidence), UnpricedTokens: s.Unpriced,
		Evidence: evidenceOf(s.Evidence),
	}
}
