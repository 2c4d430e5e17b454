package postgres

import (
	"context"
	"crypto/md5" //nolint:gosec // see MD5
	"database/sql"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pressly/goose/v3"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/store/postgres/dbgen"
)

// This file exports internals of the package for its tests.

const (
	MaxTries     = maxTries
	DeleteRows   = deleteRows
	SweepChanges = sweepChanges
)

// InTx exports inTx.
func (db *DB) InTx(ctx context.Context, doing string, do func(q *dbgen.Queries) error) error {
	return db.inTx(ctx, doing, do)
}

// ConnConfig exports connConfig.
func ConnConfig(url string) (*pgx.ConnConfig, error) { return connConfig(url) }

// Acquire acquires a connection of the pool.
func (db *DB) Acquire(ctx context.Context) (*pgxpool.Conn, error) { return db.pool.Acquire(ctx) }

// Query reads one value through the pool.
func (db *DB) Query(ctx context.Context, sql string, value any) error {
	return db.pool.QueryRow(ctx, sql).Scan(value)
}

// NewTracer returns the tracer that Open gives to the pool, with a clock.
func NewTracer(observer QueryObserver, now func() time.Time) pgx.QueryTracer {
	return &tracer{observer: observer, now: now}
}

// Hurry shortens the time after which a stalled connection is detected.
func (h *Hints) Hurry(quiet, patience time.Duration) { h.quiet, h.patience = quiet, patience }

// MigrateDown takes every migration back. It destroys all data.
func MigrateDown(ctx context.Context, url string) error {
	return withGoose(url, func(p *goose.Provider, _ *sql.DB) error {
		if _, err := p.DownTo(ctx, 0); err != nil {
			return fmt.Errorf("down: %w", err)
		}
		return nil
	})
}

// ExplainSearch returns the plan of the query of a search's newest window.
func (s *Executions) ExplainSearch(ctx context.Context, search execution.Search, limit, candidates int) (plan string, err error) {
	err = s.inSearch(ctx, "explain a search", func(tx pgx.Tx) error {
		search.From = s.searchWindows(search, execution.Position{})[0]
		sql, args := s.searchQuery(search, execution.Position{}, limit, candidates)
		rows, err := tx.Query(ctx, "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) "+sql, args...)
		if err != nil {
			return err
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		plan = strings.Join(lines, "\n")
		return err
	})
	return plan, err
}

// ExplainEvents returns the plan of a list's query that does not depend on its arguments, which PostgreSQL chooses for a
// statement that a connection has run often.
func (s *Events) ExplainEvents(ctx context.Context, q fleet.EventQuery) (plan string, err error) {
	sql, args := eventsQuery(q)
	literals := make([]string, len(args))
	for i, arg := range args {
		if at, ok := arg.(time.Time); ok {
			arg = at.Format(time.RFC3339Nano)
		}
		literals[i] = "'" + fmt.Sprint(arg) + "'"
	}
	err = s.db.transact(ctx, "explain events", func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL plan_cache_mode = force_generic_plan; PREPARE events AS "+sql); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, "EXPLAIN (ANALYZE, TIMING OFF) EXECUTE events ("+strings.Join(literals, ", ")+")", pgx.QueryExecModeSimpleProtocol)
		if err != nil {
			return err
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		plan = strings.Join(lines, "\n")
		return err
	})
	return plan, err
}

// MD5 returns a text's MD5 as PostgreSQL's function does.
func MD5(text string) string {
	sum := md5.Sum([]byte(text)) //nolint:gosec // it makes ids of tests
	return hex.EncodeToString(sum[:])
}

// ExplainUsersSeen returns the plan of the query of when users were seen.
func (s *Executions) ExplainUsersSeen(ctx context.Context, users []string) (plan string, err error) {
	err = s.db.inTxAs(ctx, admin, "explain when users were seen", func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, "EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) "+readUsersSeen, users, userWidths())
		if err != nil {
			return err
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		plan = strings.Join(lines, "\n")
		return err
	})
	return plan, err
}
