package history

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/watchbill/watchbill/internal/text"
)

// plan is what a history consists of. It is stored in the database, so that a later call writes the same and not
// another beside it.
type plan struct {
	from, to   time.Time
	executions int64
	seed       uint64
	fleet      bool // the fleet's part is written
	finished   bool
}

const planTable = `CREATE TABLE IF NOT EXISTS dev_history (
	one         boolean PRIMARY KEY CHECK (one), -- there is one history
	window_from timestamptz NOT NULL,
	window_to   timestamptz NOT NULL,
	executions  bigint NOT NULL,
	seed        text NOT NULL,
	fleet_at    timestamptz,
	finished_at timestamptz
)`

// begin stores the plan, or returns the stored one. It returns ErrOther if that has other options.
func begin(ctx context.Context, conn *pgx.Conn, opts Options) (plan, error) {
	const doing = "plan a history"
	if _, err := conn.Exec(ctx, planTable); err != nil {
		return plan{}, fmt.Errorf("%s: %w", doing, err)
	}
	to := opts.Now().UTC().Truncate(time.Minute).Add(-time.Minute)
	seed := fmt.Sprint(opts.Seed)
	_, err := conn.Exec(ctx, `INSERT INTO dev_history (one, window_from, window_to, executions, seed) VALUES (true, $1, $2, $3, $4) ON CONFLICT DO NOTHING`,
		to.Add(-opts.Span), to, opts.Executions, seed)
	if err != nil {
		return plan{}, fmt.Errorf("%s: %w", doing, err)
	}
	p := plan{seed: opts.Seed}
	var stored string
	err = conn.QueryRow(ctx, `SELECT window_from, window_to, executions, seed, fleet_at IS NOT NULL, finished_at IS NOT NULL FROM dev_history`).
		Scan(&p.from, &p.to, &p.executions, &stored, &p.fleet, &p.finished)
	if errors.Is(err, pgx.ErrNoRows) {
		return plan{}, fmt.Errorf("%s: it was deleted meanwhile", doing)
	}
	if err != nil {
		return plan{}, fmt.Errorf("%s: %w", doing, err)
	}
	p.from, p.to = p.from.UTC(), p.to.UTC()
	if span := p.to.Sub(p.from); span != opts.Span || p.executions != opts.Executions || stored != seed {
		return plan{}, fmt.Errorf("%w: --history %s --history-executions %d --history-seed %s; repeat these, or use an empty database or another --data-dir",
			ErrOther, text.Duration(span), p.executions, stored)
	}
	return p, nil
}

// save records the time of a step.
func (p plan) save(ctx context.Context, to interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}, column string,
) error {
	if _, err := to.Exec(ctx, "UPDATE dev_history SET "+column+" = clock_timestamp()"); err != nil {
		return fmt.Errorf("record the state of a history: %w", err)
	}
	return nil
}
