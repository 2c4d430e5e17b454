package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
)

// The partitions of agent_executions are days, called agent_executions_20060102.
const (
	partitionPrefix = "agent_executions_"
	partitionDate   = "20060102"
	daysAhead       = 2 // that have a partition before their first execution comes
)

// days remembers which days have a partition. Another replica may make one, and drop one that is too old for any
// execution to come; both are found out.
type days struct {
	mu    sync.Mutex
	known map[string]bool // whether it can be copied into
	life  uint64          // DB.lives, when the first of them was learned
}

// follow forgets all days if they are another database's.
func (d *days) follow(life uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.life != life {
		d.known, d.life = nil, life
	}
}

func (d *days) lacks(name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, known := d.known[name]
	return !known
}

// open reports whether rows can be copied into a day's partition.
func (d *days) open(name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.known[name]
}

func (d *days) learn(name string, open bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known == nil {
		d.known = map[string]bool{}
	}
	d.known[name] = open
}

func (d *days) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known = nil
}

// EnsureDays makes the partitions of today and the days to come, so that no execution has to wait for one.
func (s *Executions) EnsureDays(ctx context.Context, now time.Time) error {
	s.days.follow(s.db.lives.Load())
	for ahead := range daysAhead + 1 {
		if err := s.ensureDay(ctx, now.UTC().AddDate(0, 0, ahead)); err != nil {
			return err
		}
	}
	return nil
}

// partitionOf is the name of the partition that holds t.
func partitionOf(t time.Time) string { return partitionPrefix + t.UTC().Format(partitionDate) }

// ensureDay makes the partition that holds t. It is attached rather than made in place, which would keep everybody out
// of the table meanwhile.
func (s *Executions) ensureDay(ctx context.Context, t time.Time) error {
	day := t.UTC().Truncate(execution.DayWide)
	name := partitionOf(day)
	if !s.days.lacks(name) {
		return nil
	}
	var open bool
	err := s.db.transact(ctx, "make a partition", func(tx pgx.Tx) error {
		if err := lockPartitions(ctx, tx); err != nil {
			return err
		}
		if err := guardCopied(ctx, tx); err != nil {
			return err
		}
		attached, forced, err := partitionThere(ctx, tx, name)
		if err != nil || attached {
			open = !forced
			return err
		}
		open = true
		const layout = "2006-01-02T15:04:05Z"
		_, err = tx.Exec(ctx, strings.NewReplacer(
			"NAME", name, "FROM_TIME", day.Format(layout), "TO_TIME", day.Add(execution.DayWide).Format(layout),
		).Replace(`-- name: MakePartition :exec
			DROP TABLE IF EXISTS NAME; -- one that was detached and not dropped
			CREATE TABLE NAME (LIKE agent_executions INCLUDING ALL);
			ALTER TABLE NAME ENABLE ROW LEVEL SECURITY;
			REVOKE SELECT, UPDATE, DELETE, TRUNCATE ON NAME FROM CURRENT_USER; -- the owner copies rows: see migration 00013
			ALTER TABLE agent_executions ATTACH PARTITION NAME FOR VALUES FROM ('FROM_TIME') TO ('TO_TIME')`))
		return err
	})
	if err == nil {
		s.days.learn(name, open)
	}
	return err
}

// lockPartitions lets one replica at a time make or drop partitions. Statements that wait for a lock longer give up, lest
// all others queue behind them.
func lockPartitions(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `-- name: LockPartitions :exec
		SET LOCAL lock_timeout = '5s';
		SELECT pg_advisory_xact_lock(hashtextextended('watchbill partitions', 0))`)
	return err
}

func isAttached(ctx context.Context, tx pgx.Tx, name string) (attached bool, err error) {
	attached, _, err = partitionThere(ctx, tx, name)
	return attached, err
}

// partitionThere reports whether a partition is there, and whether row-level security keeps this login from copying into it.
func partitionThere(ctx context.Context, tx pgx.Tx, name string) (attached, forced bool, err error) {
	err = tx.QueryRow(ctx, `-- name: IsPartition :one
SELECT count(*) > 0, COALESCE(bool_or(c.relforcerowsecurity OR NOT pg_has_role(c.relowner, 'USAGE')), false)
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhrelid = to_regclass($1) AND i.inhparent = 'agent_executions'::regclass`, name).Scan(&attached, &forced)
	return attached, forced, err
}

// guardCopied takes the owner's rights to read and change what it copies into, where they are back: a dump that is restored without
// its privileges does not say that they were revoked.
func guardCopied(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `-- name: GuardCopied :exec
DO $$
DECLARE
	guarded record;
BEGIN
	FOR guarded IN
		SELECT c.oid::regclass AS name, c.relowner::regrole AS owner FROM pg_class c
		WHERE (c.oid = 'span_ancestors'::regclass OR c.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'agent_executions'::regclass))
			AND NOT c.relforcerowsecurity AND pg_has_role(c.relowner, 'USAGE')
			AND (c.relacl IS NULL OR EXISTS (SELECT FROM aclexplode(c.relacl) AS a WHERE a.grantee = c.relowner AND a.privilege_type IN ('SELECT', 'UPDATE', 'DELETE', 'TRUNCATE')))
		ORDER BY c.oid
	LOOP
		EXECUTE format('REVOKE SELECT, UPDATE, DELETE, TRUNCATE ON %s FROM %s', guarded.name, guarded.owner);
	END LOOP;
END
$$`)
	return err
}

// DropDays drops the partitions that hold nothing but what began before the given time, whole. It does not keep anybody
// from the table: they are detached concurrently, which waits for whoever still reads them. Replicas would wait for one
// another, so one at a time does it; for the others there is nothing to do meanwhile.
func (s *Executions) DropDays(ctx context.Context, before time.Time) error {
	return s.db.transact(ctx, "drop old partitions", func(tx pgx.Tx) error {
		old, err := oldPartitions(ctx, tx, before)
		if err != nil || len(old) == 0 {
			return err
		}
		// It is idle while each partition is detached, which waits for whoever reads it. And to finish what was broken off
		// waits for all older snapshots, of which a query that had its own portal keeps one; this has none and ends that.
		if _, err := tx.Exec(ctx, `SET LOCAL idle_in_transaction_session_timeout = '5min'`); err != nil {
			return err
		}
		for _, p := range old {
			if err := s.dropDay(ctx, p); err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
		}
		return nil
	})
}

// partition is one of agent_executions, or one that was.
type partition struct {
	name              string
	pending, attached bool // it is being detached, or that was broken off; it is not detached yet
}

// oldPartitions are those to drop. There are none while another replica drops them, which this one keeps all others from
// until its transaction ends.
func oldPartitions(ctx context.Context, tx pgx.Tx, before time.Time) ([]partition, error) {
	var mine bool
	if err := tx.QueryRow(ctx, `-- name: TryDroppingPartitions :one
SELECT pg_try_advisory_xact_lock(hashtextextended('watchbill dropping partitions', 0))`).Scan(&mine); err != nil || !mine {
		return nil, err
	}
	rows, err := tx.Query(ctx, `-- name: Partitions :many
SELECT c.relname, COALESCE(i.inhdetachpending, false), i.inhrelid IS NOT NULL
FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid AND i.inhparent = 'agent_executions'::regclass
WHERE c.relkind = 'r' AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'agent_executions'::regclass)
  AND c.relname ~ '^agent_executions_\d{8}$'
ORDER BY c.relname`)
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p partition, err error) {
		err = row.Scan(&p.name, &p.pending, &p.attached)
		return p, err
	})
	return slices.DeleteFunc(all, func(p partition) bool {
		day, err := time.Parse(partitionDate, strings.TrimPrefix(p.name, partitionPrefix))
		// What is being detached takes no rows and shows none, so it goes even if it were kept for longer by now.
		return err != nil || !p.pending && day.Add(execution.DayWide).After(before)
	}), err
}

// dropDay detaches a partition, which takes transactions of its own, and drops it unless it was made one again meanwhile.
func (s *Executions) dropDay(ctx context.Context, p partition) error {
	if p.attached {
		how := "CONCURRENTLY"
		if p.pending {
			how = "FINALIZE"
		}
		if _, err := s.db.pool.Exec(ctx, fmt.Sprintf("ALTER TABLE agent_executions DETACH PARTITION %s %s", p.name, how)); err != nil {
			return err
		}
	}
	s.days.forget()
	return pgx.BeginFunc(ctx, s.db.pool, func(tx pgx.Tx) error {
		if err := lockPartitions(ctx, tx); err != nil {
			return err
		}
		if attached, err := isAttached(ctx, tx, p.name); err != nil || attached {
			return err
		}
		_, err := tx.Exec(ctx, "DROP TABLE IF EXISTS "+p.name)
		return err
	})
}
