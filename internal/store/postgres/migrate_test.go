package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// schema lists every table, column, index and constraint except those of the migration library.
const schema = `
	SELECT string_agg(line, E'\n' ORDER BY line) FROM (
		SELECT concat_ws(' ', table_name, column_name, data_type, is_nullable, column_default) AS line
		FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'goose_db_version'
		UNION ALL
		SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'goose_db_version'
		UNION ALL
		SELECT concat_ws(' ', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint
		WHERE connamespace = 'public'::regnamespace AND conrelid <> 'goose_db_version'::regclass
	) AS parts`

func TestMigrationsAreReversible(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	fresh := ask[*string](t, db, schema)
	if fresh == nil || !strings.Contains(*fresh, "idx_deployment_agent_status_created") {
		t.Fatalf("want a schema, got %v", fresh)
	}

	if err := postgres.MigrateDown(t.Context(), db.url); err != nil {
		t.Fatal(err)
	}
	if left := ask[*string](t, db, schema); left != nil {
		t.Errorf("left behind by going down:\n%s", *left)
	}
	if applied, all := migrations(t, db); applied != 0 || all == 0 {
		t.Errorf("after going down: want none applied, got %d of %d", applied, all)
	}

	if err := postgres.Migrate(t.Context(), db.url); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(*fresh, *ask[*string](t, db, schema)); diff != "" {
		t.Errorf("schema after down and up (-want +got):\n%s", diff)
	}
	if applied, all := migrations(t, db); applied != all {
		t.Errorf("after going up: want all %d applied, got %d", all, applied)
	}
}

// migrations returns the numbers of applied and of all migrations, and checks that they ascend.
func migrations(t *testing.T, db database) (applied, all int) {
	t.Helper()
	steps, err := postgres.MigrationStatus(t.Context(), db.url)
	if err != nil {
		t.Fatal(err)
	}
	var last int64
	for _, step := range steps {
		if step.Version <= last || !strings.HasSuffix(step.Name, ".sql") {
			t.Errorf("after version %d: got %+v", last, step)
		}
		last = step.Version
		if !step.AppliedAt.IsZero() {
			applied++
		}
	}
	return applied, len(steps)
}

func TestConcurrentMigrations(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	if err := postgres.MigrateDown(t.Context(), db.url); err != nil {
		t.Fatal(err)
	}
	g, ctx := errgroup.WithContext(t.Context())
	for range 4 {
		g.Go(func() error { return postgres.Migrate(ctx, db.url) })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	again := ask[int64](t, db, `SELECT count(*) - count(DISTINCT version_id) FROM goose_db_version WHERE is_applied`)
	if applied, all := migrations(t, db); applied != all || again != 0 {
		t.Errorf("want each of %d applied once, got %d and %d times more", all, applied, again)
	}
}

func TestSchemaVersion(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t)
	_, all := migrations(t, db)
	if got, err := r.Ping(t.Context()); err != nil || got != int64(all) {
		t.Errorf("want version %d, got %d, %v", all, got, err)
	}
	err := pgx.BeginFunc(t.Context(), db.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), "LOCK TABLE goose_db_version"); err != nil {
			return err
		}
		limited, cancel := context.WithTimeout(t.Context(), 2*time.Second) // as long as the health check waits
		defer cancel()
		if got, err := r.Ping(limited); err != nil || got != int64(all) {
			t.Errorf("locked: want the version read before, %d, got %d, %v", all, got, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestMigrateWithoutADatabase(t *testing.T) {
	t.Parallel()
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tt := range map[string]struct {
		ctx         context.Context
		url         string
		unavailable bool
	}{
		"nobody there":     {t.Context(), "postgres://u:secret@127.0.0.1:1/d", true},
		"no URL":           {t.Context(), "postgres://u:secret@h:port/d", false},
		"caller went away": {canceled, "postgres://u:secret@127.0.0.1:1/d", false},
	} {
		_, statusErr := postgres.MigrationStatus(tt.ctx, tt.url)
		for _, err := range []error{postgres.Migrate(tt.ctx, tt.url), postgres.MigrateDown(tt.ctx, tt.url), statusErr} {
			if err == nil || errors.Is(err, fault.ErrUnavailable) != tt.unavailable || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: want an error without the password, unavailable %v; got %v", name, tt.unavailable, err)
			}
			if err != nil && strings.Count(err.Error(), "migrate:") > 1 {
				t.Errorf("%s: want it said once what was being done, got %v", name, err)
			}
		}
	}
}

// restored gives rows transaction ids that this server has not reached, as restoring a dump does.
func restored(t *testing.T, db database) {
	t.Helper()
	const future = `(pg_current_xact_id()::text::bigint + 1000000)::text::xid8`
	db.exec(t, `ALTER TABLE agents DISABLE TRIGGER USER; ALTER TABLE deployments DISABLE TRIGGER USER;
		UPDATE agents SET changed_xid = `+future+` WHERE id = 'a';
		UPDATE deleted_agents SET changed_xid = `+future+`;
		UPDATE deployments SET changed_xid = `+future+`;
		ALTER TABLE agents ENABLE TRIGGER USER; ALTER TABLE deployments ENABLE TRIGGER USER`)
}

// inTheFuture counts the rows with such ids, which sweeps of the previous release read again and again.
func inTheFuture(t *testing.T, db database) (n int) {
	t.Helper()
	for _, table := range []string{"agents", "deleted_agents", "deployments"} {
		n += ask[int](t, db, `SELECT count(*)::int FROM `+table+` WHERE changed_xid >= pg_snapshot_xmax(pg_current_snapshot())`)
	}
	return n
}

func TestMigrateRenewsRestoredIDs(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t, "a", "b", "gone")
	r.createOne(t, "a")
	if err := r.agents.DeleteAgent(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	untouched := ask[string](t, db, `SELECT changed_xid::text FROM agents WHERE id = 'b'`)
	restored(t, db)
	if got := inTheFuture(t, db); got != 3 {
		t.Fatalf("want three rows of the future, got %d", got)
	}
	watermark := r.sweep(t, "", newSink())
	if err := postgres.Migrate(t.Context(), db.url); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{3, 0} {
		after := newSink()
		watermark = r.sweep(t, watermark, after)
		if after.changes != want {
			t.Errorf("sweep %d after it: want %d told, got %d", i+1, want, after.changes)
		}
	}
	if got := ask[string](t, db, `SELECT changed_xid::text FROM agents WHERE id = 'b'`); got != untouched || inTheFuture(t, db) != 0 {
		t.Errorf("a row of the present was touched: its transaction was %s, is %s; of the future are %d", untouched, got, inTheFuture(t, db))
	}
}

// TestAfterRestore checks that every replica reads everything
// again, and that triggers missing from a restore are created.
func TestAfterRestore(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t, "a", "b", "gone")
	r.createOne(t, "a")
	if err := r.agents.DeleteAgent(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	restored(t, db)
	watermark := r.sweep(t, "", newSink())
	want := postgres.Renewed{Agents: 2, DeletedAgents: 1, Deployments: 1}
	for _, broken := range []string{`SELECT`, `DROP TRIGGER agent_deleted ON agents`, `DROP FUNCTION mark_changed() CASCADE`, `ALTER TABLE agents DISABLE TRIGGER USER`} {
		db.exec(t, broken)
		got, err := postgres.AfterRestore(t.Context(), db.url)
		if err != nil || got != want {
			t.Fatalf("%s: want %+v renewed, got %+v, %v", broken, want, got, err)
		}
		follower := newSink()
		watermark = r.sweep(t, watermark, follower)
		if follower.wholes != 1 || len(follower.agents) != 2 || inTheFuture(t, db) != 0 {
			t.Errorf("%s: want everything read again, got %d sweeps of everything: %v", broken, follower.wholes, follower.agents)
		}
		idle := newSink()
		if watermark = r.sweep(t, watermark, idle); idle.changes != 0 || idle.wholes != 0 {
			t.Errorf("%s: want nothing after it, got %d told", broken, idle.changes)
		}
	}
}
