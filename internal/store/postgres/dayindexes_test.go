package postgres_test

import (
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/watchbill/watchbill/internal/execution"
)

// TestOldPartitionsAreIndexed checks that partitions that are older than an index get it, also after an interrupted
// build and with several replicas at it, and that the index is valid afterwards.
func TestOldPartitionsAreIndexed(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	s := newExecutions(t, db)
	now := func(e *execution.Execution) { e.CreatedAt = time.Now().UTC().Truncate(time.Microsecond) }
	commit(t, s, anExecution(now), anExecution(now))
	for i := range 3 {
		if err := s.EnsureDays(t.Context(), time.Now().AddDate(0, 0, -i)); err != nil {
			t.Fatal(err)
		}
	}
	// As migration 00017 leaves it, with an index whose build was interrupted and one that was not attached.
	today := "agent_executions_" + time.Now().UTC().Format("20060102")
	db.exec(t, `DROP INDEX idx_execution_id`)
	db.exec(t, `CREATE INDEX idx_execution_id ON ONLY agent_executions (execution_id text_pattern_ops)`)
	db.exec(t, `CREATE INDEX idx_execution_agent_created_at ON ONLY agent_executions (agent_name, created_at)`)
	suffix := today[len("agent_executions"):]
	db.exec(t, `CREATE INDEX idx_execution_agent_created_at`+suffix+` ON `+today+` (agent_name, created_at)`)
	if _, err := db.pool.Exec(t.Context(), `CREATE UNIQUE INDEX CONCURRENTLY idx_execution_id`+suffix+` ON `+today+` (kind)`); err == nil {
		t.Fatal("want the build to fail, and to leave an invalid index")
	}

	const invalid = `SELECT count(*) FROM pg_index WHERE NOT indisvalid AND indrelid IN
		(SELECT 'agent_executions'::regclass UNION ALL SELECT inhrelid FROM pg_inherits WHERE inhparent = 'agent_executions'::regclass)`
	if n := ask[int](t, db, invalid); n != 3 {
		t.Fatalf("want three invalid indexes, got %d", n)
	}
	other := newExecutions(t, db)
	var replicas errgroup.Group
	replicas.Go(func() error { return s.IndexDays(t.Context()) })
	replicas.Go(func() error { return other.IndexDays(t.Context()) })
	if err := replicas.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := s.IndexDays(t.Context()); err != nil { // the first may have found the other at it
		t.Fatal(err)
	}
	if n := ask[int](t, db, invalid); n != 0 {
		t.Errorf("want no invalid index, got %d", n)
	}
	const lacking = `SELECT count(*) FROM pg_inherits p WHERE inhparent = 'agent_executions'::regclass AND (
		SELECT count(*) FROM pg_inherits i JOIN pg_index x ON x.indexrelid = i.inhrelid
		WHERE x.indrelid = p.inhrelid AND i.inhparent IN ('idx_execution_id'::regclass, 'idx_execution_agent_created_at'::regclass)) <> 2`
	if n := ask[int](t, db, lacking); n != 0 {
		t.Errorf("%d partitions lack an index", n)
	}
	if err := s.EnsureDays(t.Context(), time.Now().AddDate(0, 0, 5)); err != nil {
		t.Fatal(err)
	}
	if n := ask[int](t, db, lacking) + ask[int](t, db, invalid); n != 0 {
		t.Errorf("%d new partitions lack an index or have an invalid one", n)
	}
}
