package execution

// Evidence says how well the cost of executions is known. Like Measures it is made of whole numbers.
type Evidence struct {
	UnknownUsage int64 // executions whose Usage is unknown or estimated
	Estimated    int64 // nano-USD, the part of Cost that estimated usage makes up

	// Provider is what providers said they charged, in nano-USD. Unpriced is its part for executions without a Cost, and
	// Compared the Cost of the others.
	Provider         int64
	ProviderUnpriced int64
	ProviderCompared int64
}

// evidenceOf returns what an execution adds; sign -1 takes it away again.
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

// ProviderDifference is what providers charged for executions with a Cost, less that Cost.
func (v Evidence) ProviderDifference() int64 {
	return v.Provider - v.ProviderUnpriced - v.ProviderCompared
}

// UnpricedTokens returns how many of an execution's tokens are in no cost: all of them without a price, otherwise those
// that its total has beyond input and output. Releases that did not record Usage did not count the latter, so they must not
// be taken away from a total either.
func (e *Execution) UnpricedTokens() int64 {
	switch {
	case e.Cost == nil:
		return e.Tokens.Used
	case e.Usage == UsageNone:
		return 0
	}
	return max(e.Tokens.Used-e.Tokens.Input-e.Tokens.Output, 0)
}

// CostQualifier returns what has to be said before a cost that is not exact, with a blank at its end: it leaves out tokens
// without a price and usage that is unknown, and may have a part that is estimated.
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

// KnownCost returns a cost to show, and false where it would pass for zero though something that was used has no price or
// is not known.
func KnownCost(nanoUSD, unpriced int64, v Evidence) (int64, bool) {
	return nanoUSD, nanoUSD != 0 || unpriced <= 0 && v.UnknownUsage <= 0
}
