package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/observe/metrics"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/store/postgres/dbgen"
)

const (
	readRequestSeries = `-- name: ReadRequestSeries :many
SELECT bucket, route, method, by_status, latency, bytes_in, bytes_out FROM request_rollups WHERE bucket >= $1 AND bucket < $2`

	// A bucket is covered for as long as the replica that was up longest in it.
	readReplicaSeries = `-- name: ReadReplicaSeries :many
SELECT bucket, LEAST(max(covered_seconds), max(seconds))::float8, sum(polls_delivered)::bigint, sum(polls_empty)::bigint,
	sum(polls_not_modified)::bigint, sum(polls_failed)::bigint
FROM replica_rollups WHERE bucket >= $1 AND bucket < $2 GROUP BY bucket`

	readFleetSeries = `-- name: ReadFleetSeries :many
SELECT bucket, polling_sum, expected_sum, samples::bigint FROM fleet_rollups WHERE bucket >= $1 AND bucket < $2`
)

// Series returns the measurements of each step of a window, without latencies of queries, agents or deployments. An
// empty step is chosen.
func (s *Rollups) Series(ctx context.Context, w report.Window, step execution.Step) ([]report.Facts, execution.Step, error) {
	finest, err := s.finest(ctx, w.From)
	if err != nil {
		return nil, step, wrap("read a series of rollups", err)
	}
	parts, step, err := execution.Split(execution.Window(w), step, finest)
	if err != nil {
		return nil, step, err
	}
	all := make([]report.Facts, len(parts))
	for i, part := range parts {
		all[i].Window = report.Window(part)
	}
	place := func(bucket time.Time) *report.Facts { return stepOf(all, step.Width(), bucket) }
	if err := s.readReplicaSeries(ctx, w, place); err != nil {
		return nil, step, wrap("read a series of rollups", err)
	}
	sums := map[*report.Facts]requestSums{}
	rows, err := s.db.pool.Query(ctx, readRequestSeries, w.From, w.To)
	if err != nil {
		return nil, step, wrap("read a series of rollups", err)
	}
	var row dbgen.RequestRollup
	_, err = pgx.ForEachRow(rows, []any{&row.Bucket, &row.Route, &row.Method, &row.ByStatus, &row.Latency, &row.BytesIn, &row.BytesOut}, func() error {
		f := place(row.Bucket)
		if sums[f] == nil {
			sums[f] = requestSums{}
		}
		return sums[f].add(row)
	})
	if err != nil {
		return nil, step, wrap("read a series of rollups", err)
	}
	for f, of := range sums {
		of.takeOthers()
		of.take(metrics.HeldPollsRoute)
		of.take(metrics.HeldIntervalsRoute)
		f.Endpoints = of.endpoints()
	}
	return all, step, nil
}

// finest returns the width of the buckets at a time. Old ones are compacted to hours.
func (s *Rollups) finest(ctx context.Context, at time.Time) (time.Duration, error) {
	oldest, err := s.db.queries.OldestMinute(ctx)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return time.Minute, nil
	case err != nil:
		return 0, err
	}
	earlier, err := s.hasHours(ctx, at, oldest)
	if err != nil || !earlier {
		return time.Minute, err
	}
	return time.Hour, nil
}

// hasHours reports whether there are compacted buckets in a window.
func (s *Rollups) hasHours(ctx context.Context, from, to time.Time) (found bool, err error) {
	err = s.db.pool.QueryRow(ctx, `-- name: HasHours :one
SELECT EXISTS (SELECT FROM replica_rollups WHERE bucket >= $1 AND bucket < $2 AND seconds > 60)`, from, to).Scan(&found)
	return found, err
}

func (s *Rollups) readReplicaSeries(ctx context.Context, w report.Window, place func(time.Time) *report.Facts) error {
	rows, err := s.db.pool.Query(ctx, readReplicaSeries, w.From, w.To)
	if err != nil {
		return err
	}
	var bucket time.Time
	var covered float64
	var delivered, empty, notModified, failed int64
	_, err = pgx.ForEachRow(rows, []any{&bucket, &covered, &delivered, &empty, &notModified, &failed}, func() error {
		f := place(bucket)
		f.CoveredSeconds += covered
		f.Polls.Delivered += delivered
		f.Polls.Empty += empty
		f.Polls.NotModified += notModified
		f.Polls.Failed += failed
		return nil
	})
	return err
}

// stepOf returns the step in which a bucket begins, or the nearest.
func stepOf(steps []report.Facts, width time.Duration, bucket time.Time) *report.Facts {
	first := steps[0].Window.From.Truncate(width)
	return &steps[min(max(int(bucket.Sub(first)/width), 0), len(steps)-1)]
}

// readFleetSeries reads the mean number of polling agents in each step, and the rate of polls that they were asked for.
func (s *Rollups) readFleetSeries(ctx context.Context, w report.Window, width time.Duration, steps []report.Facts) error {
	rows, err := s.db.pool.Query(ctx, readFleetSeries, w.From, w.To)
	if err != nil {
		return err
	}
	samples := map[*report.Facts]int64{}
	var bucket time.Time
	var polling, expected float64
	var n int64
	if _, err = pgx.ForEachRow(rows, []any{&bucket, &polling, &expected, &n}, func() error {
		f := stepOf(steps, width, bucket)
		f.Agents.Polling += polling
		f.Agents.ExpectedRPS += expected
		samples[f] += n
		return nil
	}); err != nil {
		return err
	}
	for f, n := range samples {
		if n > 0 {
			f.Agents.Polling /= float64(n)
			f.Agents.ExpectedRPS /= float64(n)
		}
	}
	return nil
}
