package objective

import "math/big"

// Comparison is the relation of the actual figure to the target that meets the objective.
type Comparison string

// The comparisons of results.
const (
	Below  Comparison = "<" // less, not equal
	Above  Comparison = ">" // more, not equal
	Around Comparison = "±" // differs by at most tolerance × target
)

// comparisons decide whether a figure meets a target.
var comparisons = map[Comparison]func(actual, target, tolerance *big.Rat) bool{
	Below: func(actual, target, _ *big.Rat) bool { return actual.Cmp(target) < 0 },
	Above: func(actual, target, _ *big.Rat) bool { return actual.Cmp(target) > 0 },
	Around: func(actual, target, tolerance *big.Rat) bool {
		distance := new(big.Rat).Sub(actual, target)
		return distance.Abs(distance).Cmp(new(big.Rat).Mul(tolerance, target)) <= 0
	},
}

// Result is the result of one objective.
type Result struct {
	Name        string     `json:"name"`
	Kind        Kind       `json:"kind"`
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

// reading is a measurement of an objective's figure.
type reading struct {
	actual *figure // nil: no data
	target *figure // nil: the objective's
	bad    *figure // the share of events that were bad; nil: there were none
	detail string

	atLeast bool // actual is a lower bound …
	unclear bool // … and may be far too low
}

// Measurable reports whether the objective comes from Resolve, without a fault that keeps it from being measured.
func (r Resolved) Measurable() bool { return r.measure != nil }

// Result measures an objective, which must be measurable.
func (r Resolved) Result(d Data) Result {
	read := r.measure(d)
	target := read.target
	if target == nil {
		target = &figure{float(r.Target), r.Target}
	}
	result := Result{
		Name: r.Name, Kind: r.Kind, Description: r.Description, Comparison: r.Comparison, Target: target.shown, Unit: r.Unit,
		Detail: read.detail, AtLeast: read.atLeast,
	}
	if r.Tolerance != nil {
		result.Tolerance = new(float(r.Tolerance))
	}
	if read.actual != nil {
		result.Actual = new(read.actual.shown)
		met := comparisons[r.Comparison](read.actual.exact, target.exact, r.Tolerance)
		if met && read.unclear {
			result.Detail += "; too much to decide"
		} else {
			result.Met = &met
		}
	}
	if read.bad != nil && r.Budget != nil {
		result.ErrorBudgetRemaining = new(1 - read.bad.shown/float(r.Budget))
	}
	return result
}
