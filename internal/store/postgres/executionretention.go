package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/store/postgres/dbgen"
)

// rollupDeleteRows is the maximum number of rollups deleted in one transaction. Rollups are small and many.
const rollupDeleteRows = 5000

// ExecutionRetention is how long executions and their rollups are kept.
type ExecutionRetention struct {
	Executions time.Duration // the rows
	Minutes    time.Duration // rollups by minute
	Quarters   time.Duration // rollups by quarter of an hour, those of users too
	Hours      time.Duration
	Days       time.Duration
}

// cleanUpSlack is how much longer than its retention anything is kept, since clocks differ and
// kept data must be present.
const cleanUpSlack = time.Hour

// since returns the time since which each width is kept.
func (r ExecutionRetention) since(now time.Time) execution.Kept {
	return execution.Kept{Minutes: now.Add(-r.Minutes), Quarters: now.Add(-r.Quarters), Hours: now.Add(-r.Hours)}
}

// CleanUp creates the partitions needed next, deletes what is older than its retention, and builds missing indexes. Replicas may call it
// concurrently. now is the time by the database's clock: see DB.Now.
func (s *Executions) CleanUp(ctx context.Context, now time.Time) error {
	kept := now.Add(-cleanUpSlack)
	faults := []error{s.EnsureDays(ctx, now), s.DropDays(ctx, kept.Add(-s.kept.Executions)), s.IndexDays(ctx)}
	for width, keep := range map[time.Duration]time.Duration{
		execution.MinuteWide: s.kept.Minutes, execution.QuarterWide: s.kept.Quarters, execution.HourWide: s.kept.Hours, execution.DayWide: s.kept.Days,
	} {
		seconds, before := int32(width/time.Second), kept.Add(-keep)
		faults = append(faults,
			s.drop(ctx, "delete old rollups of executions", func(q *dbgen.Queries) (int64, error) {
				return q.DropOldExecutionRollups(ctx, dbgen.DropOldExecutionRollupsParams{Width: seconds, Before: before, MaxRows: rollupDeleteRows})
			}),
			s.drop(ctx, "delete old rollups of users", func(q *dbgen.Queries) (int64, error) {
				return q.DropOldUserRollups(ctx, dbgen.DropOldUserRollupsParams{Width: seconds, Before: before, MaxRows: rollupDeleteRows})
			}))
	}
	faults = append(faults,
		s.drop(ctx, "delete old spans", func(q *dbgen.Queries) (int64, error) {
			return q.DropOldSpans(ctx, dbgen.DropOldSpansParams{KeepSeconds: spansKept.Seconds(), MaxRows: rollupDeleteRows})
		}),
		s.drop(ctx, "delete old joined executions", func(q *dbgen.Queries) (int64, error) {
			return q.DropOldJoined(ctx, dbgen.DropOldJoinedParams{Before: kept.Add(-s.kept.Executions), MaxRows: rollupDeleteRows})
		}),
		s.drop(ctx, "delete old scopes of calls", func(q *dbgen.Queries) (int64, error) {
			return q.DropOldCallScopes(ctx, dbgen.DropOldCallScopesParams{KeepSeconds: spansKept.Seconds(), MaxRows: rollupDeleteRows})
		}),
		s.forgetErasures(ctx, kept.Add(-s.kept.Executions)),
		s.names.drop(ctx, s.db, now.Add(-namesKept)))
	return errors.Join(faults...)
}

// drop deletes in batches, each in a transaction that sees the rows of all users.
func (s *Executions) drop(ctx context.Context, doing string, some func(q *dbgen.Queries) (int64, error)) error {
	return drop(doing, rollupDeleteRows, func() (n int64, err error) {
		err = s.db.inTxAs(ctx, admin, doing, func(tx pgx.Tx) error {
			n, err = some(s.db.queries.WithTx(tx))
			return err
		})
		return n, err
	})
}

// drop deletes in batches until one is not full, up to deleteBatches of them.
func drop(doing string, full int64, some func() (int64, error)) error {
	for range deleteBatches {
		if n, err := some(); err != nil || n < full {
			return wrap(doing, err)
		}
	}
	return nil
}
