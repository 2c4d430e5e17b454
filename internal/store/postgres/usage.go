package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/observe/health"
)

// Usage of the tables and indexes of the schema, by PostgreSQL's statistics. Partitions count as their table, and indexes
// of partitions as the table's index.
const (
	maxTables  = 60
	maxIndexes = 120

	readTableUsage = `-- name: TableUsage :many
SELECT root.relname, count(*), sum(pg_total_relation_size(c.oid))::bigint, COALESCE(sum(s.n_live_tup), 0)::bigint, COALESCE(sum(s.n_dead_tup), 0)::bigint,
	COALESCE(sum(s.seq_scan), 0)::bigint, COALESCE(sum(s.idx_scan), 0)::bigint
FROM pg_class c
LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
JOIN pg_class root ON root.oid = COALESCE(i.inhparent, c.oid)
LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace
GROUP BY 1 ORDER BY 3 DESC, 1 LIMIT $1`

	readIndexUsage = `-- name: IndexUsage :many
SELECT root.relname, t.relname, COALESCE(sum(s.idx_scan), 0)::bigint, sum(pg_relation_size(x.indexrelid))::bigint
FROM pg_index x
JOIN pg_class c ON c.oid = x.indexrelid AND c.relkind = 'i' AND c.relnamespace = current_schema()::regnamespace
LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
JOIN pg_class root ON root.oid = COALESCE(i.inhparent, c.oid)
LEFT JOIN pg_inherits ti ON ti.inhrelid = x.indrelid
JOIN pg_class t ON t.oid = COALESCE(ti.inhparent, x.indrelid)
LEFT JOIN pg_stat_user_indexes s ON s.indexrelid = x.indexrelid
GROUP BY 1, 2 ORDER BY 4 DESC, 1 LIMIT $1`

	readDatabaseUsage = `-- name: DatabaseUsage :one
SELECT pg_database_size(datid), stats_reset FROM pg_stat_database WHERE datname = current_database()`
)

// Usage returns the sizes and the use of tables and indexes, the largest first.
func (db *DB) Usage(ctx context.Context) (health.Usage, error) {
	var u health.Usage
	var reset *time.Time
	if err := db.pool.QueryRow(ctx, readDatabaseUsage).Scan(&u.Bytes, &reset); err != nil {
		return u, wrap("read the database's size", err)
	}
	if reset != nil {
		u.Since = *reset
	}
	rows, err := db.pool.Query(ctx, readTableUsage, maxTables)
	if err != nil {
		return u, wrap("read the use of tables", err)
	}
	u.Tables, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (t health.TableUsage, err error) {
		err = row.Scan(&t.Name, &t.Partitions, &t.Bytes, &t.Rows, &t.DeadRows, &t.TableScans, &t.IndexScans)
		return t, err
	})
	if err != nil {
		return u, wrap("read the use of tables", err)
	}
	if rows, err = db.pool.Query(ctx, readIndexUsage, maxIndexes); err != nil {
		return u, wrap("read the use of indexes", err)
	}
	u.Indexes, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (x health.IndexUsage, err error) {
		err = row.Scan(&x.Name, &x.Table, &x.Scans, &x.Bytes)
		return x, err
	})
	return u, wrap("read the use of indexes", err)
}
