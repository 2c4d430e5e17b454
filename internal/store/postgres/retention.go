package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/store/postgres/dbgen"
)

// Retention is how long rows are kept. No table grows without bound.
type Retention struct {
	Deployments   time.Duration // since they finished; includes their attempts and logs
	UnseenAgents  time.Duration // since enrollment, for agents enrolled by a token that never polled; 0 for no limit
	Reports       time.Duration
	Rollups       time.Duration
	RollupMinutes time.Duration // rollups by minute, which are then compacted to hours
}

// The maximum number of rows deleted in one transaction, and of transactions per table in one clean-up.
const (
	deleteRows    = 200 // low, since a deployment may have megabytes of logs
	deleteBatches = 250
)

// tombstoneKeep is how long a deleted agent is recorded. A replica that has not swept for longer has lost its
// connection and sweeps everything when it reconnects.
const tombstoneKeep = 24 * time.Hour

// CleanUp deletes what is older than its retention, in small transactions, and compacts rollups. Replicas may call it
// concurrently. now is the time by the database's clock: see DB.Now.
func (s *Rollups) CleanUp(ctx context.Context, now time.Time, keep Retention) error {
	q := s.db.queries
	deletions := []struct {
		what string
		some func() (int64, error)
	}{
		{"deployments", func() (int64, error) {
			return q.DropOldDeployments(ctx, dbgen.DropOldDeploymentsParams{KeepSeconds: keep.Deployments.Seconds(), MaxRows: deleteRows})
		}},
		{"idempotency keys", func() (int64, error) { return q.DropOldIdempotencyKeys(ctx, deleteRows) }},
		{"deleted agents", func() (int64, error) {
			return q.DropOldDeletedAgents(ctx, dbgen.DropOldDeletedAgentsParams{KeepSeconds: tombstoneKeep.Seconds(), MaxRows: deleteRows})
		}},
		{"unseen agents", func() (int64, error) { return s.retireUnseen(ctx, keep.UnseenAgents) }},
		{"reports", func() (int64, error) {
			return q.DropOldReports(ctx, dbgen.DropOldReportsParams{KeepSeconds: keep.Reports.Seconds(), MaxRows: deleteRows})
		}},
	}
	var faults []error // an error does not prevent the other deletions
	for _, d := range deletions {
		faults = append(faults, drop("delete old "+d.what, deleteRows, d.some))
	}
	faults = append(faults,
		wrap("delete old rollups", q.DropOldRollups(ctx, now.Add(-keep.Rollups))),
		s.compact(ctx, now.Add(-keep.RollupMinutes).Truncate(time.Hour)))
	return errors.Join(faults...)
}

// retireUnseen deletes some of the agents that never polled.
func (s *Rollups) retireUnseen(ctx context.Context, keep time.Duration) (found int64, err error) {
	if keep == 0 {
		return 0, nil
	}
	err = s.db.inTx(ctx, "retire unseen agents", func(q *dbgen.Queries) error {
		ids, err := q.LockUnseenAgents(ctx, dbgen.LockUnseenAgentsParams{KeepSeconds: keep.Seconds(), MaxRows: deleteRows})
		if found = int64(len(ids)); err != nil || found == 0 {
			return err
		}
		return q.DeleteUnseenAgents(ctx, ids)
	})
	return found, err
}

// compact merges rollups by minute before the given hour into rollups by hour, oldest first, one hour per transaction.
func (s *Rollups) compact(ctx context.Context, before time.Time) error {
	for range deleteBatches {
		oldest, err := s.db.queries.OldestMinute(ctx)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return wrap("find old minutes", err)
		}
		from := oldest.UTC().Truncate(time.Hour)
		if !from.Before(before) {
			return nil
		}
		if err := s.compactHour(ctx, from); err != nil {
			return err
		}
	}
	return nil
}

func (s *Rollups) compactHour(ctx context.Context, from time.Time) error {
	to := from.Add(time.Hour)
	return s.db.inTx(ctx, "compact rollups", func(q *dbgen.Queries) error {
		if err := q.LockCompaction(ctx); err != nil {
			return err
		}
		rows, err := q.TakeRequestRollups(ctx, dbgen.TakeRequestRollupsParams{WindowFrom: from, WindowTo: to})
		if err != nil {
			return err
		}
		requests, err := hourOfRequests(from, rows)
		if err != nil {
			return err
		}
		if err := runBatch(q.SaveRequestRollup(ctx, requests)); err != nil {
			return err
		}
		minutes, err := q.TakeQueryRollups(ctx, dbgen.TakeQueryRollupsParams{WindowFrom: from, WindowTo: to})
		if err != nil {
			return err
		}
		queries, err := hourOfQueries(from, minutes)
		if err != nil {
			return err
		}
		if err := runBatch(q.SaveQueryRollup(ctx, queries)); err != nil {
			return err
		}
		return q.CompactReplicaRollups(ctx, dbgen.CompactReplicaRollupsParams{WindowFrom: from, WindowTo: to})
	})
}

func hourOfRequests(bucket time.Time, rows []dbgen.RequestRollup) ([]dbgen.SaveRequestRollupParams, error) {
	sums := requestSums{}
	for _, row := range rows {
		if err := sums.add(row); err != nil {
			return nil, err
		}
	}
	var hours []dbgen.SaveRequestRollupParams
	for key, sum := range sums {
		byStatus, err := json.Marshal(sum.byStatus)
		if err != nil {
			return nil, fmt.Errorf("counts of %s %s: %w", key.method, key.route, err)
		}
		hours = append(hours, dbgen.SaveRequestRollupParams{
			Bucket: bucket, Seconds: hour, Route: key.route, Method: key.method,
			ByStatus: byStatus, Latency: sum.latency.Encode(), BytesIn: sum.bytesIn, BytesOut: sum.bytesOut,
		})
	}
	slices.SortFunc(hours, func(a, b dbgen.SaveRequestRollupParams) int {
		return cmp.Or(cmp.Compare(a.Route, b.Route), cmp.Compare(a.Method, b.Method))
	})
	return hours, nil
}

func hourOfQueries(bucket time.Time, rows []dbgen.QueryRollup) ([]dbgen.SaveQueryRollupParams, error) {
	sums := querySums{}
	for _, row := range rows {
		if err := sums.add(row); err != nil {
			return nil, err
		}
	}
	var hours []dbgen.SaveQueryRollupParams
	for name, sum := range sums {
		hours = append(hours, dbgen.SaveQueryRollupParams{
			Bucket: bucket, Seconds: hour, Query: name, Count: sum.count, Errors: sum.errors, Latency: sum.latency.Encode(),
		})
	}
	slices.SortFunc(hours, func(a, b dbgen.SaveQueryRollupParams) int { return cmp.Compare(a.Query, b.Query) })
	return hours, nil
}
