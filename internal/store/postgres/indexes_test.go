package postgres_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/report"
)

// promised lists the indexes that reports rely on, each with its columns and the start of its query.
var promised = []struct{ table, name, columns, shape string }{
	{"deployments", "idx_deployment_agent_status_created", "agent_id, status, created_at", "WHERE agent_id = ? AND status = ?"},
	{"deployments", "idx_deployment_status", "status", "WHERE status = ?"},
	{"deployments", "idx_deployment_created_at", "created_at", "ORDER BY created_at"},
	{"agents", "agents_pkey", "id", ""},
	{"agents", "idx_agent_name", "name", ""},
}

func (r *replica) indexes(t tester) []report.IndexFacts {
	t.Helper()
	f, err := r.rollups.Facts(t.Context(), report.Window{From: noon, To: noon}, report.Parts{Indexes: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Indexes) != len(promised) {
		t.Fatalf("want %d indexes, got %v", len(promised), f.Indexes)
	}
	return f.Indexes
}

func TestIndexesAreUsedOnLargeTables(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t)
	db.exec(t, `INSERT INTO agents (id, name, token_hash, poll_interval_seconds)
		SELECT 'agent-' || n, 'name ' || n, sha256(n::text::bytea), 10 FROM generate_series(1, 500) n`)
	db.exec(t, `INSERT INTO deployments (id, agent_id, group_id, name, spec, max_attempts, lease_seconds, status, created_at, finished_at, claim, lease_expires_at)
		SELECT gen_random_uuid(), 'agent-' || n % 500 + 1, gen_random_uuid(), '', '{}', 3, 60,
			CASE WHEN n % 100 = 0 THEN 'running' WHEN n % 100 = 1 THEN 'pending' ELSE 'succeeded' END, now() - n * interval '1 s',
			CASE WHEN n % 100 > 1 THEN now() END, CASE WHEN n % 100 <> 1 THEN 'c' END, CASE WHEN n % 100 = 0 THEN now() END
		FROM generate_series(1, 20000) n`)
	db.exec(t, `ANALYZE`)
	for i, got := range r.indexes(t) {
		want := promised[i]
		if got.Table != want.table || got.Name != want.name || got.Columns != want.columns || !strings.HasPrefix(got.Shape, want.shape) || !got.Exists {
			t.Errorf("want %+v, got %+v", want, got)
		}
		if got.Shape != "" && (!got.PlanUsesIndex || !strings.Contains(got.Plan, "Scan using "+want.name)) {
			t.Errorf("%s: want it used for %q, got %q", want.name, got.Shape, got.Plan)
		}
	}
}

func TestMissingIndex(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t)
	db.exec(t, `DROP INDEX idx_deployment_status`)
	db.exec(t, `CREATE SCHEMA elsewhere CREATE TABLE t (status text) CREATE INDEX idx_deployment_status ON t (status)`)
	var missing []string
	for _, index := range r.indexes(t) {
		if !index.Exists {
			missing = append(missing, index.Name)
		}
		if !index.Exists && (index.PlanUsesIndex || index.Plan == "" || index.Columns != "") {
			t.Errorf("got %+v", index)
		}
	}
	if diff := cmp.Diff([]string{"idx_deployment_status"}, missing); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
}

func TestScansOfIndexesAreCounted(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t, "a")
	scans := func() int64 {
		for _, index := range r.indexes(t) {
			if index.Name == "agents_pkey" {
				return index.Scans
			}
		}
		return 0
	}
	before := scans()
	eventually(t, "the scan is counted", func() bool { // statistics are delayed
		ask[int](t, db, `SELECT count(*)::int FROM (SELECT set_config('enable_seqscan', 'off', true)) s, agents WHERE id = 'a'`)
		return scans() > before
	})
}
