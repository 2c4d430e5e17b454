package report

import (
	"strings"

	"github.com/watchbill/watchbill/internal/text"
)

// MaxObjectives is the maximum number of objectives of a report.
const MaxObjectives = 32

// Objective is a limit for one figure over the window of the report. Exactly one of its kinds is set. Numbers are
// strings such as "0.95", so that 0.999 stays 0.999; durations are strings such as "200ms".
//
// An objective is met strictly below a maximum or strictly above a minimum. Decode objectives strictly, so that unknown
// kinds are rejected by name.
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

// LatencyObjective requires a quantile of a route's latency below a threshold.
type LatencyObjective struct {
	Route     string `json:"route"`            // a pattern, as in the endpoints section
	Method    string `json:"method,omitempty"` // empty: all methods
	Quantile  string `json:"quantile"`         // between 0 and 1
	Threshold string `json:"threshold"`        // at most 10m
}

// ErrorRateObjective requires the share of 5xx in all responses below a limit.
type ErrorRateObjective struct {
	Max   string `json:"max"`             // above 0, at most 1
	Route string `json:"route,omitempty"` // empty: all routes
}

// PoolObjective requires the share of its database connections that the busiest replica had in use, as the mean over
// the window, below a limit.
type PoolObjective struct {
	Max string `json:"max"` // above 0, at most 1
}

// QueryTimeObjective requires a quantile of the time of all database queries together below a threshold.
type QueryTimeObjective struct {
	Quantile  string `json:"quantile"`  // between 0 and 1
	Threshold string `json:"threshold"` // at most 10m
}

// PollRateObjective requires the polls per second and agent to differ from a target by at most Tolerance × target.
//
// The target is the lower of PerAgent and the rate that the intervals hinted to the agents amount to (ExpectedRPS /
// Polling of AgentFacts). So when the server stretches the intervals of a large fleet, agents that follow meet the
// objective and agents that do not miss it; but intervals shorter than PerAgent asks for do not raise the target.
type PollRateObjective struct {
	PerAgent  string `json:"perAgent"`  // polls per second, above 0, at most 1000
	Tolerance string `json:"tolerance"` // a share of the target, above 0, at most 1
}

// SuccessObjective requires the share of AI agents' requests that succeeded above a limit. Timeouts are failures.
type SuccessObjective struct {
	Min   string `json:"min"`             // between 0 and 1
	Agent string `json:"agent,omitempty"` // as in the executions section; empty: all agents
}

// CostObjective requires the cost of AI agents' executions below a limit. Tokens without a price are in no cost; the
// result includes their number, and has no figure if nothing else was spent.
type CostObjective struct {
	MaxUSD string `json:"maxUSD"`           // above 0, at most 1000000
	Period Period `json:"period,omitempty"` // default: Day
}

// Period is the period of a budget.
type Period string

// The periods.
const (
	// PeriodDay is each UTC day that overlaps the window; the most expensive one counts. A day counts from its
	// beginning, even before the window, so that a report of an hour checks the whole day against its budget, and up to
	// the earlier of its end and the window's. Days are UTC, since a request has no time zone.
	PeriodDay Period = "Day"
	// PeriodWindow is the window of the report.
	PeriodWindow Period = "Window"
)

// Defaults returns the objectives of a report whose request has none.
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

// indicators validates objectives and returns the indicator of each.
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
