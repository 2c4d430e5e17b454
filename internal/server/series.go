package server

import (
	"context"
	"errors"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/observe"
	"github.com/watchbill/watchbill/internal/report"
)

// TrafficSeries reads the measurements of the steps of a window.
type TrafficSeries interface {
	// Series returns the measurements of each step. An empty step is chosen.
	Series(ctx context.Context, window report.Window, step execution.Step) ([]report.Facts, execution.Step, error)
}

// ExecutionSeries reads the figures of executions over time.
type ExecutionSeries interface {
	Series(ctx context.Context, query execution.SeriesQuery) (execution.SeriesSet, error)
}

const (
	defaultSeries = 10
	maxSeries     = 20
)

// seriesQuery is a request for series of traffic.
type seriesQuery struct {
	window       report.Window
	step         execution.Step
	by           report.SeriesBy
	limit        int
	known, admin bool
}

func readTrafficSeries(x *exchange) (seriesQuery, error) {
	q := x.query()
	req := seriesQuery{
		step: oneOf(&q, "step", execution.Steps()...), by: oneOf(&q, "group_by", report.SeriesByEndpoint, report.SeriesByStatus),
		limit: int(q.integer("limit", defaultSeries, 1, maxSeries)), known: x.audience == observe.Known, admin: x.caller.admin,
	}
	req.window = q.window(x.now())
	if err := q.done(); err != nil {
		return req, err
	}
	if !req.known && req.window.To.Sub(req.window.From) > openHours*time.Hour+2*time.Minute {
		return req, badRequest("invalid_parameter", "hours",
			"must be from 1 to %d without a token; with any valid token it may be up to %d", openHours, report.MaxHours)
	}
	return req, nil
}

func readExecutionSeries(x *exchange) (execution.SeriesQuery, error) {
	q := x.query()
	req := execution.SeriesQuery{
		Step:  oneOf(&q, "step", execution.Steps()...),
		By:    oneOf(&q, "group_by", execution.SeriesByAgent, execution.SeriesByModel, execution.SeriesByStatus),
		Limit: int(q.integer("limit", defaultSeries, 1, maxSeries)), ActiveUsers: q.boolean("active_users"),
	}
	req.Window = execution.Window(q.window(x.now()))
	if req.ActiveUsers && req.By != "" {
		q.fault("invalid_parameter", "active_users", "must not be given together with group_by")
	}
	return req, q.done()
}

// getMetricsSeries serves GET /api/metrics/series. One computation at a time serves callers that are not
// administrators, as for the other metrics.
func (s *Server) getMetricsSeries(ctx context.Context, req seriesQuery) (openapi.MetricsSeries, error) {
	computing := s.metering
	if !req.admin {
		answers := s.open
		if req.known {
			answers = s.tokened
		}
		if !answers.waiting.tryEnter() {
			return openapi.MetricsSeries{}, errTooManyMetrics
		}
		defer answers.waiting.leave()
		computing = answers.computing
	}
	if err := computing.enter(ctx); err != nil {
		return openapi.MetricsSeries{}, err
	}
	defer computing.leave()
	parts, step, err := s.trafficSeries.Series(ctx, req.window, req.step)
	if err != nil {
		return openapi.MetricsSeries{}, longWindow(ctx, err)
	}
	answer := openapi.MetricsSeries{
		Window: openapi.Window{From: req.window.From, To: req.window.To}, Step: openapi.Step(step), StepSeconds: int64(step.Width().Seconds()),
		GroupBy: openapi.MetricsSeriesGroupBy(req.by), Series: []openapi.TrafficSeries{},
	}
	for _, part := range parts {
		answer.Window.CoveredSeconds += part.CoveredSeconds
	}
	for _, one := range report.SeriesOf(parts, req.by, req.limit) {
		series := openapi.TrafficSeries{Key: one.Key, Points: make([]openapi.TrafficPoint, len(one.Points))}
		for i, p := range one.Points {
			t := trafficOf(p.Traffic)
			series.Points[i] = openapi.TrafficPoint{
				Time: p.From, CoveredSeconds: p.CoveredSeconds, Requests: t.Requests, RPS: t.RPS, ErrorRate: t.ErrorRate,
				ClientErrorRate: t.ClientErrorRate, ErrorsByStatus: t.ErrorsByStatus, LatencyMs: t.LatencyMs,
			}
			if p.Polls != nil {
				series.Points[i].Polls = &openapi.PollCounts{
					Delivered: p.Polls.Delivered, Empty: p.Polls.Empty, NotModified: p.Polls.NotModified, Failed: p.Polls.Failed,
				}
			}
		}
		answer.Series = append(answer.Series, series)
	}
	return answer, nil
}

// longWindow returns the problem of a window that could not be read in time, or err.
func longWindow(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errLongWindow
	}
	return err
}

func (s *Server) getExecutionSeries(ctx context.Context, req execution.SeriesQuery) (openapi.ExecutionSeriesAnswer, error) {
	if err := s.metering.enter(ctx); err != nil {
		return openapi.ExecutionSeriesAnswer{}, err
	}
	defer s.metering.leave()
	set, err := s.executions.Series(ctx, req)
	if err != nil {
		return openapi.ExecutionSeriesAnswer{}, longWindow(ctx, err)
	}
	answer := openapi.ExecutionSeriesSet{
		Window: openapi.ExecutionWindow{From: set.Window.From, To: set.Window.To}, Step: openapi.Step(set.Step),
		StepSeconds: int64(set.Step.Width().Seconds()), GroupBy: openapi.ExecutionSeriesGroupBy(req.By), Series: []openapi.ExecutionSeries{},
	}
	for _, one := range set.Series {
		series := openapi.ExecutionSeries{Key: one.Key, Points: make([]openapi.ExecutionPoint, len(one.Points))}
		for i := range one.Points {
			series.Points[i] = s.pointOf(&one.Points[i])
		}
		answer.Series = append(answer.Series, series)
	}
	return openapi.ExecutionSeriesAnswer{Status: succeeded, Series: answer}, nil
}

func (s *Server) pointOf(p *execution.Point) openapi.ExecutionPoint {
	f := figuresOf(p.Figures)
	in := s.currency.show(f.CostUSD, p.To)
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
