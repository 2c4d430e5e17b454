package execution

import (
	"cmp"
	"slices"
	"time"

	"github.com/watchbill/watchbill/internal/sketch"
)

// Window is the time from From up to but excluding To, in UTC.
type Window struct{ From, To time.Time }

// Facts are the recorded sums of a window, over all replicas.
type Facts struct {
	Window Window
	Cells  []Cell
}

// Metrics are the figures of a system of agents.
type Metrics struct {
	Figures
	Agents map[string]Figures
	// Models counts the calls of each model; an agent's run that names a model counts as one.
	Models map[string]Figures
}

// Figures summarise requests, or calls of a model. Ratios and times are nil if there were none.
type Figures struct {
	Count      int64 // requests, or calls
	Successful int64
	Failed     int64 // failures and timeouts
	Timeouts   int64

	SuccessRate *float64 // from 0 to 1
	// Milliseconds, of those counted. Percentiles are within 1 %.
	Mean, P50, P95, P99 *float64

	Tokens   Tokens
	Cost     int64 // nano-USD
	Unpriced int64 // tokens that have no price, and so are in no cost
	Evidence
}

// Metrics computes the figures in total, of each agent and of each model. Tokens and cost are those of all executions,
// whether they count as requests or belong to one.
func (f Facts) Metrics() Metrics {
	var total sums
	agents, models := map[string]*sums{}, map[string]*sums{}
	for i := range f.Cells {
		cell := &f.Cells[i]
		total.add(cell, cell.Request)
		of(agents, cell.Agent).add(cell, cell.Request)
		if cell.Model != "" {
			of(models, cell.Model).add(cell, true)
		}
	}
	m := Metrics{Figures: total.figures(), Agents: map[string]Figures{}, Models: map[string]Figures{}}
	for name, sum := range agents {
		m.Agents[name] = sum.figures()
	}
	for name, sum := range models {
		m.Models[name] = sum.figures()
	}
	return m
}

func of(all map[string]*sums, name string) *sums {
	sum := all[name]
	if sum == nil {
		sum = &sums{}
		all[name] = sum
	}
	return sum
}

// sums accumulates cells.
type sums struct {
	counted  Measures // of those that count, except for their durations
	took     sketch.Accumulator
	byStatus map[Status]int64
	tokens   Tokens
	cost     int64
	unpriced int64
	evidence Evidence
}

func (s *sums) add(cell *Cell, counts bool) {
	s.tokens.Add(cell.Tokens)
	s.cost = plus(s.cost, cell.Cost)
	s.unpriced = plus(s.unpriced, cell.Unpriced)
	s.evidence.Add(cell.Evidence)
	if !counts {
		return
	}
	if s.byStatus == nil {
		s.byStatus = map[Status]int64{}
	}
	s.byStatus[cell.Status] += cell.Count
	counted := cell.Measures
	counted.Durations = sketch.Distribution{}
	s.counted.Merge(counted)
	s.took.AddDistribution(cell.Durations)
}

func (s *sums) figures() Figures {
	f := Figures{
		Count: s.counted.Count, Successful: s.byStatus[Success], Timeouts: s.byStatus[Timeout],
		Failed: s.byStatus[Failure] + s.byStatus[Timeout],
		Tokens: s.tokens, Cost: s.cost, Unpriced: s.unpriced, Evidence: s.evidence,
	}
	if f.Count <= 0 {
		return f
	}
	f.SuccessRate = new(float64(f.Successful) / float64(f.Count))
	f.Mean = new(float64(s.counted.Micros) / float64(f.Count) / 1e3)
	took := s.took.Distribution()
	f.P50, f.P95, f.P99 = milliseconds(&took, 0.50), milliseconds(&took, 0.95), milliseconds(&took, 0.99)
	return f
}

func milliseconds(took *sketch.Distribution, quantile float64) *float64 {
	seconds, ok := took.Quantile(quantile)
	if !ok {
		return nil
	}
	return new(seconds * 1e3)
}

// GroupBy is how costs are grouped.
type GroupBy string

// The groupings of costs.
const (
	ByDay   GroupBy = "day" // of a time zone
	ByUser  GroupBy = "user"
	ByAgent GroupBy = "agent"
	ByModel GroupBy = "model"
)

// Spend is tokens and money.
type Spend struct {
	Requests int64 // executions that count as requests; of a model, its calls
	Tokens   Tokens
	Cost     int64 // nano-USD
	Unpriced int64 // tokens that have no price
	Evidence
}

// Add adds other's.
func (s *Spend) Add(other Spend) {
	s.Requests = plus(s.Requests, other.Requests)
	s.Tokens.Add(other.Tokens)
	s.Cost = plus(s.Cost, other.Cost)
	s.Unpriced = plus(s.Unpriced, other.Unpriced)
	s.Evidence.Add(other.Evidence)
}

// SpendOf is the spend of one group.
type SpendOf struct {
	Key string // a day as 2006-01-02, a user, an agent or a model; empty: executions without a model
	Spend
}

// Costs is the spend of a window.
type Costs struct {
	Window  Window
	GroupBy GroupBy
	Total   Spend
	Groups  []SpendOf // days ascending; other groups by cost, highest first
	Many    int64     // number of groups, including those of Rest
	Rest    *SpendOf  // all other groups, with Key Other; may be nil
}

// NewCosts sorts groups and sums up those beyond limit in Rest.
func NewCosts(w Window, by GroupBy, groups []SpendOf, limit int) Costs {
	c := Costs{Window: w, GroupBy: by, Many: int64(len(groups))}
	for _, g := range groups {
		c.Total.Add(g.Spend)
	}
	slices.SortFunc(groups, func(a, b SpendOf) int {
		if by == ByDay {
			return cmp.Compare(a.Key, b.Key)
		}
		return cmp.Or(cmp.Compare(b.Cost, a.Cost), cmp.Compare(b.Tokens.Used, a.Tokens.Used), cmp.Compare(a.Key, b.Key))
	})
	if by == ByDay || len(groups) <= limit {
		c.Groups = groups
		return c
	}
	c.Groups, c.Rest = groups[:limit], &SpendOf{Key: Other}
	for _, g := range groups[limit:] {
		c.Rest.Add(g.Spend)
	}
	return c
}
