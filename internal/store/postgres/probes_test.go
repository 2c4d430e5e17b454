package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// TestProbeErrors breaks the database in various ways.
func TestProbeErrors(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	r := newReplica(t, postgres.Config{URL: db.url, MaxConns: 4})
	s := postgres.NewExecutions(r.DB, keepExecutions, time.Now)
	commit(t, s, anExecution())
	probes := postgres.NewProbes(r.DB)
	all := map[string]func(context.Context) error{
		"fleet": probes.Fleet, "presence": probes.Presence, "rollups": probes.Rollups,
		"execution rollups": probes.ExecutionRollups, "executions": s.Probe,
	}
	rows := func() int {
		return ask[int](t, db, `SELECT (SELECT count(*) FROM agents) + (SELECT count(*) FROM execution_deltas) + (SELECT count(*) FROM reports)`)
	}
	before := rows()
	for name, probe := range all {
		if err := probe(t.Context()); err != nil {
			t.Errorf("%s: want no fault, got %v", name, err)
		}
	}
	if after := rows(); after != before {
		t.Errorf("want no rows of it, got %d instead of %d", after, before)
	}
	for name, tt := range map[string]struct {
		breaks, fixes string
		by            string // the probe that finds it
		code          string
	}{
		"no grant on executions": {`REVOKE INSERT ON agent_executions FROM watchbill_writer`, `GRANT INSERT ON agent_executions TO watchbill_writer`, "executions", "42501"},
		"no grant on deltas":     {`REVOKE INSERT ON user_deltas FROM watchbill_writer`, `GRANT INSERT ON user_deltas TO watchbill_writer`, "executions", "42501"},
		"no grant on rollups":    {`REVOKE INSERT ON user_rollups FROM watchbill_admin`, `GRANT INSERT ON user_rollups TO watchbill_admin`, "execution rollups", "42501"},
		"no deployments":         {`ALTER TABLE deployments RENAME TO gone`, `ALTER TABLE gone RENAME TO deployments`, "fleet", "42P01"},
		"no last-seen":           {`ALTER TABLE agent_presence RENAME TO gone`, `ALTER TABLE gone RENAME TO agent_presence`, "presence", "42P01"},
		"no measurements":        {`ALTER TABLE query_rollups RENAME TO gone`, `ALTER TABLE gone RENAME TO query_rollups`, "rollups", "42P01"},
	} {
		db.exec(t, tt.breaks)
		err := all[tt.by](t.Context())
		var got *fault.Error
		if !errors.As(err, &got) || !errors.Is(err, fault.ErrUnavailable) || !strings.Contains(got.Detail, tt.code) {
			t.Errorf("%s: want %s told, got %v", name, tt.code, err)
		}
		db.exec(t, tt.fixes)
		if err := all[tt.by](t.Context()); err != nil {
			t.Errorf("%s, fixed: got %v", name, err)
		}
	}
	for name, table := range map[string]string{"executions": "agent_executions", "fleet": "deployments", "presence": "agent_presence"} {
		err := pgx.BeginFunc(t.Context(), db.pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(t.Context(), "LOCK TABLE "+table); err != nil {
				return err
			}
			began := time.Now()
			err := all[name](t.Context())
			if !errors.Is(err, fault.ErrUnavailable) || time.Since(began) > 4*time.Second {
				t.Errorf("%s locked: got %v after %s", table, err, time.Since(began))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestProbesNeedWriteRights revokes, one by one, the permissions that each kind of write requires.
func TestProbesNeedWriteRights(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	r := newReplica(t, postgres.Config{URL: db.url, MaxConns: 4})
	s := postgres.NewExecutions(r.DB, keepExecutions, time.Now)
	commit(t, s, anExecution())
	login := ask[string](t, db, `SELECT quote_ident(current_user)`)
	probes := postgres.NewProbes(r.DB)
	const upsert = "INSERT, UPDATE"
	for _, tt := range []struct {
		name   string
		probe  func(context.Context) error
		role   string
		rights map[string]string // by table
	}{
		{"fleet", probes.Fleet, login, map[string]string{
			"agents": "SELECT, INSERT, UPDATE, DELETE", "deleted_agents": "SELECT, INSERT, UPDATE", "deployments": "SELECT, INSERT, UPDATE",
			"deployment_attempts": "INSERT", "deployment_logs": "INSERT", "idempotency_keys": upsert,
		}},
		{"presence", probes.Presence, login, map[string]string{"agent_presence": upsert}},
		{"rollups", probes.Rollups, login, map[string]string{
			"request_rollups": upsert, "query_rollups": upsert, "replica_rollups": upsert, "fleet_rollups": upsert, "reports": "INSERT, DELETE",
		}},
		{"rate limits", probes.RateLimits, login, map[string]string{"rate_limits": upsert}},
		{"execution rollups", probes.ExecutionRollups, "watchbill_admin", map[string]string{
			"execution_rollups": upsert, "user_rollups": upsert, "execution_deltas": "DELETE", "user_deltas": "DELETE",
		}},
		{"names", s.Probe, login, map[string]string{"rollup_names": "SELECT, INSERT"}},
		{"executions", s.Probe, "watchbill_writer", map[string]string{
			"agent_executions": "INSERT", "execution_deltas": "INSERT", "user_deltas": "INSERT", "span_ancestors": "SELECT, INSERT",
			"unsettled_executions": "SELECT, INSERT, UPDATE", "erasures": "SELECT",
		}},
	} {
		for table, rights := range tt.rights {
			for right := range strings.SplitSeq(rights, ", ") {
				db.exec(t, "REVOKE "+right+" ON "+table+" FROM "+tt.role)
				if err := tt.probe(t.Context()); err == nil || !strings.Contains(err.Error(), "42501") {
					t.Errorf("%s without %s on %s: want 42501, got %v", tt.name, right, table, err)
				}
				db.exec(t, "GRANT "+right+" ON "+table+" TO "+tt.role)
			}
		}
		if err := tt.probe(t.Context()); err != nil {
			t.Errorf("%s with all rights: got %v", tt.name, err)
		}
	}
}

// TestOldestTransaction checks that an ordinary role sees how long others' transactions are open.
func TestOldestTransaction(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	r := newReplica(t, postgres.Config{URL: db.url, MaxConns: 2})
	now := time.Now()
	oldest := postgres.NewOldestTransaction(r.DB, func() time.Time { return now })
	age := func() time.Duration {
		t.Helper()
		age, err := oldest.Age(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return age
	}
	db.exec(t, `CREATE TABLE written (n int)`)
	for name, begin := range map[string]string{
		"one that writes": `INSERT INTO written VALUES (1)`,
		"one that reads":  `SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT FROM written`,
	} {
		err := pgx.BeginFunc(t.Context(), db.pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(t.Context(), begin); err != nil {
				return err
			}
			db.exec(t, `INSERT INTO written VALUES (2)`) // a later transaction
			age()
			others := db.holding(t, `INSERT INTO written VALUES (3)`)
			now = now.Add(11 * time.Minute)
			if got := age(); got < 11*time.Minute {
				t.Errorf("%s: want at least 11 minutes, got %s", name, got)
			}
			others()
			now = now.Add(time.Minute)
			if got := age(); got < 12*time.Minute {
				t.Errorf("%s, after a later one is over: want at least 12 minutes, got %s", name, got)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, name+" is over", func() bool { return age() < time.Minute })
	}
}
