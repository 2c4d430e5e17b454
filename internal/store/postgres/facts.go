package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/observe/metrics"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/sketch"
	"github.com/watchbill/watchbill/internal/store/postgres/dbgen"
)

// A long window has many rows, so they are summed while they are read and not kept. pgx scans
// each into the same variables.
const (
	readRequestRollups = `-- name: ReadRequestRollups :many
SELECT route, method, by_status, latency, bytes_in, bytes_out FROM request_rollups WHERE bucket >= $1 AND bucket < $2`
	readQueryRollups = `-- name: ReadQueryRollups :many
SELECT query, count, errors, latency FROM query_rollups WHERE bucket >= $1 AND bucket < $2`
)

// Facts returns the measurements of all replicas in a window.
func (s *Rollups) Facts(ctx context.Context, w report.Window, parts report.Parts) (report.Facts, error) {
	f := report.Facts{Window: w}
	reads := []func(context.Context, *report.Facts) error{s.readRequests, s.readReplicas, s.readFleet}
	if parts.Queries {
		reads = append(reads, s.readQueries)
	}
	if parts.Indexes {
		reads = append(reads, s.readIndexes)
	}
	for _, read := range reads {
		if err := read(ctx, &f); err != nil {
			return f, wrap("read the rollups", err)
		}
	}
	return f, nil
}

func (s *Rollups) readRequests(ctx context.Context, f *report.Facts) error {
	rows, err := s.db.pool.Query(ctx, readRequestRollups, f.Window.From, f.Window.To)
	if err != nil {
		return err
	}
	sums := requestSums{}
	var row dbgen.RequestRollup
	_, err = pgx.ForEachRow(rows, []any{&row.Route, &row.Method, &row.ByStatus, &row.Latency, &row.BytesIn, &row.BytesOut},
		func() error { return sums.add(row) })
	if err != nil {
		return err
	}
	f.Unauthenticated, f.Probes = sums.takeOthers()
	f.Polls.Held = sums.take(metrics.HeldPollsRoute)
	f.Polls.HeldIntervals = float64(sums.take(metrics.HeldIntervalsRoute)) / metrics.PerInterval
	f.Endpoints = sums.endpoints()
	return nil
}

// endpoints returns the sums by route and method.
func (sums requestSums) endpoints() []report.EndpointFacts {
	var all []report.EndpointFacts
	for key, sum := range sums {
		all = append(all, report.EndpointFacts{
			Method: key.method, Route: key.route, ByStatus: sum.byStatus, Latency: sum.latency,
			BytesIn: sum.bytesIn, BytesOut: sum.bytesOut,
		})
	}
	slices.SortFunc(all, func(a, b report.EndpointFacts) int {
		return cmp.Or(cmp.Compare(a.Route, b.Route), cmp.Compare(a.Method, b.Method))
	})
	return all
}

type endpoint struct{ route, method string }

type requestSum struct {
	byStatus          map[int]int64
	latency           *sketch.Sketch
	bytesIn, bytesOut int64
}

type requestSums map[endpoint]*requestSum

// add adds a row. Buckets and replicas are summed together.
func (sums requestSums) add(row dbgen.RequestRollup) error {
	key := endpoint{row.Route, row.Method}
	sum := sums[key]
	if sum == nil {
		sum = &requestSum{byStatus: map[int]int64{}, latency: &sketch.Sketch{}}
		sums[key] = sum
	}
	var byStatus map[int]int64
	if err := json.Unmarshal(row.ByStatus, &byStatus); err != nil {
		return fmt.Errorf("counts of %s %s: %w", row.Method, row.Route, err)
	}
	for status, n := range byStatus {
		sum.byStatus[status] += n
	}
	if err := sum.latency.MergeEncoded(row.Latency); err != nil {
		return fmt.Errorf("latency of %s %s: %w", row.Method, row.Route, err)
	}
	sum.bytesIn += row.BytesIn
	sum.bytesOut += row.BytesOut
	return nil
}

// takeOthers removes the responses to others than known callers and returns their counts by status. Rows of earlier
// releases store them under the routes themselves. There, probes are recognized by their routes, and every 401 is to an
// unknown caller. The latencies of those 401s remain, since they cannot be separated.
func (sums requestSums) takeOthers() (unauthenticated, probes map[int]int64) {
	add := func(into *map[int]int64, status int, n int64) {
		if *into == nil {
			*into = map[int]int64{}
		}
		(*into)[status] += n
	}
	for key, sum := range sums {
		into := &unauthenticated
		switch {
		case key.route == metrics.UnauthenticatedRoute:
		case key.route == metrics.ProbeRoute, report.IsProbe(key.route):
			into = &probes
		default:
			if n := sum.byStatus[http.StatusUnauthorized]; n > 0 {
				add(&unauthenticated, http.StatusUnauthorized, n)
				delete(sum.byStatus, http.StatusUnauthorized)
			}
			continue
		}
		for status, n := range sum.byStatus {
			add(into, status, n)
		}
		delete(sums, key)
	}
	return unauthenticated, probes
}

// take removes a counter that is stored under a pseudo-route with status 0, and returns it.
func (sums requestSums) take(route string) int64 {
	key := endpoint{route, metrics.AnyMethod}
	sum := sums[key]
	if sum == nil {
		return 0
	}
	delete(sums, key)
	return sum.byStatus[0]
}

func (s *Rollups) readQueries(ctx context.Context, f *report.Facts) error {
	rows, err := s.db.pool.Query(ctx, readQueryRollups, f.Window.From, f.Window.To)
	if err != nil {
		return err
	}
	sums := querySums{}
	var row dbgen.QueryRollup
	_, err = pgx.ForEachRow(rows, []any{&row.Query, &row.Count, &row.Errors, &row.Latency}, func() error { return sums.add(row) })
	if err != nil {
		return err
	}
	for name, sum := range sums {
		f.Queries = append(f.Queries, report.QueryFacts{Name: name, Count: sum.count, Errors: sum.errors, Latency: sum.latency})
	}
	slices.SortFunc(f.Queries, func(a, b report.QueryFacts) int { return cmp.Compare(a.Name, b.Name) })
	return nil
}

type querySum struct {
	count, errors int64
	latency       *sketch.Sketch
}

type querySums map[string]*querySum

func (sums querySums) add(row dbgen.QueryRollup) error {
	sum := sums[row.Query]
	if sum == nil {
		sum = &querySum{latency: &sketch.Sketch{}}
		sums[row.Query] = sum
	}
	sum.count += row.Count
	sum.errors += row.Errors
	if err := sum.latency.MergeEncoded(row.Latency); err != nil {
		return fmt.Errorf("latency of query %s: %w", row.Query, err)
	}
	return nil
}

func (s *Rollups) readReplicas(ctx context.Context, f *report.Facts) error {
	var err error
	f.CoveredSeconds, err = s.db.queries.CoveredSeconds(ctx, dbgen.CoveredSecondsParams{WindowFrom: f.Window.From, WindowTo: f.Window.To})
	if err != nil {
		return err
	}
	rows, err := s.db.queries.SumReplicaRollups(ctx, dbgen.SumReplicaRollupsParams{WindowFrom: f.Window.From, WindowTo: f.Window.To})
	if err != nil {
		return err
	}
	for _, row := range rows {
		f.Polls.Delivered += row.PollsDelivered
		f.Polls.Empty += row.PollsEmpty
		f.Polls.NotModified += row.PollsNotModified
		f.Polls.Failed += row.PollsFailed
		pool := report.PoolFacts{
			Replica: row.Replica, Max: row.PoolMax, InUsePeak: float64(row.PoolInUsePeak),
			Acquires: row.PoolAcquires, EmptyAcquires: row.PoolEmptyAcquires, WaitSeconds: row.PoolWaitSeconds,
		}
		if row.PoolSamples > 0 {
			pool.InUseMean = float64(row.PoolInUseSum) / float64(row.PoolSamples)
		}
		f.Pool = append(f.Pool, pool)
	}
	return nil
}

func (s *Rollups) readFleet(ctx context.Context, f *report.Facts) error {
	mean, err := s.db.queries.AverageFleetRollups(ctx, dbgen.AverageFleetRollupsParams{WindowFrom: f.Window.From, WindowTo: f.Window.To})
	if err != nil {
		return err
	}
	f.Agents.Polling, f.Agents.ExpectedRPS = mean.Polling, mean.Expected
	latest, err := s.db.queries.LatestFleetRollup(ctx, dbgen.LatestFleetRollupParams{WindowFrom: f.Window.From, WindowTo: f.Window.To})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	sample, err := fleetSample(latest)
	if err != nil {
		return err
	}
	f.Agents.Online, f.Agents.Late, f.Agents.Offline = sample.Agents[fleet.Online], sample.Agents[fleet.Late], sample.Agents[fleet.Offline]
	f.Deployments = map[string]int64{}
	for status, n := range sample.Deployments {
		f.Deployments[string(status)] = n
	}
	return nil
}
