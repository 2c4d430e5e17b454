package execution

// Evidence counts how well the cost of executions is known. Like Measures it consists of integers.
type Evidence struct {
	UnknownUsage int64 // executions whose Usage is unknown or estimated
	Estimated    int64 // nano-USD, the part of Cost of estimated usage

	// Provider is what providers reported as charged, in nano-USD. Unpriced is its part for executions without a Cost, and
	// Compared the Cost of the others.
	Provider         int64
	ProviderUnpriced int64
	ProviderCompared int64
}

// evidenceOf returns an execution's contribution, negated with sign -1.
func evidenceOf(e *Execution, sign int64) (v Evidence) {
	if e.Usage == UsageUnknown || e.Usage == UsageEstimated {
		v.UnknownUsage = sign
	}
	if e.Usage == UsageEstimated && e.Cost != nil {
		v.Estimated = sign * *e.Cost
	}
	if e.ProviderCost == nil {
		return v
	}
	v.Provider = sign * *e.ProviderCost
	if e.Cost == nil {
		v.ProviderUnpriced = v.Provider
	} else {
		v.ProviderCompared = sign * *e.Cost
	}
	return v
}

// Add adds other's.
func (v *Evidence) Add(other Evidence) {
	if other == (Evidence{}) {
		return
	}
	v.UnknownUsage = plus(v.UnknownUsage, other.UnknownUsage)
	v.Estimated = plus(v.Estimated, other.Estimated)
	v.Provider = plus(v.Provider, other.Provider)
	v.ProviderUnpriced = plus(v.ProviderUnpriced, other.ProviderUnpriced)
	v.ProviderCompared = plus(v.ProviderCompared, other.ProviderCompared)
}

// ProviderDifference returns what providers charged for executions with a Cost, minus that Cost.
func (v Evidence) ProviderDifference() int64 {
	return v.Provider - v.ProviderUnpriced - v.ProviderCompared
}

// UnpricedTokens returns the number of an execution's tokens that are in no cost: all of them without a price, otherwise
// those of its total beyond input and output. Releases that did not record Usage did not count the latter, so they must not
// be subtracted from a total either.
func (e *Execution) UnpricedTokens() int64 {
	switch {
	case e.Cost == nil:
		return e.Tokens.Used
	case e.Usage == UsageNone:
		return 0
	}
	return max(e.Tokens.Used-e.Tokens.Input-e.Tokens.Output, 0)
}

// CostQualifier returns the prefix of a cost that is not exact, with a space at its end: the cost excludes unpriced tokens
// and unknown usage, or includes estimates.
func CostQualifier(unpriced, unknownUsage int64, estimated bool) string {
	switch {
	case estimated && unpriced > 0:
		return "at least about "
	case estimated:
		return "about "
	case unpriced > 0 || unknownUsage > 0:
		return "at least "
	}
	return ""
}

// KnownCost returns a cost to show, and false if it is zero only because usage has no price or is unknown.
func KnownCost(nanoUSD, unpriced int64, v Evidence) (int64, bool) {
	return nanoUSD, nanoUSD != 0 || unpriced <= 0 && v.UnknownUsage <= 0
}
