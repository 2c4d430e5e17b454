package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/watchbill/watchbill/internal/observe/metrics"
	"github.com/watchbill/watchbill/internal/store/postgres/dbgen"
)

// The widths of a rollup's bucket, in seconds.
const (
	minute = 60
	hour   = 3600
)

// Rollups stores the replicas' measurements of themselves.
type Rollups struct{ db *DB }

// NewRollups returns a store of measurements.
func NewRollups(db *DB) *Rollups { return &Rollups{db} }

// WriteRollups replaces the replica's rows of the given minutes, so it is idempotent. It implements metrics.Store.
func (s *Rollups) WriteRollups(ctx context.Context, r metrics.Rollups) error {
	var requests []dbgen.SaveRequestRollupParams
	var queries []dbgen.SaveQueryRollupParams
	var replicas []dbgen.SaveReplicaRollupParams
	for _, m := range r.Minutes {
		for _, one := range m.Requests {
			byStatus, err := json.Marshal(one.ByStatus)
			if err != nil {
				return fmt.Errorf("write rollups: %w", err)
			}
			requests = append(requests, dbgen.SaveRequestRollupParams{
				Bucket: m.Minute, Seconds: minute, Route: one.Route, Method: one.Method, Replica: r.Replica,
				ByStatus: byStatus, Latency: one.Sketch, BytesIn: one.BytesIn, BytesOut: one.BytesOut,
			})
		}
		for _, one := range m.Queries {
			queries = append(queries, dbgen.SaveQueryRollupParams{
				Bucket: m.Minute, Seconds: minute, Query: one.Name, Replica: r.Replica,
				Count: one.Count, Errors: one.Errors, Latency: one.Sketch,
			})
		}
		replicas = append(replicas, dbgen.SaveReplicaRollupParams{
			Bucket: m.Minute, Seconds: minute, Replica: r.Replica, CoveredSeconds: m.Covered.Seconds(),
			PollsDelivered: m.Polls.Delivered, PollsEmpty: m.Polls.Empty,
			PollsNotModified: m.Polls.NotModified, PollsFailed: m.Polls.Failed,
			PoolMax: m.Pool.Max, PoolSamples: m.Pool.Samples, PoolInUseSum: m.Pool.InUseSum, PoolInUsePeak: m.Pool.Peak,
			PoolAcquires: m.Pool.Acquires, PoolEmptyAcquires: m.Pool.EmptyAcquires, PoolWaitSeconds: m.Pool.WaitSeconds,
		})
	}
	return s.db.inTx(ctx, "write rollups", func(q *dbgen.Queries) error {
		if err := runBatch(q.SaveRequestRollup(ctx, requests)); err != nil {
			return err
		}
		if err := runBatch(q.SaveQueryRollup(ctx, queries)); err != nil {
			return err
		}
		return runBatch(q.SaveReplicaRollup(ctx, replicas))
	})
}

// runBatch executes a batch and returns its first error.
func runBatch(batch interface {
	Exec(each func(i int, err error))
	io.Closer
},
) error {
	var first error
	batch.Exec(func(_ int, err error) {
		if first == nil {
			first = err
		}
	})
	if err := batch.Close(); first == nil {
		first = err // after an error, Close returns it again
	}
	return first
}
