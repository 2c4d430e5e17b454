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

// agent_executions has one partition per UTC day, named like agent_executions_20060102.
const (
	partitionPrefix = "agent_executions_"
	partitionDate   = "20060102"
	daysAhead       = 2 // future days that have a partition
)

// days caches which days have a partition. Another replica may create one, or drop one that is too old for new
// executions; both are detected.
type days struct {
	mu    sync.Mutex
	known map[string]bool // by partition: whether rows can be copied into it
	life  uint64          // DB.lives when the first was learned
}

// follow forgets all days if they are of another database.
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

// EnsureDays creates the partitions of today and the next daysAhead days, so that no execution waits for one.
func (s *Executions) EnsureDays(ctx context.Context, now time.Time) error {
	s.days.follow(s.db.lives.Load())
	for ahead := range daysAhead + 1 {
		if err := s.ensureDay(ctx, now.UTC().AddDate(0, 0, ahead)); err != nil {
			return err
		}
	}
	return nil
}

// partitionOf returns the name of the partition for t.
func partitionOf(t time.Time) string { return partitionPrefix + t.UTC().Format(partitionDate) }

// ensureDay creates the partition for t. It is created as a table and then attached: CREATE TABLE … PARTITION OF would
// block all access to agent_executions.
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

// lockPartitions lets one replica at a time create or drop partitions. Statements of the transaction that wait for a
// lock longer than 5 s fail, so that others do not queue behind them.
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

// partitionThere reports whether a partition is attached, and whether row-level security prevents this login from
// copying into it.
func partitionThere(ctx context.Context, tx pgx.Tx, name string) (attached, forced bool, err error) {
	err = tx.QueryRow(ctx, `-- name: IsPartition :one
SELECT count(*) > 0, COALESCE(bool_or(c.relforcerowsecurity OR NOT pg_has_role(c.relowner, 'USAGE')), false)
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhrelid = to_regclass($1) AND i.inhparent = 'agent_executions'::regclass`, name).Scan(&attached, &forced)
	return attached, forced, err
}

// guardCopied revokes the owner's privileges to read and change the tables that it copies into, if the owner has them
// again: a dump restored without privileges does not contain the revocation.
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

// DropDays drops the partitions of days that ended by the given time. It does not block access to the table: partitions
// are detached concurrently, which waits for their current readers. One replica at a time drops partitions, since
// replicas would wait for one another; for others DropDays returns immediately.
func (s *Executions) DropDays(ctx context.Context, before time.Time) error {
	return s.db.transact(ctx, "drop old partitions", func(tx pgx.Tx) error {
		old, err := oldPartitions(ctx, tx, before)
		if err != nil || len(old) == 0 {
			return err
		}
		// This transaction is idle while each partition is detached, which waits for its readers. The statement also
		// ends the portal of the query before it, which would keep a snapshot: finishing an interrupted detach waits
		// for all older snapshots. SET keeps none.
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

// partition is a present or former partition of agent_executions.
type partition struct {
	name              string
	pending, attached bool // pending: being detached, or interrupted; attached: not detached yet
}

// oldPartitions returns the partitions to drop, none while another replica drops them. It prevents other replicas from
// dropping partitions until the transaction ends.
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
		// A partition that is being detached accepts and shows no rows, so it is dropped even
		// if the retention was extended.
		return err != nil || !p.pending && day.Add(execution.DayWide).After(before)
	}), err
}

// dropDay detaches a partition, which uses separate transactions, and drops it unless it was
// attached again in the meantime.
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
