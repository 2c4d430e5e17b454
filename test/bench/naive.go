package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/api/openapi"
)

// naiveSums holds the totals of a group of rows.
type naiveSums struct {
	Count, Successful, Timeouts, Failed                   int64
	Used, Input, Output, CacheRead, CacheWrite, Reasoning int64
	Cost, Unpriced                                        int64
	millis                                                float64
}

// naiveFigures holds the endpoint's figures as computed from the rows.
type naiveFigures struct {
	total          naiveSums
	agents, models map[string]*naiveSums
}

// naiveSQL is the query that one would write with only the rows. It omits percentiles, which would make it several
// times slower: they are compared but not timed.
const naiveSQL = `
SELECT agent_name, model_used, status, request, count(*), sum(execution_time_ms), sum(tokens_used), sum(input_tokens), sum(output_tokens),
	sum(cache_read_tokens), sum(cache_write_tokens), sum(reasoning_tokens), COALESCE(sum(cost_nano_usd), 0),
	COALESCE(sum(tokens_used) FILTER (WHERE cost_nano_usd IS NULL), 0)
FROM agent_executions WHERE created_at >= $1 AND created_at < $2
GROUP BY 1, 2, 3, 4`

// naiveMetrics scans the rows of a window and returns how long that took.
func naiveMetrics(ctx context.Context, db *pgx.Conn, w openapi.ExecutionWindow) (naiveFigures, time.Duration, error) {
	all := naiveFigures{agents: map[string]*naiveSums{}, models: map[string]*naiveSums{}}
	began := time.Now()
	rows, err := db.Query(ctx, naiveSQL, w.From, w.To)
	if err != nil {
		return all, 0, err
	}
	var agent, model, status string
	var request bool
	var n int64
	var one naiveSums
	_, err = pgx.ForEachRow(rows, []any{
		&agent, &model, &status, &request, &n, &one.millis, &one.Used, &one.Input, &one.Output,
		&one.CacheRead, &one.CacheWrite, &one.Reasoning, &one.Cost, &one.Unpriced,
	}, func() error {
		all.total.add(one, n, status, request)
		sumsOf(all.agents, agent).add(one, n, status, request)
		if model != "" {
			sumsOf(all.models, model).add(one, n, status, true)
		}
		return nil
	})
	return all, time.Since(began), err
}

func sumsOf(all map[string]*naiveSums, name string) *naiveSums {
	if all[name] == nil {
		all[name] = &naiveSums{}
	}
	return all[name]
}

// add adds a group of rows. Tokens and cost count for all rows, the rest only for requests.
func (s *naiveSums) add(one naiveSums, n int64, status string, counts bool) {
	s.Used += one.Used
	s.Input += one.Input
	s.Output += one.Output
	s.CacheRead += one.CacheRead
	s.CacheWrite += one.CacheWrite
	s.Reasoning += one.Reasoning
	s.Cost += one.Cost
	s.Unpriced += one.Unpriced
	if !counts {
		return
	}
	s.Count += n
	s.millis += one.millis
	switch status {
	case "success":
		s.Successful += n
	case "timeout":
		s.Timeouts += n
		s.Failed += n
	default:
		s.Failed += n
	}
}

// compare returns the differences between a response and the rows.
func (f naiveFigures) compare(m openapi.ExecutionMetrics) error {
	total := m.TotalRequests
	errs := []error{f.total.compare("total", openapi.ExecutionFigures{
		Count: total, AvgTimeMs: m.AvgExecutionTimeMs, SuccessRate: m.SuccessRate, TotalTokens: m.TotalTokensUsed, CostUSD: m.CostUSD,
		Timeouts: m.Timeouts, Tokens: m.Tokens, UnpricedTokens: m.UnpricedTokens,
	})}
	if m.Successful != f.total.Successful || m.Failed != f.total.Failed {
		errs = append(errs, fmt.Errorf("total: %d succeeded and %d failed, by the rows %d and %d", m.Successful, m.Failed, f.total.Successful, f.total.Failed))
	}
	for _, part := range []struct {
		of       string
		naive    map[string]*naiveSums
		reported map[string]openapi.ExecutionFigures
	}{{"agent", f.agents, m.AgentMetrics}, {"model", f.models, m.ModelMetrics}} {
		if len(part.naive) != len(part.reported) {
			errs = append(errs, fmt.Errorf("%ss: %d, by the rows %d", part.of, len(part.reported), len(part.naive)))
		}
		for name, sums := range part.naive {
			errs = append(errs, sums.compare(part.of+" "+name, part.reported[name]))
		}
	}
	return errors.Join(errs...)
}

func (s *naiveSums) compare(of string, reported openapi.ExecutionFigures) error {
	t := reported.Tokens
	got := naiveSums{
		Count: reported.Count, Successful: s.Successful, Failed: s.Failed, Timeouts: reported.Timeouts,
		Used: t.Used, Input: t.Input, Output: t.Output, CacheRead: t.CacheRead, CacheWrite: t.CacheWrite, Reasoning: t.Reasoning,
		Unpriced: reported.UnpricedTokens, millis: s.millis,
	}
	if reported.CostUSD != nil {
		got.Cost = int64(*reported.CostUSD)
	}
	if got != *s || reported.TotalTokens != s.Used {
		return fmt.Errorf("%s: %+v, by the rows %+v", of, got, *s)
	}
	if s.Count == 0 {
		return nil
	}
	rate, mean := float64(s.Successful)/float64(s.Count), s.millis/float64(s.Count)
	if !near(reported.SuccessRate, rate, 1e-9) || !near(reported.AvgTimeMs, mean, 1e-9) {
		return fmt.Errorf("%s: success rate %v and mean %v ms, by the rows %v and %v", of, reported.SuccessRate, reported.AvgTimeMs, rate, mean)
	}
	return nil
}

func near(a, b, within float64) bool {
	return math.Abs(a-b) <= within*math.Max(math.Abs(a), math.Abs(b))
}

// comparePercentiles compares the percentiles of the whole window, which are accurate to 1 %, with those of all rows in
// order.
func comparePercentiles(ctx context.Context, db *pgx.Conn, m openapi.ExecutionMetrics) error {
	var exact []float64
	if err := db.QueryRow(ctx, `SELECT percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY execution_time_ms)
		FROM agent_executions WHERE created_at >= $1 AND created_at < $2 AND request`, m.Window.From, m.Window.To).Scan(&exact); err != nil {
		return err
	}
	for i, reported := range []float64{m.ExecutionTimeMs.P50, m.ExecutionTimeMs.P95, m.ExecutionTimeMs.P99} {
		if !near(reported, exact[i], 0.0101) {
			return fmt.Errorf("the percentiles are %v, by the rows %v", m.ExecutionTimeMs, exact)
		}
	}
	return nil
}
