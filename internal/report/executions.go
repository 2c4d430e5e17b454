package report

import (
	"cmp"
	"slices"

	"github.com/watchbill/watchbill/internal/execution"
)

// MaxNamed is the maximum number of agents, models and users that a section lists. The others are added up as one
// more, at the end of the list, called execution.Other, which includes any that has that name.
const MaxNamed = 20

// Executions is the figures of AI agents' executions.
type Executions struct {
	ExecutionFigures                   // of all requests
	Agents           []NamedExecutions `json:"agents"` // of their requests; most requests first
	Models           []NamedExecutions `json:"models"` // of their calls; most calls first
}

// ExecutionFigures is the figures of requests to agents, or of calls of a model. Tokens and cost include everything
// below the requests. Ratios and times are nil if nothing is counted.
type ExecutionFigures struct {
	Count          int64    `json:"count"`
	Successful     int64    `json:"successful"`
	Failed         int64    `json:"failed"` // including timeouts
	Timeouts       int64    `json:"timeouts"`
	SuccessRate    *float64 `json:"success_rate"`
	Duration       Duration `json:"duration_ms"`
	Tokens         Tokens   `json:"tokens"`
	CostUSD        *float64 `json:"cost_usd"`        // nil: unknown, because nothing has a price
	UnpricedTokens int64    `json:"unpriced_tokens"` // in no cost
	Evidence
	Converted
}

// NamedExecutions is the figures of an agent or a model.
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

// Tokens is the tokens that models read and wrote.
type Tokens struct {
	Input      int64 `json:"input"` // including tokens read from and written to a cache
	Output     int64 `json:"output"`
	CacheRead  int64 `json:"cache_read"`
	CacheWrite int64 `json:"cache_write"`
	Reasoning  int64 `json:"reasoning"` // part of the output
	Used       int64 `json:"used"`      // input and output, and totals reported without them
}

// executionTotals returns the figures of all requests.
func executionTotals(f Facts) ExecutionFigures {
	return figuresOf(execution.Facts{Cells: f.Executions}.Metrics().Figures)
}

func executionsOf(f Facts) Executions {
	facts := execution.Facts{Cells: f.Executions}
	all := facts.Metrics()
	// Percentiles do not add up, so the agents and models beyond the limit are counted again as one.
	facts.Cells = together(facts.Cells, busiest(all.Agents), busiest(all.Models))
	metrics := facts.Metrics()
	return Executions{ExecutionFigures: figuresOf(all.Figures), Agents: named(metrics.Agents), Models: named(metrics.Models)}
}

// together renames all agents and models but these to execution.Other.
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

// busiest returns the names that are listed.
func busiest(figures map[string]execution.Figures) map[string]bool {
	all := named(figures)
	names := map[string]bool{}
	for _, one := range all[:min(len(all), MaxNamed)] {
		names[one.Name] = true
	}
	return names
}

// named returns the figures by count, highest first and execution.Other last.
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

// inUSD converts nano-USD. It returns nil instead of 0 if tokens have no price or usage is unknown.
func inUSD(cost, unpriced int64, v execution.Evidence) *float64 {
	known, ok := execution.KnownCost(cost, unpriced, v)
	if !ok {
		return nil
	}
	return new(float64(known) / 1e9)
}
