package postgres_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/fleet"
)

// An agent and a deployment as in a dump: with transaction ids of another server.
const (
	copiedAgent = `INSERT INTO agents (id, name, token_hash, poll_interval_seconds, changed_xid)
		VALUES ('copied', '', sha256('copied'), 10, '3')`
	copiedDeployment = `INSERT INTO deployments (id, agent_id, group_id, name, spec, max_attempts, lease_seconds, changed_xid)
		VALUES (gen_random_uuid(), 'a', gen_random_uuid(), '', '{}', 3, 60, '3')`
)

// TestSweepReportsManualWrites runs statements that Watchbill does not use, each followed by a sweep.
func TestSweepReportsManualWrites(t *testing.T) {
	t.Parallel()
	for _, role := range []string{"origin", "replica"} { // logical replication writes as replica
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			db, r := newFleet(t, "a", "b", "c")
			conn, err := db.pool.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Release()
			exec := func(sql string) {
				t.Helper()
				if _, err := conn.Exec(t.Context(), sql); err != nil {
					t.Fatalf("%s: %v", sql, err)
				}
			}
			if role != "origin" {
				if _, err := conn.Exec(t.Context(), "SET session_replication_role = "+role); err != nil {
					t.Skip(err) // the tests' role lacks the permission
				}
			}
			exec("SET search_path = ''") // as pg_restore sets it
			r.createOne(t, "a")
			r.createOne(t, "b")
			follower := newSink()
			watermark := r.sweep(t, "", follower)
			for _, step := range []struct {
				sql     string
				changes int
			}{
				{strings.Replace(copiedAgent, "agents", "public.agents", 1), 1},
				{`UPDATE public.agents SET token_hash = sha256('repaired') WHERE id = 'copied'`, 1},
				{`UPDATE public.agents SET poll_interval_seconds = 20 WHERE id = 'copied'`, 1},
				{`UPDATE public.agents SET name = 'another'`, 0},
				{`UPDATE public.agents SET id = 'renamed' WHERE id = 'copied'`, 2},
				{`DELETE FROM public.agents WHERE id = 'renamed'`, 1},
				{strings.Replace(copiedDeployment, "deployments", "public.deployments", 1), 1},
				{`UPDATE public.deployments SET attempt = 2 WHERE agent_id = 'a'`, 1},
				{`UPDATE public.deployments SET agent_id = 'c' WHERE agent_id = 'b'`, 2},
				{`UPDATE public.deployments SET available_at = now() + interval '1 day' WHERE agent_id = 'c'`, 1},
				{`UPDATE public.deployments SET status = 'cancelled', finished_at = now() WHERE agent_id = 'c'`, 1},
				{`UPDATE public.deployments SET message = 'by hand' WHERE agent_id = 'c'`, 0},
				{`DELETE FROM public.deployments WHERE agent_id = 'c'`, 1},
				{`DELETE FROM public.deployments WHERE agent_id = 'a'`, 1},
				{strings.Replace(copiedDeployment, "deployments", "public.deployments", 1), 1},
				{`TRUNCATE public.deployments CASCADE`, 1},
				{strings.Replace(copiedDeployment, "deployments", "public.deployments", 1), 1},
				{`TRUNCATE public.agents CASCADE`, 3},
			} {
				exec(step.sql)
				follower.changes = 0
				watermark = r.sweep(t, watermark, follower)
				if follower.changes != step.changes {
					t.Errorf("%s: want %d told, got %d", step.sql, step.changes, follower.changes)
				}
				if diff := differs(r.swept(t), follower); diff != "" {
					t.Errorf("%s (-sweep of everything +followed):\n%s", step.sql, diff)
				}
			}
			if follower.wholes != 1 {
				t.Errorf("want changes told one by one after the first sweep, got %d sweeps of everything", follower.wholes)
			}
		})
	}
}

// TestSweepAfterUnmarkedChanges checks that changes of rows that no trigger marks
// lead to a sweep of everything, and that the sweep after it finds nothing.
func TestSweepAfterUnmarkedChanges(t *testing.T) {
	t.Parallel()
	const copied = copiedAgent + ";" + copiedDeployment
	for name, sql := range map[string]string{
		// All of it happens between two sweeps, so the next sweep finds the triggers as they were.
		"restored without triggers": `ALTER TABLE agents DISABLE TRIGGER USER; ALTER TABLE deployments DISABLE TRIGGER USER;` + copied + `;
			ALTER TABLE agents ENABLE TRIGGER USER; ALTER TABLE deployments ENABLE TRIGGER USER`,
		"always again": `ALTER TABLE agents DISABLE TRIGGER agent_inserted;` + copied + `; ALTER TABLE agents ENABLE ALWAYS TRIGGER agent_inserted`,
		"triggers created again": `DROP TRIGGER agent_deleted ON agents; DELETE FROM agents WHERE id = 'b';` + copied + `;
			CREATE TRIGGER agent_deleted AFTER DELETE ON agents FOR EACH ROW EXECUTE FUNCTION record_deleted()`,
		"a table created again": `CREATE TABLE another (LIKE deleted_agents INCLUDING ALL); DROP TABLE deleted_agents;
			ALTER TABLE another RENAME TO deleted_agents;` + copied,
		"truncated with the record of what was deleted": `TRUNCATE agents, deleted_agents CASCADE`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, r := newFleet(t, "a", "b")
			follower := newSink()
			watermark := r.sweep(t, "", follower)
			db.exec(t, sql)
			watermark = r.sweep(t, watermark, follower)
			if diff := differs(r.swept(t), follower); diff != "" || follower.wholes != 2 {
				t.Errorf("want a second sweep of everything, got %d (-sweep of everything +followed):\n%s", follower.wholes, diff)
			}
			idle := newSink()
			if r.sweep(t, watermark, idle); idle.changes != 0 || idle.wholes != 0 {
				t.Errorf("want nothing after it, got %d told", idle.changes)
			}
		})
	}
}

// TestSweepOfHalfRestoredTables sweeps while tables and some of
// their rows are restored, but not yet what pg_restore creates last.
func TestSweepOfHalfRestoredTables(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		history string
		refused bool
	}{
		"of this schema":                     {``, true},
		"whose history is to come":           {`TRUNCATE goose_db_version`, true},
		"whose history's table is to come":   {`ALTER TABLE goose_db_version RENAME TO away`, true},
		"of a schema that had no such thing": {`DELETE FROM goose_db_version WHERE version_id > 5`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, r := newFleet(t, "a", "b")
			watermark := r.sweep(t, "", newSink())
			db.exec(t, `DROP TRIGGER agents_truncated ON agents`)
			db.exec(t, `DELETE FROM agents WHERE id = 'b'`)
			if tt.history != "" {
				db.exec(t, tt.history)
			}
			got := newSink()
			_, err := r.mailbox.Sweep(t.Context(), watermark, []string{"a"}, got)
			if errors.Is(err, fault.ErrUnavailable) != tt.refused || tt.refused && (got.wholes != 0 || got.changes != 0) {
				t.Errorf("sweep: want it refused %v, without a word; got %d told, %v", tt.refused, got.changes, err)
			}
			_, err = r.mailbox.LookUpTokens(t.Context(), []fleet.TokenHash{fleet.HashToken("token of b")})
			if errors.Is(err, fault.ErrUnavailable) != tt.refused {
				t.Errorf("look-up: want it refused %v, got %v", tt.refused, err)
			}
		})
	}
}

func TestLookUpTokens(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t, "a", "b", "c")
	db.exec(t, `DELETE FROM agents WHERE id = 'b'`)
	hash := func(id string) fleet.TokenHash { return fleet.HashToken("token of " + id) }
	for name, tt := range map[string]struct{ asked, want []fleet.TokenHash }{
		"none":    {nil, nil},
		"unknown": {[]fleet.TokenHash{hash("x"), hash("b")}, nil},
		"some":    {[]fleet.TokenHash{hash("c"), hash("x"), hash("a")}, []fleet.TokenHash{hash("a"), hash("c")}},
	} {
		got, err := r.mailbox.LookUpTokens(t.Context(), tt.asked)
		order := func(x, y fleet.TokenHash) int { return slices.Compare(x[:], y[:]) }
		slices.SortFunc(got, order)
		slices.SortFunc(tt.want, order)
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: want %d of %d, got %d, %v", name, len(tt.want), len(tt.asked), len(got), err)
		}
	}
}

// TestSweepSkipsIDsOfAnotherServer checks that rows from a dump,
// whose transaction ids this server has not reached, are reported once.
func TestSweepSkipsIDsOfAnotherServer(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t, "a")
	watermark := r.sweep(t, "", newSink())
	db.exec(t, `ALTER TABLE agents DISABLE TRIGGER agent_inserted; `+strings.Replace(copiedAgent, `'3'`, `'900000000'`, 1)+`;
		ALTER TABLE agents ENABLE ALWAYS TRIGGER agent_inserted`)
	follower := newSink()
	watermark = r.sweep(t, watermark, follower)
	if len(follower.agents) != 2 {
		t.Errorf("want both agents told, got %v", follower.agents)
	}
	idle := newSink()
	watermark = r.sweep(t, watermark, idle)
	if idle.changes != 0 {
		t.Errorf("want it told once, got %d told again", idle.changes)
	}
	if _, err := db.pool.Exec(t.Context(), `DELETE FROM agents WHERE id = 'copied'`); err != nil {
		t.Fatal(err)
	}
	if r.sweep(t, watermark, idle); idle.changes != 1 {
		t.Errorf("want its deletion told, got %d", idle.changes)
	}
}

// TestManualWritesWithoutRights checks that a role that deletes an agent by hand needs no permission to write to other tables.
func TestManualWritesWithoutRights(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t, "a", "b")
	r.createOne(t, "a")
	watermark := r.sweep(t, "", newSink())
	err := pgx.BeginFunc(t.Context(), db.pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(), `GRANT SELECT, DELETE, TRUNCATE ON agents TO watchbill_user; SET LOCAL ROLE watchbill_user; DELETE FROM agents WHERE id = 'a'`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	follower := newSink()
	follower.Agent("a", fleet.TokenHash{}, 0, "")
	if r.sweep(t, watermark, follower); len(follower.agents) != 0 {
		t.Errorf("want the agent gone, got %v", follower.agents)
	}
}
