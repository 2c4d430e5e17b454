package objective

import (
	"math/big"

	"github.com/watchbill/watchbill/internal/number"
)

// PollRate requires the polls per second and agent to differ from a target by at most Tolerance × target.
//
// The target is the lower of PerAgent and the rate that the intervals hinted to the agents amount to (Polls.Expected).
// So when the server stretches the intervals of a large fleet, agents that follow meet the objective and agents that do
// not miss it; but intervals shorter than PerAgent asks for do not raise the target.
type PollRate struct {
	PerAgent  string `json:"perAgent"`  // polls per second, above 0, at most 1000
	Tolerance string `json:"tolerance"` // a share of the target, above 0, at most 1
}

func (o *PollRate) resolve(f fields) Resolved {
	r := Resolved{Description: "polls per second and agent", Unit: UnitPollRate, Comparison: Around}
	r.Target = f.decimal("perAgent", o.PerAgent, 1000)
	r.Tolerance = f.decimal("tolerance", o.Tolerance, 1)
	r.measure = func(d Data) reading {
		polls, ok := d.Polls()
		if !ok {
			return reading{}
		}
		// A held poll counts as the polls that the agent would have made in that time.
		held := (polls.HeldIntervals - float64(polls.Held)) / polls.Seconds / polls.Agents
		read := reading{
			actual: computed(polls.PerAgent + held),
			target: hinted(r.Target, polls.Expected),
			detail: number.Significant(polls.Agents) + " agents on average",
		}
		if polls.Held > 0 {
			read.detail += "; held polls count as the intervals that they were held for"
		}
		if read.target != nil {
			read.detail += "; target lowered to the intervals sent to them"
		}
		return read
	}
	return r
}

// hinted returns the rate that agents were hinted if it is below the target in its significant digits, otherwise nil.
func hinted(target *big.Rat, expected float64) *figure {
	lower := computed(expected)
	if lower == nil || lower.exact.Sign() <= 0 || lower.exact.Cmp(significant(float(target))) >= 0 {
		return nil
	}
	return lower
}
