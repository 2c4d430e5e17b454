package corpus

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/ledger"
	"github.com/watchbill/watchbill/internal/execution/otlp"
	"github.com/watchbill/watchbill/internal/execution/prices"
	"github.com/watchbill/watchbill/internal/store/postgres"
	"github.com/watchbill/watchbill/internal/testkit/postgrestest"
)

const day = 24 * time.Hour

// pipeline is everything that processes an export.
type pipeline struct {
	traces *otlp.Traces
	store  *postgres.Executions
	pool   *pgxpool.Pool
}

type nobody struct{}

func (nobody) Observe([]execution.Execution)           {}
func (nobody) ObserveCommit(int, time.Duration, error) {}
func (nobody) ObserveRows(_, _, _, _ int)              {}
func (nobody) ObserveErased(int)                       {}

func newPipeline(t *testing.T) *pipeline {
	t.Helper()
	url := postgrestest.NewDatabase(t)
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	db, err := postgres.Open(t.Context(), postgres.Config{URL: url, MaxConns: 4, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	store := postgres.NewExecutions(db, postgres.ExecutionRetention{
		Executions: 30 * day, Minutes: 2 * day, Quarters: 35 * day, Hours: 400 * day, Days: 2000 * day,
	}, time.Now)
	store.PriceBy(func(e *execution.Execution) { prices.Default().Price(e) })
	l := ledger.New(ledger.Options{
		Store: store, Prices: prices.Default, Keep: 30 * day, Observer: nobody{}, Log: zap.NewNop(), Now: time.Now,
		MaxRows: ledger.DefaultRows, MaxBytes: ledger.DefaultBytes,
	})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run the ledger: %v", err)
		}
	})
	return &pipeline{otlp.New(otlp.Options{Ledger: l}), store, pool}
}

// ensureDays creates the partitions for the scenarios' times.
func (p *pipeline) ensureDays(t *testing.T, now time.Time) {
	t.Helper()
	if err := p.store.EnsureDays(t.Context(), now.Add(-day)); err != nil {
		t.Fatal(err)
	}
}

// settle settles the stored executions until nothing changes, and then as if the maximum wait were over.
func (p *pipeline) settle(t *testing.T) {
	t.Helper()
	for _, since := range []string{"since", "since", "since - interval '1 day'"} {
		p.admin(t, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), `UPDATE unsettled_executions SET check_at = now(), since = `+since)
			return err
		})
		for more := true; more; {
			var err error
			if _, more, err = p.store.Settle(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	p.admin(t, func(tx pgx.Tx) error {
		var waiting int
		if err := tx.QueryRow(t.Context(), `SELECT count(*) FROM unsettled_executions`).Scan(&waiting); err != nil {
			return err
		}
		if waiting > 0 {
			t.Errorf("%d executions still wait", waiting)
		}
		return nil
	})
}

func (p *pipeline) admin(t *testing.T, work func(pgx.Tx) error) {
	t.Helper()
	if err := pgx.BeginFunc(t.Context(), p.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), `SET LOCAL ROLE watchbill_admin`); err != nil {
			return err
		}
		return work(tx)
	}); err != nil {
		t.Fatal(err)
	}
}

// row is a stored execution.
type row struct {
	Kind, Agent, User, Session, Status string
	Request                            bool
	Cost                               int64
	tokens                             [5]int64 // in the order of tokenKinds
}

// stored returns the rows by scenario index.
func (p *pipeline) stored(t *testing.T) map[int][]row {
	t.Helper()
	found := map[int][]row{}
	p.admin(t, func(tx pgx.Tx) error {
		rows, err := tx.Query(t.Context(), `SELECT ('x' || left(trace_id, 8))::bit(32)::int - 1, kind, agent_name, user_id, session_id, status, request,
			COALESCE(cost_nano_usd, 0), input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens
			FROM agent_executions ORDER BY created_at, execution_id`)
		if err != nil {
			return err
		}
		var index int
		var r row
		_, err = pgx.ForEachRow(rows, []any{
			&index, &r.Kind, &r.Agent, &r.User, &r.Session, &r.Status, &r.Request,
			&r.Cost, &r.tokens[0], &r.tokens[1], &r.tokens[2], &r.tokens[3], &r.tokens[4],
		}, func() error {
			found[index] = append(found[index], r)
			return nil
		})
		return err
	})
	return found
}

// checkRollups checks that the rollups equal the totals of the rows.
func (p *pipeline) checkRollups(t *testing.T) {
	t.Helper()
	const measures = `sum(tokens_used) AS tokens, sum(COALESCE(cost_nano_usd, 0)) AS cost`
	for what, sql := range map[string]string{
		"cells of the rollups": `
			WITH stored AS (
				SELECT date_bin('1 minute', created_at, 'epoch') AS bucket, agent_name AS agent, model_used AS model, status, request,
					count(*) AS n, sum(round(execution_time_ms * 1000)) AS us, ` + measures + ` FROM agent_executions GROUP BY 1, 2, 3, 4, 5
			), rollups AS (
				SELECT bucket, agent, model, status, request, sum(count) AS n, sum(time_us) AS us, ` + measures + `
				FROM (SELECT * FROM execution_rollups WHERE seconds = 60 UNION ALL SELECT 60, * FROM execution_deltas) AS both_of_them
				GROUP BY 1, 2, 3, 4, 5 HAVING sum(count) <> 0
			)
			SELECT count(*) FROM stored s FULL JOIN rollups r USING (bucket, agent, model, status, request)
			WHERE (s.n, s.us, s.tokens, s.cost) IS DISTINCT FROM (r.n, r.us, r.tokens, r.cost)`,
		"users' rollups": `
			WITH stored AS (
				SELECT date_bin('15 minutes', created_at, 'epoch') AS bucket, user_id, model_used AS model, sum(request::int) AS n, ` + measures + `
				FROM agent_executions GROUP BY 1, 2, 3
			), rollups AS (
				SELECT bucket, user_id, model, sum(requests) AS n, ` + measures + `
				FROM (SELECT * FROM user_rollups WHERE seconds = 900 UNION ALL SELECT 900, * FROM user_deltas) AS both_of_them
				GROUP BY 1, 2, 3
			)
			SELECT count(*) FROM stored s FULL JOIN rollups r USING (bucket, user_id, model)
			WHERE (COALESCE(s.n, 0), COALESCE(s.tokens, 0), COALESCE(s.cost, 0)) IS DISTINCT FROM (COALESCE(r.n, 0), COALESCE(r.tokens, 0), COALESCE(r.cost, 0))`,
	} {
		p.admin(t, func(tx pgx.Tx) error {
			var wrong int
			if err := tx.QueryRow(t.Context(), sql).Scan(&wrong); err != nil {
				return err
			}
			if wrong > 0 {
				t.Errorf("%d %s are not what the rows add up to", wrong, what)
			}
			return nil
		})
	}
}
