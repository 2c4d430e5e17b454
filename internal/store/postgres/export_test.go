package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pressly/goose/v3"

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
