package report

import (
	"cmp"
	"slices"

	"github.com/watchbill/watchbill/internal/execution"
)

// MostNamed is how many agents, models and users a section tells apart. The others are together one more, at the end of
// the list, called execution.Other; whoever has that name is among them.
const MostNamed = 20

// Executions is how AI agents' executions went.
type Executions struct {
	ExecutionFigures                   // of all requests
	Agents           []NamedExecutions `json:"agents"` // of their requests; the most first
	Models           []NamedExecutions `json:"models"` // of their calls; the most first
}

// ExecutionFigures is what requests to agents, or calls of a model, come to. Tokens and cost are those of all that
// belongs to the requests too. Ratios and times are nil where nothing is counted.
type ExecutionFigures struct {
	Count          int64    `json:"count"`
	Successful     int64    `json:"successful"`
	Failed         int64    `json:"failed"` // timeouts included
	Timeouts       int64    `json:"timeouts"`
	SuccessRate    *float64 `json:"success_rate"`
	Duration       Duration `json:"duration_ms"`
	Tokens         Tokens   `json:"tokens"`
	CostUSD        *float64 `json:"cost_usd"`        // nil: not known, as nothing of it has a price
	UnpricedTokens int64    `json:"unpriced_tokens"` // are in no cost
	Evidence
	Converted
}

// NamedExecutions is one agent's, or one model's.
type NamedExecutions struct {
	Name string `json:"name"`
	ExecutionFigures
}

// Duration is in milliseconds; quantiles are within 1 %. All are nil without a sample.
type Duration struct {
	Mean *float64 `json:"mean"`
	P50  *float64 `json:"p50"`
	P95  *float64 `json:"p95"`
	P99  *float64 `json:"p99"`
}

// Tokens is what models consumed and produced.
type Tokens struct {
	Input      int64 `json:"input"` // those read from a cache and written to one included
	Output     int64 `json:"output"`
	CacheRead  int64 `json:"cache_read"`
	CacheWrite int64 `json:"cache_write"`
	Reasoning  int64 `json:"reasoning"` // part of the output
	Used       int64 `json:"used"`      // input and output, and totals that came without them
}

// executionTotals are the figures of all requests.
func executionTotals(f Facts) ExecutionFigures {
	return figuresOf(execution.Facts{Cells: f.Executions}.Metrics().Figures)
}

func executionsOf(f Facts) Executions {
	facts := execution.Facts{Cells: f.Executions}
	all := facts.Metrics()
	// Percentiles do not add up, so those beyond the bound are counted once more, as one.
	facts.Cells = together(facts.Cells, busiest(all.Agents), busiest(all.Models))
	told := facts.Metrics()
	return Executions{ExecutionFigures: figuresOf(all.Figures), Agents: named(told.Agents), Models: named(told.Models)}
}

// together gives all agents and models but these the name execution.Other.
func together(cells []execution.Cell, agents, models map[string]bool) []execution.Cell {
	cells = slices.Clone(cells)
	for i := range cells {
		if c := &cells[i]; !agents[c.Agent] {
			c.Agent = execution.Other
		}
		if c := &cells[i]; c.Model != "" && !models[c.Model] {
			c.Model = execution.Other
		}
	}
	return cells
}

// busiest returns the names that are told apart.
func busiest(figures map[string]execution.Figures) map[string]bool {
	all := named(figures)
	names := map[string]bool{}
	for _, one := range all[:min(len(all), MostNamed)] {
		names[one.Name] = true
	}
	return names
}

// named returns the figures in order: the highest count first, execution.Other last.
func named(figures map[string]execution.Figures) []NamedExecutions {
	all := make([]NamedExecutions, 0, len(figures))
	for name, one := range figures {
		all = append(all, NamedExecutions{name, figuresOf(one)})
	}
	slices.SortFunc(all, func(a, b NamedExecutions) int {
		return cmp.Or(otherLast(a.Name, b.Name), cmp.Compare(b.Count, a.Count), cmp.Compare(b.Tokens.Used, a.Tokens.Used),
			cmp.Compare(a.Name, b.Name))
	})
	return all
}

func otherLast(a, b string) int {
	switch {
	case a == b:
		return 0
	case a == execution.Other:
		return 1
	case b == execution.Other:
		return -1
	}
	return 0
}

func figuresOf(f execution.Figures) ExecutionFigures {
	return ExecutionFigures{
		Count: f.Count, Successful: f.Successful, Failed: f.Failed, Timeouts: f.Timeouts, SuccessRate: f.SuccessRate,
		Duration: Duration{f.Mean, f.P50, f.P95, f.P99},
		Tokens:   Tokens(f.Tokens), CostUSD: inUSD(f.Cost, f.Unpriced, f.Evidence), UnpricedTokens: f.Unpriced,
		Evidence: evidenceOf(f.Evidence),
	}
}

// inUSD converts nano-USD. There is no figure instead of 0 where tokens have no price or usage is unknown.
func inUSD(cost, unpriced int64, v execution.Evidence) *float64 {
	known, ok := execution.KnownCost(cost, unpriced, v)
	if !ok {
		return nil
	}
	return new(float64(known) / 1e9)
}
