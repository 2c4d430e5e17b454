package report

import "github.com/watchbill/watchbill/internal/objective"

// Verdict is the combined outcome of all results.
type Verdict string

// The verdicts.
const (
	Pass   Verdict = "Pass"
	Fail   Verdict = "Fail"   // an objective is missed
	NoData Verdict = "NoData" // no objective had data
)

func verdict(results []objective.Result) Verdict {
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
