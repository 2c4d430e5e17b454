package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/fault"
)

// Probes check whether the database accepts the service's writes. Each executes a write that affects no row but
// requires the same privileges, locks and settings as the real one. They use connections that requests cannot use up.
type Probes struct{ db *DB }

// NewProbes returns the probes.
func NewProbes(db *DB) Probes { return Probes{db.reserved} }

// probeLocks limits how long a probe waits for a lock, to well below the timeout of requests.
const probeLocks = `SET LOCAL lock_timeout = '1s'`

// probe runs do in a transaction. Its errors have a detail that may be shown to clients.
func (p Probes) probe(ctx context.Context, as role, do func(tx pgx.Tx) error) error {
	err := p.db.transact(ctx, "probe", func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, probeLocks); err != nil {
			return err
		}
		if as != "" {
			if _, err := tx.Exec(ctx, "SET LOCAL ROLE "+string(as)); err != nil {
				return err
			}
		}
		return do(tx)
	})
	return distinguishable(err)
}

// tellable adds a detail that may be shown to clients to database errors that have none.
func distinguishable(err error) error {
	var pgErr *pgconn.PgError
	if err == nil || errors.Is(err, fault.ErrUnavailable) || errors.Is(err, context.Canceled) || !errors.As(err, &pgErr) {
		return err
	}
	return fmt.Errorf("%w: %w", fault.UnavailableBecause("the database failed (%s)", pgErr.Code), err)
}

// Fleet probes writes of agents, deployments and logs.
func (p Probes) Fleet(ctx context.Context) error {
	return p.statements(ctx, "", `-- name: ProbeFleet :exec
INSERT INTO agents SELECT * FROM agents WHERE false;
UPDATE agents SET token_hash = token_hash WHERE false;
DELETE FROM agents WHERE false;
INSERT INTO deleted_agents SELECT * FROM deleted_agents WHERE false;
UPDATE deleted_agents SET deleted_at = deleted_at WHERE false;
INSERT INTO deployments SELECT * FROM deployments WHERE false;
UPDATE deployments SET status = status WHERE false;
INSERT INTO deployment_attempts SELECT * FROM deployment_attempts WHERE false;
INSERT INTO deployment_logs SELECT * FROM deployment_logs WHERE false;
INSERT INTO idempotency_keys SELECT * FROM idempotency_keys WHERE false;
UPDATE idempotency_keys SET answer = answer WHERE false`)
}

// Presence probes writes of when agents were last seen.
func (p Probes) Presence(ctx context.Context) error {
	return p.statements(ctx, "", `-- name: ProbePresence :exec
INSERT INTO agent_presence SELECT * FROM agent_presence WHERE false;
UPDATE agent_presence SET last_seen_at = last_seen_at WHERE false`)
}

// Rollups probes writes of measurements and reports. Rows of measurements are also updated as they grow.
func (p Probes) Rollups(ctx context.Context) error {
	return p.statements(ctx, "", `-- name: ProbeRollups :exec
INSERT INTO request_rollups SELECT * FROM request_rollups WHERE false;
UPDATE request_rollups SET bucket = bucket WHERE false;
INSERT INTO query_rollups SELECT * FROM query_rollups WHERE false;
UPDATE query_rollups SET bucket = bucket WHERE false;
INSERT INTO replica_rollups SELECT * FROM replica_rollups WHERE false;
UPDATE replica_rollups SET bucket = bucket WHERE false;
INSERT INTO fleet_rollups SELECT * FROM fleet_rollups WHERE false;
UPDATE fleet_rollups SET bucket = bucket WHERE false;
INSERT INTO reports SELECT * FROM reports WHERE false;
DELETE FROM reports WHERE false`)
}

// RateLimits probes writes of the replicas' shared rate limits.
func (p Probes) RateLimits(ctx context.Context) error {
	return p.statements(ctx, "", `-- name: ProbeRateLimits :exec
INSERT INTO rate_limits SELECT * FROM rate_limits WHERE false;
UPDATE rate_limits SET taken = taken WHERE false`)
}

// ExecutionRollups probes the writes of folding.
func (p Probes) ExecutionRollups(ctx context.Context) error {
	return p.statements(ctx, admin, `-- name: ProbeExecutionRollups :exec
DELETE FROM execution_deltas WHERE false;
DELETE FROM user_deltas WHERE false;
INSERT INTO execution_rollups SELECT * FROM execution_rollups WHERE false;
UPDATE execution_rollups SET bucket = bucket WHERE false;
INSERT INTO user_rollups SELECT * FROM user_rollups WHERE false;
UPDATE user_rollups SET bucket = bucket WHERE false`)
}

func (p Probes) statements(ctx context.Context, as role, sql string) error {
	return p.probe(ctx, as, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, sql)
		return err
	})
}

const (
	probeInsert = `-- name: ProbeExecutions :exec
INSERT INTO agent_executions (` + executionColumns + `)
SELECT ` + executionColumns + ` FROM pg_temp.staged_executions WHERE false
ON CONFLICT (user_id, created_at, execution_id) DO NOTHING`
	probeSpans = `-- name: ProbeSpans :exec
INSERT INTO span_ancestors SELECT * FROM span_ancestors WHERE false;
INSERT INTO unsettled_executions SELECT * FROM unsettled_executions WHERE false;
UPDATE unsettled_executions SET check_at = check_at WHERE false;
SELECT FROM erasures WHERE false`
	probeNames = `-- name: ProbeNames :exec
INSERT INTO rollup_names SELECT * FROM rollup_names WHERE false`
)

// Probe does all that Commit does for one execution except inserting it. The staged row takes a page on the database's
// disk, so a full disk is detected.
func (s *Executions) Probe(ctx context.Context) error {
	probes := NewProbes(s.db)
	return probes.probe(ctx, "", func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, probeNames); err != nil { // new names are registered before a batch
			return err
		}
		if err := s.becomeWriter(ctx, tx, true); err != nil {
			return err
		}
		row := execution.Row{Execution: execution.Execution{UserID: "probe", ID: "probe", CreatedAt: s.now()}}
		if err := s.stage(ctx, tx, 1, func(int) *execution.Row { return &row }); err != nil {
			return err
		}
		for _, sql := range []string{probeInsert, probeSpans} {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		for table, columns := range map[string]string{"execution_deltas": cellDeltaColumns, "user_deltas": userDeltaColumns} {
			if err := s.db.copyRows(ctx, tx, pgx.Identifier{table}, "", columns, 0, nil); err != nil {
				return err
			}
		}
		return nil
	})
}

// ProbePartitions creates the partitions of today and the next days, unless they are known to exist.
func (s *Executions) ProbePartitions(ctx context.Context) error {
	return distinguishable(s.EnsureDays(ctx, s.now()))
}

// OldestTransaction measures how long the oldest transaction has prevented the removal of dead rows. It is
// not safe for concurrent use.
//
// A login that is not a member of pg_read_all_stats sees neither the start nor the statements of other sessions'
// transactions, only the transaction ids that each session still needs (backend_xmin, backend_xid). So Age measures for
// how long an id has been needed.
type OldestTransaction struct {
	db  *DB
	now func() time.Time

	needed map[int64]time.Time // needed transaction ids, and since when each has been seen continuously
}

// NewOldestTransaction returns an OldestTransaction without observations.
func NewOldestTransaction(db *DB, now func() time.Time) *OldestTransaction {
	return &OldestTransaction{db: db.reserved, now: now}
}

// Age returns the known age of the oldest transaction that prevents the removal of dead rows, or 0 if there is none.
func (o *OldestTransaction) Age(ctx context.Context) (time.Duration, error) {
	const doing = "look for the oldest transaction"
	rows, err := o.db.pool.Query(ctx, `-- name: OldestTransaction :many
WITH needed AS (
	SELECT x.xid, a.xact_start AS began
	FROM pg_stat_activity a CROSS JOIN LATERAL (VALUES (a.backend_xmin), (a.backend_xid)) AS x (xid)
	WHERE x.xid IS NOT NULL AND a.pid <> pg_backend_pid() AND a.usesysid IS NOT NULL AND a.datname = current_database()
	UNION ALL
	SELECT p.transaction, p.prepared FROM pg_prepared_xacts p WHERE p.database = current_database()
	UNION ALL
	SELECT s.xmin, NULL FROM pg_replication_slots s WHERE s.xmin IS NOT NULL
)
SELECT xid::text::bigint, COALESCE(max(EXTRACT(EPOCH FROM clock_timestamp() - began)), 0)::float8
FROM needed WHERE age(xid) > 0 -- something came after what it needs
GROUP BY xid ORDER BY max(age(xid)) DESC`)
	if err != nil {
		return 0, wrap(doing, err)
	}
	needed := map[int64]time.Time{}
	now, oldest := o.now(), time.Duration(0)
	var xid int64
	var seconds float64
	if _, err := pgx.ForEachRow(rows, []any{&xid, &seconds}, func() error {
		since, known := o.needed[xid]
		if !known {
			since = now
		}
		if len(needed) == 0 {
			oldest = time.Duration(seconds * float64(time.Second))
		}
		needed[xid] = since
		oldest = max(oldest, now.Sub(since))
		return nil
	}); err != nil {
		return 0, wrap(doing, err)
	}
	o.needed = needed
	return oldest, nil
}
