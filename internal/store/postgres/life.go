package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/observe"
)

// markingMigration creates the triggers that mark changed rows.
const markingMigration = 6

// lifeCTE computes an identifier of the database's life. A watermark, and everything else known of the database, is
// valid only within the life in which it was read. The identifier changes with
//
//   - the server's start and the last reset of its statistics, which recovery from a crash causes. Another server, or
//     this one after a crash, may have lost transactions and reuse their ids;
//   - the ids of the database and the tables, which differ after they were dropped and restored;
//   - the file of deleted_agents, which TRUNCATE replaces: a statement that truncates all tables also removes what the
//     triggers have just recorded there;
//   - the triggers that mark changes. pg_restore creates them after the rows, in a transaction that waits for current
//     writers and blocks new ones; from then on each change is marked. Disabling and enabling a trigger changes its row
//     in pg_trigger, and so xmin.
//
// While triggers are disabled or missing, a life lasts 15 seconds.
const lifeCTE = `life AS MATERIALIZED (
    SELECT concat_ws('/', EXTRACT(EPOCH FROM pg_postmaster_start_time()), COALESCE(EXTRACT(EPOCH FROM pg_stat_get_bgwriter_stat_reset_time())::text, ''),
               (SELECT oid FROM pg_database WHERE datname = current_database()),
               to_regclass('agents')::oid, to_regclass('deployments')::oid, to_regclass('deleted_agents')::oid, pg_relation_filenode(to_regclass('deleted_agents')), md5(marks.rows),
               CASE WHEN marks.present < 10 THEN '` + lifeUnmarked + `' WHEN marks.enabled < 10 THEN 'disabled' ELSE 'marked' END,
               CASE WHEN marks.enabled < 10 THEN floor(EXTRACT(EPOCH FROM now()) / 15) END) AS name
    FROM (
        SELECT count(*) AS present, count(*) FILTER (WHERE tgenabled IN ('A', 'O')) AS enabled,
               COALESCE(string_agg(concat_ws(':', oid, xmin, tgenabled), ',' ORDER BY oid), '') AS rows
        FROM pg_trigger
        WHERE tgrelid IN (to_regclass('agents'), to_regclass('deployments')) AND tgname IN (
            'agent_inserted', 'agent_updated', 'agent_deleted', 'agent_renamed', 'agents_truncated',
            'deployment_inserted', 'deployment_updated', 'deployment_deleted', 'deployment_moved', 'deployments_truncated')
    ) AS marks
)`

const lifeUnmarked = "unmarked"

// changedSince is the condition that row c changed since snapshot $2.
const changedSince = `c.changed_xid >= pg_snapshot_xmin($2::text::pg_snapshot) AND c.changed_xid < pg_snapshot_xmax(pg_current_snapshot())
        AND NOT pg_visible_in_snapshot(c.changed_xid, $2::text::pg_snapshot)`

// errRestoring is returned when the tables exist without the triggers that mark changes, which pg_restore creates last.
var errRestoring = fmt.Errorf("%w: the database is being restored: it has no triggers yet; if no restore is under way, run watchbill migrate --after-restore",
	fault.ErrUnavailable)

// checkRestored returns errRestoring while a restore is in progress.
func (db *DB) checkRestored(ctx context.Context) error {
	var life string
	if err := db.pool.QueryRow(ctx, "-- name: DatabaseLife :one\nWITH "+lifeCTE+" SELECT name FROM life").Scan(&life); err != nil {
		return err
	}
	return db.checkLife(ctx, life)
}

// checkLife returns errRestoring if a life has no triggers although the schema should have them. Until the rows of the
// schema's history are restored the version is 0.
func (db *DB) checkLife(ctx context.Context, life string) error {
	if !strings.Contains(life, "/"+lifeUnmarked+"/") {
		return nil
	}
	version, err := db.version(ctx)
	if err != nil {
		return err
	}
	if version >= markingMigration || version <= 0 {
		return errRestoring
	}
	return nil
}

// LookUpTokens implements mailbox.Source.
func (s *Mailbox) LookUpTokens(ctx context.Context, hashes []fleet.TokenHash) (known []fleet.TokenHash, err error) {
	const doing = "look up tokens"
	ctx = observe.WithAudience(ctx, observe.Unauthenticated) // so that objectives do not count these queries
	wanted := make([][]byte, len(hashes))
	for i := range hashes {
		wanted[i] = hashes[i][:]
	}
	rows, err := s.db.pool.Query(ctx, `-- name: LookUpTokens :many
WITH `+lifeCTE+`
SELECT life.name, NULL::bytea FROM life UNION ALL SELECT '', token_hash FROM agents WHERE token_hash = ANY ($1::bytea[])`, wanted)
	if err != nil {
		return nil, wrap(doing, err)
	}
	var life, name string
	var hash []byte
	_, err = pgx.ForEachRow(rows, []any{&name, &hash}, func() error {
		switch {
		case name != "":
			life = name
		case len(hash) != len(fleet.TokenHash{}):
			return errors.New("a hash has another length")
		default:
			known = append(known, fleet.TokenHash(hash))
		}
		return nil
	})
	if err == nil {
		err = s.db.checkLife(ctx, life)
	}
	return known, wrap(doing, err)
}
