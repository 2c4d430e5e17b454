package postgres_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// TestSettlingReadsByIndex checks that storing spans, settling,
// repricing and erasing never scan a whole table, however large it is.
func TestSettlingReadsByIndex(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	db.execAsAdmin(t, `INSERT INTO span_ancestors (trace_id, span_id, parent_span_id, agent, user_id, session_id, execution, started_at, ended_at, facts, scope, process, response, similar_to, owner)
		SELECT md5((n / 5)::text), n::text, '', '', '', '', true, now() - n * interval '1 ms', now(), 11, n % 3 + 1, n % 50 + 1, 2 * n + 1, (n % 100) * 2 + 1, 'u' || n % 20 FROM generate_series(1, 60000) n`)
	db.execAsAdmin(t, `INSERT INTO unsettled_executions (user_id, created_at, execution_id, trace_id, span_id, check_at)
		SELECT 'u' || n % 20, now(), n::text, md5((n / 5)::text), n::text, now() + interval '1 hour' FROM generate_series(1, 30000) n`)
	db.execAsAdmin(t, `INSERT INTO joined_executions (execution_id, into_id, reason, user_id, created_at, trace_id, heard, figures)
		SELECT n::text, (n / 2)::text, 'parent', 'u' || n % 20, now() - interval '3 hours' - n * interval '1 s', md5((n / 5)::text), true, '{}' FROM generate_series(1, 30000) n`)
	db.exec(t, `INSERT INTO call_scopes (process, scope) SELECT n, n % 5 FROM generate_series(1, 20000) n`)
	for _, table := range []string{"span_ancestors", "unsettled_executions", "joined_executions", "call_scopes"} {
		db.exec(t, `VACUUM (ANALYZE) `+table)
	}
	const read = `SELECT relname, seq_tup_read FROM pg_stat_user_tables
		WHERE relname IN ('span_ancestors', 'unsettled_executions', 'joined_executions', 'call_scopes')`
	counts := func() map[string]int64 {
		all := map[string]int64{}
		for _, row := range naive(t, db, pgx.RowToStructByPos[struct {
			Table string
			Rows  int64
		}], read) {
			all[row.Table] = row.Rows
		}
		return all
	}
	db.exec(t, `SELECT pg_stat_force_next_flush()`)
	before := counts()
	r := newReplica(t, postgres.Config{URL: db.url, MaxConns: 1})
	s := postgres.NewExecutions(r.DB, keepExecutions, time.Now)
	s.PriceBy(byTokens)
	w := newPopulation(rand.New(rand.NewPCG(rand.Uint64(), 0)), 25)
	for _, batch := range w.exports() { // more often than PostgreSQL makes custom plans
		if _, err := s.Commit(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	if _, err := s.Reprice(t.Context(), execution.Window{From: now.Add(-time.Hour), To: now}, byTokens); err != nil {
		t.Fatal(err)
	}
	r.Close() // the connections report what they read
	eventually(t, "the statistics are there", func() bool {
		return ask[int](t, db, `SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'watchbill'`) == 0
	})
	for table, rows := range counts() {
		if n := rows - before[table]; n > 0 {
			t.Errorf("%s: %d rows were read by scans of all of it", table, n)
		}
	}
}
