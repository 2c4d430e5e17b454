package executions

import (
	"context"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/server/input"
)

const (
	defaultSeries = 10
	maxSeries     = 20
)

func readExecutionSeries(x *endpoint.Exchange) (execution.SeriesQuery, error) {
	q := x.Query()
	req := execution.SeriesQuery{
		Step:  input.OneOf(&q, "step", execution.Steps()...),
		By:    input.OneOf(&q, "group_by", execution.SeriesByAgent, execution.SeriesByModel, execution.SeriesByStatus),
		Limit: int(q.Integer("limit", defaultSeries, 1, maxSeries)), ActiveUsers: q.Boolean("active_users"),
	}
	req.Window = execution.Window(q.Window(x.Shared.Now()))
	if req.ActiveUsers && req.By != "" {
		q.Fault("invalid_parameter", "active_users", "must not be given together with group_by")
	}
	return req, q.Done()
}

func (a *API) getExecutionSeries(ctx context.Context, req execution.SeriesQuery) (openapi.ExecutionSeriesAnswer, error) {
	if err := a.Computing.Enter(ctx); err != nil {
		return openapi.ExecutionSeriesAnswer{}, err
	}
	defer a.Computing.Leave()
	set, err := a.Store.Series(ctx, req)
	if err != nil {
		return openapi.ExecutionSeriesAnswer{}, err
	}
	response := openapi.ExecutionSeriesSet{
		Window: openapi.ExecutionWindow{From: set.Window.From, To: set.Window.To}, Step: openapi.Step(set.Step),
		StepSeconds: int64(set.Step.Width().Seconds()), GroupBy: openapi.ExecutionSeriesGroupBy(req.By), Series: []openapi.ExecutionSeries{},
	}
	for _, one := range set.Series {
		series := openapi.ExecutionSeries{Key: one.Key, Points: make([]openapi.ExecutionPoint, len(one.Points))}
		for i := range one.Points {
			series.Points[i] = a.pointOf(&one.Points[i])
		}
		response.Series = append(response.Series, series)
	}
	return openapi.ExecutionSeriesAnswer{Status: succeeded, Series: response}, nil
}

func (a *API) pointOf(p *execution.Point) openapi.ExecutionPoint {
	f := figuresOf(p.Figures)
	in := a.Currency.show(f.CostUSD, p.To)
	point := openapi.ExecutionPoint{
		Time: p.From, ActiveUsers: p.ActiveUsers, Successful: p.Successful, Failed: p.Failed,
		AvgTimeMs: f.AvgTimeMs, Count: f.Count, SuccessRate: f.SuccessRate, TotalTokens: f.TotalTokens, Timeouts: f.Timeouts,
		ExecutionTimeMs: f.ExecutionTimeMs, Tokens: f.Tokens, CostUSD: f.CostUSD, UnpricedTokens: f.UnpricedTokens, UnknownUsage: f.UnknownUsage,
		EstimatedCostUSD: f.EstimatedCostUSD, ProviderCostUSD: f.ProviderCostUSD, ProviderUnpricedUSD: f.ProviderUnpricedUSD,
		ProviderDifferenceUSD: f.ProviderDifferenceUSD, Cost: in.cost, Currency: in.currency, RateDate: in.rateDate,
	}
	if p.Count > 0 {
		point.ErrorRate = float64(p.Failed) / float64(p.Count)
	}
	return point
}
