package postgres_test

import (
	"cmp"
	"io/fs"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	steps "github.com/watchbill/watchbill/internal/store/postgres/migrations"
)

// TestMigrationsDoNotReadExecutions checks that migrations, which
// lock the executions, do not take longer the more of them there are.
func TestMigrationsDoNotReadExecutions(t *testing.T) {
	t.Parallel()
	const released = 8 // the newest migration of the previous release
	db := newDatabase(t)
	conn := stdlib.OpenDBFromPool(db.pool)
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	provider, err := goose.NewProvider(goose.DialectPostgres, conn, steps.FS)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.DownTo(t.Context(), released); err != nil {
		t.Fatal(err)
	}
	db.exec(t, `CREATE TABLE agent_executions_20260101 PARTITION OF agent_executions FOR VALUES FROM ('2026-01-01Z') TO ('2026-01-02Z');
		INSERT INTO agent_executions_20260101 (user_id, created_at, execution_id, session_id, request_id, agent_name, kind, request, variant,
			status, error_message, execution_time_ms, provider, model_used, tokens_used, input_tokens, output_tokens, cache_read_tokens,
			cache_write_tokens, reasoning_tokens, price_version, trace_id, span_id, parent_span_id, capped)
		SELECT 'u', '2026-01-01T10:00:00Z', i, '', i, 'a', 'agent', true, '', 'success', '', 1, '', '', 0, 0, 0, 0, 0, 0, '', '', '', '', 0
		FROM generate_series(1, 100) AS i`)
	for _, source := range provider.ListSources() {
		if source.Version <= released {
			continue
		}
		text, err := fs.ReadFile(steps.FS, source.Path)
		if err != nil {
			t.Fatal(err)
		}
		up, _, _ := strings.Cut(string(text), "-- +goose Down")
		tx, err := db.pool.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var before, after int64
		count := func(into *int64) error { // rows counted but not published yet, of earlier transactions too
			return tx.QueryRow(t.Context(), `SELECT sum(seq_tup_read)::bigint FROM pg_stat_xact_user_tables WHERE relname ~ '^agent_executions'`).Scan(into)
		}
		if err = count(&before); err == nil {
			_, err = tx.Exec(t.Context(), up)
		}
		if err = cmp.Or(err, count(&after)); err != nil {
			t.Fatalf("%s: %v", source.Path, err)
		}
		if err := tx.Commit(t.Context()); err != nil {
			t.Fatalf("%s: %v", source.Path, err)
		}
		if after > before {
			t.Errorf("%s reads %d rows of executions", source.Path, after-before)
		}
	}
}
