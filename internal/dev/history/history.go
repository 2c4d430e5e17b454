// Package history fills a development database with a believable past: executions of AI agents, a fleet with its
// deployments, the requests that these made, and reports. The same seed makes the same past.
package history

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/execution/prices"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// Options are the options of a history.
type Options struct {
	URL        string        // of the database, for direct connections
	Span       time.Duration // how far it reaches back
	Executions int64         // of AI agents
	Agents     int           // of the simulated fleet
	Seed       uint64

	Prices     *prices.List
	Keep       postgres.ExecutionRetention
	KeepFleet  postgres.Retention
	Now        func() time.Time
	Log        *zap.Logger
	OnProgress func(format string, args ...any) // may be nil
}

// The limits of histories.
const (
	MinSpan       = time.Hour
	MaxSpan       = 366 * 24 * time.Hour
	MaxExecutions = 20_000_000
)

// DefaultExecutions returns the number of executions of a history unless it is given.
func DefaultExecutions(span time.Duration) int64 { return max(100, int64(span.Hours()*80)) }

// Check returns an error for each option that is out of range, with its flag.
func (o Options) Check() error {
	var faults []error
	fault := func(wrong bool, format string, args ...any) {
		if wrong {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	fault(o.Span < MinSpan || o.Span > MaxSpan, "--history must be from 1h to 366d")
	fault(o.Span >= MinSpan && o.Span > o.Keep.Executions, "--history must not be longer than --keep-executions")
	fault(o.Executions < 1 || o.Executions > MaxExecutions, "--history-executions must be from 1 to %d", MaxExecutions)
	return errors.Join(faults...)
}

// Result is what a call of Write did.
type Result struct {
	From, To    time.Time
	Existed     bool // an earlier call had written it
	Executions  int64
	Deployments int
	Reports     int
	Took        time.Duration
}

// ErrOther is returned if the database has a history with other options.
var ErrOther = errors.New("the database has a history with other options")

// Write writes the history up to now, unless the database has it. It continues one that was interrupted. The database
// must have the current schema, and may be in use.
func Write(ctx context.Context, opts Options) (Result, error) {
	began := opts.Now()
	db, err := postgres.Open(ctx, postgres.Config{URL: opts.URL, MaxConns: 8})
	if err != nil {
		return Result{}, err
	}
	defer db.Close()
	conn, err := pgx.Connect(ctx, opts.URL)
	if err != nil {
		return Result{}, fmt.Errorf("connect to write a history: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // nothing is under way on it
	plan, err := begin(ctx, conn, opts)
	if err != nil {
		return Result{}, err
	}
	if plan.finished {
		return Result{From: plan.from, To: plan.to, Existed: true, Executions: plan.executions}, refreshPresence(ctx, conn)
	}
	w := &writer{opts: opts, plan: plan, db: db, store: postgres.NewExecutions(db, opts.Keep, opts.Now)}
	result := Result{From: plan.from, To: plan.to}
	if result.Executions, err = w.writeExecutions(ctx); err != nil {
		return result, fmt.Errorf("write executions: %w", err)
	}
	if err := w.fold(ctx); err != nil {
		return result, fmt.Errorf("fold rollups: %w", err)
	}
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if result.Deployments, err = w.writeFleet(ctx, tx); err != nil {
			return fmt.Errorf("write the fleet: %w", err)
		}
		if err := backdateNames(ctx, tx); err != nil {
			return fmt.Errorf("set when names were registered: %w", err)
		}
		if err := w.writeTraffic(ctx, tx); err != nil {
			return fmt.Errorf("write metrics of requests: %w", err)
		}
		return plan.save(ctx, tx, "fleet_at")
	})
	if err != nil {
		return result, err
	}
	if result.Reports, err = w.writeReports(ctx, conn); err != nil {
		return result, fmt.Errorf("write reports: %w", err)
	}
	if _, err := conn.Exec(ctx, "ANALYZE"); err != nil {
		return result, fmt.Errorf("gather statistics: %w", err)
	}
	err = plan.save(ctx, conn, "finished_at")
	result.Took = opts.Now().Sub(began)
	return result, err
}

// writer writes a history.
type writer struct {
	opts  Options
	plan  plan
	db    *postgres.DB
	store *postgres.Executions
}

func (w *writer) logf(format string, args ...any) {
	if w.opts.OnProgress != nil {
		w.opts.OnProgress(format, args...)
	}
}

// fold adds the executions to the rollups, as a replica does all the time.
func (w *writer) fold(ctx context.Context) error {
	for {
		more, err := w.store.Fold(ctx)
		if err != nil || !more {
			return err
		}
	}
}

// backdateNames sets when agents and models were first named to the first of their executions.
func backdateNames(ctx context.Context, tx pgx.Tx) error {
	for _, kind := range []string{"agent", "model"} {
		_, err := tx.Exec(ctx, `UPDATE rollup_names n SET registered_at = first.bucket
			FROM (SELECT r.`+kind+` AS name, min(r.bucket) AS bucket FROM execution_rollups r WHERE r.seconds = 3600 GROUP BY 1) AS first
			WHERE n.kind = '`+kind+`' AND n.name = first.name AND first.bucket < n.registered_at`)
		if err != nil {
			return err
		}
	}
	return nil
}
