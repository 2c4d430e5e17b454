package executions

import (
	"context"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/server/endpoint"
)

// succeeded is the status member of successful responses to administrators. Failures are problem documents.
const succeeded = "success"

func (a *API) getExecutionMetrics(ctx context.Context, span endpoint.Span) (openapi.ExecutionMetricsAnswer, error) {
	if err := a.Computing.Enter(ctx); err != nil {
		return openapi.ExecutionMetricsAnswer{}, err
	}
	defer a.Computing.Leave()
	now := a.Now().UTC()
	window, err := span.Window(now)
	if err != nil {
		return openapi.ExecutionMetricsAnswer{}, err
	}
	facts, err := a.Store.Facts(ctx, execution.Window(window))
	if err != nil {
		return openapi.ExecutionMetricsAnswer{}, err
	}
	m := facts.Metrics()
	shown := func(f openapi.ExecutionFigures) openapi.ExecutionFigures {
		in := a.Currency.show(f.CostUSD, now)
		f.Cost, f.Currency, f.RateDate = in.cost, in.currency, in.rateDate
		return f
	}
	all := shown(figuresOf(m.Figures))
	return openapi.ExecutionMetricsAnswer{Status: succeeded, Metrics: openapi.ExecutionMetrics{
		TotalRequests: m.Count, Successful: m.Successful, Failed: m.Failed, SuccessRate: all.SuccessRate,
		AvgExecutionTimeMs: all.AvgTimeMs, TotalTokensUsed: all.TotalTokens, AgentMetrics: figuresByName(m.Agents, shown),
		Timeouts: m.Timeouts, ExecutionTimeMs: all.ExecutionTimeMs, ModelMetrics: figuresByName(m.Models, shown),
		Cost: all.Cost, Currency: all.Currency, RateDate: all.RateDate,
		Tokens: all.Tokens, CostUSD: all.CostUSD, UnpricedTokens: all.UnpricedTokens,
		UnknownUsage: all.UnknownUsage, EstimatedCostUSD: all.EstimatedCostUSD, ProviderCostUSD: all.ProviderCostUSD,
		ProviderUnpricedUSD: all.ProviderUnpricedUSD, ProviderDifferenceUSD: all.ProviderDifferenceUSD,
		Window: openapi.ExecutionWindow{From: facts.Window.From.UTC(), To: facts.Window.To.UTC()},
	}}, nil
}

func figuresByName(
	named map[string]execution.Figures, shown func(openapi.ExecutionFigures) openapi.ExecutionFigures,
) map[string]openapi.ExecutionFigures {
	converted := make(map[string]openapi.ExecutionFigures, len(named))
	for name, figures := range named {
		converted[name] = shown(figuresOf(figures))
	}
	return converted
}

// figuresOf converts figures. Without requests, rates and times are 0, as clients have always expected.
func figuresOf(f execution.Figures) openapi.ExecutionFigures {
	return openapi.ExecutionFigures{
		Count: f.Count, AvgTimeMs: endpoint.Deref(f.Mean), SuccessRate: endpoint.Deref(f.SuccessRate), TotalTokens: f.Tokens.Used, Timeouts: f.Timeouts,
		ExecutionTimeMs: openapi.ExecutionTimes{P50: endpoint.Deref(f.P50), P95: endpoint.Deref(f.P95), P99: endpoint.Deref(f.P99)},
		Tokens:          tokensOf(f.Tokens), CostUSD: costOf(f.Cost, f.Unpriced, f.Evidence), UnpricedTokens: f.Unpriced,
		UnknownUsage: f.UnknownUsage, EstimatedCostUSD: openapi.USD(f.Estimated), ProviderCostUSD: chargeOf(f.Provider),
		ProviderUnpricedUSD: chargeOf(f.ProviderUnpriced), ProviderDifferenceUSD: chargeOf(f.ProviderDifference()),
	}
}

func tokensOf(t execution.Tokens) openapi.TokenCounts {
	return openapi.TokenCounts{
		Used: t.Used, Input: t.Input, Output: t.Output, CacheRead: t.CacheRead, CacheWrite: t.CacheWrite, Reasoning: t.Reasoning,
	}
}
