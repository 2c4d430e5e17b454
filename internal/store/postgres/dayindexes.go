package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// missingIndex is an index of agent_executions that a partition lacks.
type missingIndex struct {
	parent, partition string
	name              string // of the partition's index
	definition        string // of what follows CREATE INDEX … ON partition
	invalid           bool   // an earlier build was interrupted
	present           bool   // it is built and not attached yet
}

// IndexDays builds the indexes that partitions lack because these are older than the index. It builds one at a time and
// concurrently, so it blocks no writer. One replica at a time does so; for others IndexDays returns immediately.
func (s *Executions) IndexDays(ctx context.Context) error {
	return s.db.transact(ctx, "index old partitions", func(tx pgx.Tx) error {
		missing, err := missingIndexes(ctx, tx)
		if err != nil || len(missing) == 0 {
			return err
		}
		// The lock's transaction is idle while indexes are built. It has no snapshot by then, since a concurrent build
		// waits for all older ones: see DropDays.
		if _, err := tx.Exec(ctx, `SET LOCAL idle_in_transaction_session_timeout = 0`); err != nil {
			return err
		}
		for _, m := range missing {
			if err := s.indexDay(ctx, m); err != nil {
				return fmt.Errorf("%s of %s: %w", m.parent, m.partition, err)
			}
		}
		return nil
	})
}

// missingIndexes returns what to build, newest partitions first, and nothing while another replica builds.
func missingIndexes(ctx context.Context, tx pgx.Tx) ([]missingIndex, error) {
	var mine bool
	if err := tx.QueryRow(ctx, `-- name: TryIndexingPartitions :one
SELECT pg_try_advisory_xact_lock(hashtextextended('watchbill indexing partitions', 0))`).Scan(&mine); err != nil || !mine {
		return nil, err
	}
	rows, err := tx.Query(ctx, `-- name: MissingIndexes :many
SELECT parent.relname, p.relname, replace(p.relname, 'agent_executions', parent.relname),
	substring(pg_get_indexdef(parent.oid) FROM ' USING .*$'),
	COALESCE(NOT own.indisvalid, false), own.indexrelid IS NOT NULL
FROM pg_index x
JOIN pg_class parent ON parent.oid = x.indexrelid
JOIN pg_inherits i ON i.inhparent = x.indrelid AND NOT COALESCE(i.inhdetachpending, false)
JOIN pg_class p ON p.oid = i.inhrelid
LEFT JOIN pg_class c ON c.relname = replace(p.relname, 'agent_executions', parent.relname) AND c.relnamespace = p.relnamespace
LEFT JOIN pg_index own ON own.indexrelid = c.oid AND own.indrelid = p.oid
WHERE x.indrelid = 'agent_executions'::regclass AND NOT x.indisvalid
  AND NOT EXISTS (SELECT FROM pg_inherits a JOIN pg_index ai ON ai.indexrelid = a.inhrelid
                  WHERE a.inhparent = x.indexrelid AND ai.indrelid = p.oid)
ORDER BY p.relname DESC, parent.relname`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (m missingIndex, err error) {
		err = row.Scan(&m.parent, &m.partition, &m.name, &m.definition, &m.invalid, &m.present)
		return m, err
	})
}

// indexDay builds one index and attaches it.
func (s *Executions) indexDay(ctx context.Context, m missingIndex) error {
	if m.invalid {
		if _, err := s.db.pool.Exec(ctx, "-- name: DropInvalidIndex :exec\nDROP INDEX CONCURRENTLY "+m.name); err != nil {
			return err
		}
	}
	if m.invalid || !m.present {
		build := fmt.Sprintf("-- name: BuildIndex :exec\nCREATE INDEX CONCURRENTLY %s ON %s%s", m.name, m.partition, m.definition)
		if _, err := s.db.pool.Exec(ctx, build); err != nil {
			return err
		}
	}
	return s.db.transact(ctx, "attach an index", func(tx pgx.Tx) error {
		if err := lockPartitions(ctx, tx); err != nil {
			return err
		}
		if attached, err := isAttached(ctx, tx, m.partition); err != nil || !attached {
			return err // it was dropped meanwhile
		}
		_, err := tx.Exec(ctx, fmt.Sprintf("-- name: AttachIndex :exec\nALTER INDEX %s ATTACH PARTITION %s", m.parent, m.name))
		return err
	})
}
