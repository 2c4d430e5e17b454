package report

import "github.com/watchbill/watchbill/internal/execution"

// Evidence says how well a cost is known.
type Evidence struct {
	// UnknownUsage counts executions whose tokens are unknown or estimated, which EstimatedCostUSD is the cost of.
	UnknownUsage     int64   `json:"unknown_usage"`
	EstimatedCostUSD float64 `json:"estimated_cost_usd"`
	// ProviderCostUSD is what providers said they charge; nil: none did.
	ProviderCostUSD       *float64 `json:"provider_cost_usd"`
	ProviderUnpricedUSD   *float64 `json:"provider_unpriced_usd"`   // the part of it that has no cost here
	ProviderDifferenceUSD *float64 `json:"provider_difference_usd"` // what the rest differs from the cost here
}

func evidenceOf(v execution.Evidence) Evidence {
	return Evidence{
		UnknownUsage: v.UnknownUsage, EstimatedCostUSD: float64(v.Estimated) / 1e9, ProviderCostUSD: charge(v.Provider),
		ProviderUnpricedUSD: charge(v.ProviderUnpriced), ProviderDifferenceUSD: charge(v.ProviderDifference()),
	}
}

// charge converts nano-USD that providers told of; there is no figure where they told of nothing.
func charge(nanoUSD int64) *float64 {
	if nanoUSD == 0 {
		return nil
	}
	return new(float64(nanoUSD) / 1e9)
}
