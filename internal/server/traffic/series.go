package traffic

import (
	"context"
	"errors"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/observe"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/server/input"
	"github.com/watchbill/watchbill/internal/server/problem"
)

// Series reads the measurements of the steps of a window.
type Series interface {
	// Series returns the measurements of each step. An empty step is chosen.
	Series(ctx context.Context, window report.Window, step execution.Step) ([]report.Facts, execution.Step, error)
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

func readTrafficSeries(x *endpoint.Exchange) (seriesQuery, error) {
	q := x.Query()
	req := seriesQuery{
		step: input.OneOf(&q, "step", execution.Steps()...), by: input.OneOf(&q, "group_by", report.SeriesByEndpoint, report.SeriesByStatus),
		limit: int(q.Integer("limit", defaultSeries, 1, maxSeries)), known: x.Audience == observe.Known, admin: x.Caller.Admin,
	}
	req.window = q.Window(x.Shared.Now())
	if err := q.Done(); err != nil {
		return req, err
	}
	if !req.known && req.window.To.Sub(req.window.From) > openHours*time.Hour+2*time.Minute {
		return req, problem.BadRequest("invalid_parameter", "hours",
			"must be from 1 to %d without a token; with any valid token it may be up to %d", openHours, report.MaxHours)
	}
	return req, nil
}

// getMetricsSeries serves GET /api/metrics/series. One computation at a time serves callers that are not
// administrators, as for the other metrics.
func (a *API) getMetricsSeries(ctx context.Context, req seriesQuery) (openapi.MetricsSeries, error) {
	computing := a.Computing
	if !req.admin {
		responses := a.Open
		if req.known {
			responses = a.Tokened
		}
		if !responses.Waiting.TryEnter() {
			return openapi.MetricsSeries{}, errTooManyMetrics
		}
		defer responses.Waiting.Leave()
		computing = responses.Computing
	}
	if err := computing.Enter(ctx); err != nil {
		return openapi.MetricsSeries{}, err
	}
	defer computing.Leave()
	parts, step, err := a.Series.Series(ctx, req.window, req.step)
	if err != nil {
		return openapi.MetricsSeries{}, longWindow(ctx, err)
	}
	response := openapi.MetricsSeries{
		Window: openapi.Window{From: req.window.From, To: req.window.To}, Step: openapi.Step(step), StepSeconds: int64(step.Width().Seconds()),
		GroupBy: openapi.MetricsSeriesGroupBy(req.by), Series: []openapi.TrafficSeries{},
	}
	for _, part := range parts {
		response.Window.CoveredSeconds += part.CoveredSeconds
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
		response.Series = append(response.Series, series)
	}
	return response, nil
}

// longWindow returns the problem of a window that could not be read in time, or err.
func longWindow(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errLongWindow
	}
	return err
}
