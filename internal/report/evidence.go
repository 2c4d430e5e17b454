package report

import "github.com/watchbill/watchbill/internal/execution"

// Evidence describes how well a cost is known.
type Evidence struct {
	// UnknownUsage counts executions whose tokens are unknown or estimated. EstimatedCostUSD is the cost of the latter.
	UnknownUsage     int64   `json:"unknown_usage"`
	EstimatedCostUSD float64 `json:"estimated_cost_usd"`
	// ProviderCostUSD is the charges reported by providers; nil if none reported any.
	ProviderCostUSD       *float64 `json:"provider_cost_usd"`
	ProviderUnpricedUSD   *float64 `json:"provider_unpriced_usd"`   // the part of it that has no cost here
	ProviderDifferenceUSD *float64 `json:"provider_difference_usd"` // the rest minus its cost here
}

func evidenceOf(v execution.Evidence) Evidence {
	return Evidence{
		UnknownUsage: v.UnknownUsage, EstimatedCostUSD: float64(v.Estimated) / 1e9, ProviderCostUSD: charge(v.Provider),
		ProviderUnpricedUSD: charge(v.ProviderUnpriced), ProviderDifferenceUSD: charge(v.ProviderDifference()),
	}
}

// charge converts a provider's charge from nano-USD, and returns nil if none was reported.
func charge(nanoUSD int64) *float64 {
	if nanoUSD == 0 {
		return nil
	}
	return new(float64(nanoUSD) / 1e9)
}
