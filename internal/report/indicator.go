package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/sketch"
	"github.com/watchbill/watchbill/internal/text"
)

// Unit is the unit of a result's target and actual figure.
type Unit string

// The units of results.
const (
	UnitMilliseconds Unit = "ms"
	UnitRatio        Unit = "ratio" // from 0 to 1
	UnitPollRate     Unit = "polls/s per agent"
	UnitUSD          Unit = "USD"
)

// Comparison is the relation of the actual figure to the target that meets the objective.
type Comparison string

// The comparisons of results.
const (
	Below  Comparison = "<" // less, not equal
	Above  Comparison = ">" // more, not equal
	Around Comparison = "±" // differs by at most tolerance × target
)

// Result is the result of one objective.
type Result struct {
	Name        string     `json:"name"`
	Kind        string     `json:"kind"` // latency, errorRate, …
	Description string     `json:"description"`
	Comparison  Comparison `json:"comparison"`
	Target      float64    `json:"target"`
	Tolerance   *float64   `json:"tolerance,omitempty"` // for Around: a share of the target
	Actual      *float64   `json:"actual"`              // nil: no data
	Unit        Unit       `json:"unit"`
	Met         *bool      `json:"met"`              // nil: no data, or too little is known to decide
	Detail      string     `json:"detail,omitempty"` // details for people
	// AtLeast reports whether Actual is a lower bound, as is a cost if some usage is unknown. Below the target it meets
	// the objective only if little is unknown.
	AtLeast bool `json:"at_least,omitempty"`
	// ErrorBudgetRemaining is the share of the error budget that the window left: 1 - (bad events / all events) /
	// budget. Bad events are requests and queries that took the threshold or longer (budget: 1 - quantile), 5xx
	// responses (budget: max) and requests that failed (budget: 1 - min). Above 0 the objective is met and below 0
	// missed; at 0, with the budget used up exactly, a quantile is still met and a rate is missed. It is nil for
	// objectives without events (pool, poll rate, cost), and without data.
	ErrorBudgetRemaining *float64 `json:"error_budget_remaining,omitempty"`
}

// Verdict is the combined outcome of all results.
type Verdict string

// The verdicts.
const (
	Pass   Verdict = "Pass"
	Fail   Verdict = "Fail"   // an objective is missed
	NoData Verdict = "NoData" // no objective had data
)

func verdict(results []Result) Verdict {
	v := NoData
	for _, r := range results {
		switch {
		case r.Met == nil:
		case !*r.Met:
			return Fail
		default:
			v = Pass
		}
	}
	return v
}

// indicator measures an objective.
type indicator struct {
	name, kind, description string
	unit                    Unit
	target                  float64
	comparison              Comparison // empty: Below
	tolerance               *float64   // for Around
	budget                  float64    // the share of events that may be bad; 0: there are no events
	read                    func(Facts) reading
}

// reading is a measurement of an indicator.
type reading struct {
	actual *float64 // nil: no data
	target *float64 // nil: that of the indicator
	bad    *float64 // the share of events that were bad; nil: there were none
	detail string

	atLeast bool // actual is a lower bound …
	unclear bool // … and may be far too low
}

func (i indicator) result(f Facts) Result {
	read := i.read(f)
	r := Result{
		Name: i.name, Kind: i.kind, Description: i.description, Unit: i.unit,
		Comparison: cmp.Or(i.comparison, Below), Target: i.target, Tolerance: i.tolerance, Actual: read.actual, Detail: read.detail,
		AtLeast: read.atLeast,
	}
	if read.target != nil {
		r.Target = *read.target
	}
	switch {
	case r.Actual == nil:
	case r.Comparison == Around:
		r.Met = new(math.Abs(*r.Actual-r.Target) <= *r.Tolerance*r.Target)
	case r.Comparison == Above:
		r.Met = new(*r.Actual > r.Target)
	case read.unclear && *r.Actual < r.Target:
		r.Detail += "; too much to decide"
	default:
		r.Met = new(*r.Actual < r.Target)
	}
	if read.bad != nil && i.budget > 0 {
		r.ErrorBudgetRemaining = new(1 - *read.bad/i.budget)
	}
	return r
}

// besides returns 1 - decimal for a decimal of at most nine digits, rounded to the nearest float: 0.1 for 0.9, where
// 1 - 0.9 is slightly less. So a budget that is used up exactly is 0 and not almost 0.
func complement(decimal float64) float64 { return math.Round((1-decimal)*1e9) / 1e9 }

// slow returns the share of latencies at or above a threshold in milliseconds.
func slow(s *sketch.Sketch, threshold float64) *float64 {
	return ratio(int64(s.CountAtLeast(threshold/1e3)), int64(s.Count()))
}

func (o *LatencyObjective) indicator(f fields) indicator {
	f.route("route", o.Route)
	f.method("method", o.Method)
	q := f.inside("quantile", o.Quantile)
	threshold := f.threshold("threshold", o.Threshold)
	endpoint := o.Route
	if o.Method != "" {
		endpoint = o.Method + " " + o.Route
	}
	return indicator{
		description: fmt.Sprintf("%s of %s", percentile(q), endpoint),
		unit:        UnitMilliseconds,
		target:      threshold,
		budget:      complement(q),
		read: func(facts Facts) reading {
			t := facts.tally(o.Method, o.Route)
			all, _, _ := t.counts()
			return reading{
				actual: milliseconds(t.latency.Quantile(q)),
				bad:    slow(&t.latency, threshold),
				detail: counted(all, "request"),
			}
		},
	}
}

func (o *ErrorRateObjective) indicator(f fields) indicator {
	description := "5xx in all responses"
	if o.Route != "" {
		f.route("route", o.Route)
		description = "5xx in the responses of " + o.Route
	}
	limit := f.decimal("max", o.Max, 1)
	return indicator{
		description: description,
		unit:        UnitRatio,
		target:      limit,
		budget:      limit,
		read: func(facts Facts) reading {
			t := facts.tally("", o.Route)
			all, errors, _ := t.counts()
			rate := ratio(errors, all)
			return reading{actual: rate, bad: rate, detail: grouped(errors) + " in " + counted(all, "answer")}
		},
	}
}

func (o *PoolObjective) indicator(f fields) indicator {
	return indicator{
		description: "database connections in use, worst replica's mean",
		unit:        UnitRatio,
		target:      f.decimal("max", o.Max, 1),
		read: func(facts Facts) reading {
			pool := Pool(facts)
			if pool.Utilization == nil {
				return reading{}
			}
			return reading{
				actual: pool.Utilization,
				detail: fmt.Sprintf("%s, its peak %s", pool.WorstReplica, percent(*pool.PeakUtilization)),
			}
		},
	}
}

func (o *QueryTimeObjective) indicator(f fields) indicator {
	q := f.inside("quantile", o.Quantile)
	threshold := f.threshold("threshold", o.Threshold)
	return indicator{
		description: percentile(q) + " of all database queries",
		unit:        UnitMilliseconds,
		target:      threshold,
		budget:      complement(q),
		read: func(facts Facts) reading {
			if len(facts.Queries) == 0 {
				return reading{}
			}
			var all sketch.Sketch
			for _, query := range facts.Queries {
				all.Merge(query.Latency)
			}
			slowest := slices.MaxFunc(facts.Queries, func(a, b QueryFacts) int {
				left, _ := a.Latency.Quantile(q)
				right, _ := b.Latency.Quantile(q)
				return cmp.Or(cmp.Compare(left, right), cmp.Compare(b.Name, a.Name))
			})
			read := reading{actual: milliseconds(all.Quantile(q)), bad: slow(&all, threshold)}
			if theirs := milliseconds(slowest.Latency.Quantile(q)); theirs != nil {
				read.detail = fmt.Sprintf("slowest is %s with %s", slowest.Name, inMilliseconds(*theirs))
			}
			return read
		},
	}
}

// rounding is the tolerance when comparing sums of the same intervals.
const rounding = 1e-9

func (o *PollRateObjective) indicator(f fields) indicator {
	perAgent := f.decimal("perAgent", o.PerAgent, 1000)
	tolerance := f.decimal("tolerance", o.Tolerance, 1)
	return indicator{
		description: "polls per second and agent",
		unit:        UnitPollRate,
		target:      perAgent,
		comparison:  Around,
		tolerance:   &tolerance,
		read: func(facts Facts) reading {
			pending := PendingDeployments(facts)
			if pending.RPSPerAgent == nil {
				return reading{}
			}
			// A held poll counts as the polls that the agent would have made in that time.
			held := (facts.Polls.HeldIntervals - float64(facts.Polls.Held)) / facts.CoveredSeconds / pending.MeanAgents
			read := reading{
				actual: new(*pending.RPSPerAgent + held),
				detail: significant(pending.MeanAgents) + " agents in the mean",
			}
			if facts.Polls.Held > 0 {
				read.detail += "; held polls count as the intervals that they were held for"
			}
			if expected := *pending.ExpectedRPSPerAgent; expected > 0 && expected < perAgent*(1-rounding) {
				read.target = &expected
				read.detail += "; target lowered to the intervals sent to them"
			}
			return read
		},
	}
}

func (o *SuccessObjective) indicator(f fields) indicator {
	description := "AI agents' requests that succeeded"
	if o.Agent != "" {
		f.text("agent", o.Agent, execution.MaxName)
		description = "requests to " + o.Agent + " that succeeded"
	}
	minimum := f.inside("min", o.Min)
	return indicator{
		description: description,
		unit:        UnitRatio,
		comparison:  Above,
		target:      minimum,
		budget:      complement(minimum),
		read: func(facts Facts) reading {
			var all, successful int64
			for _, cell := range facts.Executions {
				if !cell.Request || o.Agent != "" && cell.Agent != o.Agent {
					continue
				}
				all += cell.Count
				if cell.Status == execution.Success {
					successful += cell.Count
				}
			}
			return reading{
				actual: ratio(successful, all),
				bad:    ratio(all-successful, all),
				detail: grouped(all-successful) + " failed of " + counted(all, "request"),
			}
		},
	}
}

func (o *CostObjective) indicator(f fields) indicator {
	i := indicator{unit: UnitUSD, target: f.decimal("maxUSD", o.MaxUSD, 1e6)}
	switch o.Period {
	case "", PeriodDay:
		i.description = "cost of AI agents' executions on the most expensive UTC day"
		i.read = func(facts Facts) reading {
			day, all, unclear := facts.costliestDay()
			return spent(day.Cost, all, day.Key, unclear)
		}
	case PeriodWindow:
		i.description = "cost of AI agents' executions in the window"
		i.read = func(facts Facts) reading {
			total := totalSpend(facts)
			return spent(total.Cost, total, "", unclear(total))
		}
	default:
		f.fault("period", "must be %s or %s, not %s", PeriodDay, PeriodWindow, text.Quote(string(o.Period), 40))
	}
	return i
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
	unpriced := all.Unpriced
	var details []string
	if cost > 0 && day != "" {
		details = append(details, day)
	}
	switch {
	case unpriced == 1:
		details = append(details, "1 token has no price")
	case unpriced > 1:
		details = append(details, grouped(unpriced)+" tokens have no price")
	}
	if all.UnknownUsage > 0 {
		details = append(details, "usage of "+counted(all.UnknownUsage, "execution")+" is unknown or estimated")
	}
	actual := inUSD(cost, unpriced, all.Evidence)
	return reading{
		actual: actual, detail: strings.Join(details, "; "), unclear: unclear, atLeast: actual != nil && (unpriced > 0 || all.UnknownUsage > 0),
	}
}

// percentile returns the name of a quantile: p95 for 0.95, p99.9 for 0.999.
func percentile(q float64) string {
	return "p" + strconv.FormatFloat(math.Round(q*1e9)/1e7, 'f', -1, 64)
}
