package replica

import (
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/prices"
)

// priceOf returns the price of an execution in the list in force. It is not ok if there is none.
func (e *executions) priceOf(of *execution.Execution) (applied execution.AppliedPrice, ok bool) {
	list := e.prices.inForce()
	found, ok := list.Find(prices.Query{
		Model: of.Model, Provider: of.Provider, Region: of.Billing.Region, ServiceTier: of.Billing.ServiceTier, At: of.CreatedAt,
	})
	if !ok || found.Price == nil {
		return applied, false
	}
	rates := found.Rates
	for _, tier := range found.Tiers {
		if of.Tokens.Input > tier.Above {
			rates = tier.Rates
		}
	}
	return execution.AppliedPrice{
		Version: list.Version(), Model: found.Pattern, Provider: found.Provider, Source: found.Price.Source,
		Rates: map[string]float64{
			"input": usd(rates.Input), "output": usd(rates.Output), "cache_read": usd(rates.CacheRead), "cache_write": usd(rates.CacheWrite),
			"cache_write_1h": usd(rates.CacheWrite1h), "audio_input": usd(rates.AudioInput), "audio_output": usd(rates.AudioOutput),
			"audio_cache_read": usd(rates.AudioCacheRead), "image_input": usd(rates.ImageInput), "image_output": usd(rates.ImageOutput),
		},
	}, true
}

// usd returns a rate in USD per million tokens.
func usd(r prices.Rate) float64 { return float64(r) / 1e6 }
