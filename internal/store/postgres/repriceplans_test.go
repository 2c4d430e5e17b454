package postgres_test

import (
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// TestRepricingReadsByIndex checks that repricing many pages reads
// each execution a few times, and not all of them for each page.
func TestRepricingReadsByIndex(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	r := newReplica(t, postgres.Config{URL: db.url, MaxConns: 1})
	s := postgres.NewExecutions(r.DB, keepExecutions, time.Now)
	noon := time.Now().UTC().Truncate(execution.DayWide).Add(-12 * time.Hour)
	one := anExecution(func(e *execution.Execution) { e.CreatedAt = noon })
	if _, err := s.Commit(t.Context(), execution.Batch{Executions: []execution.Execution{one}}); err != nil {
		t.Fatal(err)
	}
	const rows = 100_000
	db.execAsAdmin(t, `INSERT INTO agent_executions (user_id, created_at, execution_id, session_id, request_id, agent_name, kind, request, variant, status, error_message,
			execution_time_ms, provider, model_used, tokens_used, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens,
			cost_nano_usd, price_version, trace_id, span_id, parent_span_id, capped)
		SELECT user_id, created_at + n * interval '1 ms', n::text, session_id, request_id, agent_name, kind, request, variant,
			(ARRAY['success', 'success', 'success', 'failure', 'timeout'])[n % 5 + 1], error_message,
			execution_time_ms, provider, model_used, tokens_used, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens,
			cost_nano_usd, price_version, trace_id, span_id, parent_span_id, capped
		FROM agent_executions, generate_series(2, $1) n`, rows)
	db.exec(t, `VACUUM (ANALYZE) agent_executions`)
	db.exec(t, `SELECT pg_stat_force_next_flush()`)
	const read = `SELECT sum(seq_tup_read + COALESCE(idx_tup_fetch, 0))::bigint FROM pg_stat_user_tables WHERE relname LIKE 'agent\_executions%'`
	before := ask[int64](t, db, read)
	got, err := s.Reprice(t.Context(), execution.Window{From: noon.Add(-time.Minute), To: noon.Add(time.Hour)}, byTokens)
	if err != nil || got.Seen != rows {
		t.Fatalf("want %d executions seen, got %+v, %v", rows, got, err)
	}
	r.Close() // the connection reports what it read
	eventually(t, "the statistics are there", func() bool {
		return ask[int](t, db, `SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'watchbill'`) == 0
	})
	if n := ask[int64](t, db, read) - before; n > 12*rows {
		t.Errorf("%d rows were read to price %d", n, rows)
	} else {
		t.Logf("%d rows were read to price %d", n, rows)
	}
}
