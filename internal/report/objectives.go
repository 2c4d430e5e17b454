package report

import (
	"strings"

	"github.com/watchbill/watchbill/internal/text"
)

// MaxObjectives is how many objectives a report may have.
const MaxObjectives = 32

// Objective is what one figure should be, over the window of the report. Exactly one of its kinds is set. Numbers are
// strings such as "0.95", so that 0.999 stays 0.999; durations are strings such as "200ms".
//
// A limit is met below it, or above it if it is the least that should be, and never at it. Decode objectives strictly: a kind that is not here must be refused by its name.
type Objective struct {
	Name            string              `json:"name"`
	Latency         *LatencyObjective   `json:"latency,omitempty"`
	ErrorRate       *ErrorRateObjective `json:"errorRate,omitempty"`
	PoolUtilization *PoolObjective      `json:"poolUtilization,omitempty"`
	QueryTime       *QueryTimeObjective `json:"queryTime,omitempty"`
	PollRate        *PollRateObjective  `json:"pollRate,omitempty"`
	SuccessRate     *SuccessObjective   `json:"successRate,omitempty"`
	Cost            *CostObjective      `json:"cost,omitempty"`
}

// LatencyObjective holds a quantile of a route's latency below a threshold.
type LatencyObjective struct {
	Route     string `json:"route"`            // a pattern, as the endpoints section names it
	Method    string `json:"method,omitempty"` // empty: all methods together
	Quantile  string `json:"quantile"`         // between 0 and 1
	Threshold string `json:"threshold"`        // at most 10m
}

// ErrorRateObjective holds the share of 5xx in all answers below a limit.
type ErrorRateObjective struct {
	Max   string `json:"max"`             // above 0, at most 1
	Route string `json:"route,omitempty"` // empty: all routes together
}

// PoolObjective holds the share of its database connections that the worst replica had in use, in the mean of the
// window, below a limit.
type PoolObjective struct {
	Max string `json:"max"` // above 0, at most 1
}

// QueryTimeObjective holds a quantile of the time of all database queries together below a threshold.
type QueryTimeObjective struct {
	Quantile  string `json:"quantile"`  // between 0 and 1
	Threshold string `json:"threshold"` // at most 10m
}

// PollRateObjective holds the polls per second and agent near what they should be: no further from the target than
// Tolerance × target, that far included.
//
// The target is PerAgent, or the rate that the intervals hinted to the agents amount to (ExpectedRPS / Polling of
// AgentFacts) where that is lower. So when the server stretches the intervals of a large fleet, agents that follow meet
// the objective and agents that do not miss it; but intervals made shorter than PerAgent do not move the target.
type PollRateObjective struct {
	PerAgent  string `json:"perAgent"`  // polls per second, above 0, at most 1000
	Tolerance string `json:"tolerance"` // a share of the target, above 0, at most 1
}

// SuccessObjective holds the share of AI agents' requests that succeeded above a limit. Timeouts have failed.
type SuccessObjective struct {
	Min   string `json:"min"`             // between 0 and 1
	Agent string `json:"agent,omitempty"` // as the executions section names it; empty: all agents together
}

// CostObjective holds what AI agents' executions cost below a limit. Tokens without a price are in no cost; the result
// says how many there are, and has no figure where nothing else was spent.
type CostObjective struct {
	MaxUSD string `json:"maxUSD"`           // above 0, at most 1000000
	Period Period `json:"period,omitempty"` // default: Day
}

// Period is what a budget is for.
type Period string

// The periods.
const (
	// PeriodDay is each UTC day that the window reaches into; the dearest one counts. A day counts from its beginning,
	// even before the window, so that a report of an hour holds the whole day against its budget; and up to its end or
	// the window's. Days are UTC's, as a report's request names no time zone.
	PeriodDay Period = "Day"
	// PeriodWindow is the window of the report.
	PeriodWindow Period = "Window"
)

// Defaults returns the objectives of a report that names none.
func Defaults() []Objective {
	pending := func(quantile, threshold string) *LatencyObjective {
		return &LatencyObjective{Route: PendingRoute, Method: PendingMethod, Quantile: quantile, Threshold: threshold}
	}
	return []Objective{
		{Name: "pending-p50", Latency: pending("0.5", "50ms")},
		{Name: "pending-p95", Latency: pending("0.95", "200ms")},
		{Name: "pending-p99", Latency: pending("0.99", "500ms")},
		{Name: "errors", ErrorRate: &ErrorRateObjective{Max: "0.01"}},
		{Name: "pool", PoolUtilization: &PoolObjective{Max: "0.8"}},
		{Name: "queries", QueryTime: &QueryTimeObjective{Quantile: "0.99", Threshold: "100ms"}},
		{Name: "polling", PollRate: &PollRateObjective{PerAgent: "0.1", Tolerance: "0.5"}},
		{Name: "executions", SuccessRate: &SuccessObjective{Min: "0.95"}},
	}
}

// indicators validates objectives and returns what measures each.
func indicators(objectives []Objective) ([]indicator, FieldErrors) {
	var faults FieldErrors
	if len(objectives) > MaxObjectives {
		faults.add("objectives", "there may be %d, not %d", MaxObjectives, len(objectives))
		return nil, faults
	}
	all := make([]indicator, 0, len(objectives))
	list := fields{path: "objectives"}
	first := map[string]int{}
	for i, o := range objectives {
		f := fields{path: list.index(i), faults: &faults}
		f.name("name", o.Name)
		if before, twice := first[o.Name]; twice {
			f.fault("name", "%s is the name of objectives[%d] too", text.Quote(o.Name, 40), before)
		} else {
			first[o.Name] = i
		}
		all = append(all, o.indicator(f))
	}
	return all, faults
}

func (o Objective) indicator(f fields) indicator {
	kinds := []struct {
		name string
		set  bool
		make func(fields) indicator
	}{
		{"latency", o.Latency != nil, o.Latency.indicator},
		{"errorRate", o.ErrorRate != nil, o.ErrorRate.indicator},
		{"poolUtilization", o.PoolUtilization != nil, o.PoolUtilization.indicator},
		{"queryTime", o.QueryTime != nil, o.QueryTime.indicator},
		{"pollRate", o.PollRate != nil, o.PollRate.indicator},
		{"successRate", o.SuccessRate != nil, o.SuccessRate.indicator},
		{"cost", o.Cost != nil, o.Cost.indicator},
	}
	var known, set []string
	var made indicator
	for _, kind := range kinds {
		known = append(known, kind.name)
		if kind.set {
			set = append(set, kind.name)
			made = kind.make(f.in(kind.name))
			made.name, made.kind = o.Name, kind.name
		}
	}
	switch len(set) {
	case 0:
		f.faults.add(f.path, "must have one of %s", strings.Join(known, ", "))
	case 1:
	default:
		f.faults.add(f.path, "must have only one of %s", strings.Join(set, ", "))
	}
	return made
}
