package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// failOnDemand makes each enrollment fail with the SQLSTATE in
// the agent's name, as many times as the agent's version says.
func failOnDemand(t *testing.T, db database) {
	t.Helper()
	db.exec(t, `CREATE SEQUENCE tries`)
	db.exec(t, `CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF nextval('tries') <= NEW.version::int THEN RAISE EXCEPTION 'as ordered' USING ERRCODE = NEW.name; END IF;
		RETURN NEW;
	END $$`)
	db.exec(t, `CREATE TRIGGER fail BEFORE INSERT ON agents FOR EACH ROW EXECUTE FUNCTION fail()`)
}

func TestFaultsBySQLSTATE(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t)
	failOnDemand(t, db)
	for code, unavailable := range map[string]bool{
		"08006": true, "53100": true, "53200": true, "53300": true, "57014": true, "57P02": true, "57P03": true, "58030": true,
		"25006": true, "25P03": true, "55P03": true,
		"22P02": false, "23505": false, "23503": false, "23514": false, "25P02": false, "40001": true, "40P01": true,
		"42501": true, "42P01": true, "55000": false, "P0001": false, "XX000": false,
	} {
		_, err := r.agents.Enroll(t.Context(), fleet.Agent{ID: code, Name: code, Version: "1000", PollInterval: time.Second}, fleet.HashToken(code), 0)
		var pgErr *pgconn.PgError
		if !errors.As(err, &pgErr) || pgErr.Code != code || errors.Is(err, fault.ErrUnavailable) != unavailable {
			t.Errorf("%s: want unavailable %v, got %v", code, unavailable, err)
		}
	}
}

func TestConstraintsHoldAndAreNotUnavailability(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t, "a", "b")
	taken := fleet.HashToken("token of a")
	id := r.createOne(t, "a")
	enroll := func(a fleet.Agent, token fleet.TokenHash) error {
		_, err := r.agents.Enroll(t.Context(), a, token, 0)
		return err
	}
	set := func(sql string) error {
		_, err := db.pool.Exec(t.Context(), `UPDATE deployments SET `+sql+` WHERE id = $1`, id)
		return err
	}
	for name, tt := range map[string]struct {
		err        error
		constraint string // empty for a domain error
	}{
		"id taken":               {enroll(agent("a"), fleet.HashToken("new")), ""},
		"no id":                  {enroll(agent(""), fleet.HashToken("new")), "agents_id_check"},
		"token taken":            {enroll(agent("c"), taken), "agents_token_hash_key"},
		"token taken, rotating":  {r.agents.RotateToken(t.Context(), "b", taken), "agents_token_hash_key"},
		"interval of nothing":    {enroll(agent("c", func(a *fleet.Agent) { a.PollInterval = 0 }), fleet.HashToken("new")), "agents_poll_interval_seconds_check"},
		"status that is unknown": {set(`status = 'lost', finished_at = now()`), "deployments_status_check"},
		"running without lease":  {set(`status = 'running', claim = 'c'`), "deployments_check1"},
		"pending with a claim":   {set(`claim = 'c'`), "deployments_check3"},
		"finished without time":  {set(`status = 'failed'`), "deployments_check2"},
		"attempts beyond limit":  {set(`attempt = 4`), "deployments_check"},
	} {
		var pgErr *pgconn.PgError
		if errors.As(tt.err, &pgErr) != (tt.constraint != "") || pgErr != nil && pgErr.ConstraintName != tt.constraint {
			t.Errorf("%s: want %q, got %v", name, tt.constraint, tt.err)
		}
		if tt.err == nil || errors.Is(tt.err, fault.ErrUnavailable) {
			t.Errorf("%s: want a fault other than unavailability, got %v", name, tt.err)
		}
	}
	if err := enroll(agent("a"), fleet.HashToken("new")); !errors.Is(err, fleet.ErrAgentExists) {
		t.Errorf("id taken: want %v, got %v", fleet.ErrAgentExists, err)
	}
}

// TestUnavailable checks every way in which a database can be unreachable.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	for name, try := range map[string]func(*testing.T, database, *replica) error{
		"connection refused": func(t *testing.T, _ database, _ *replica) error {
			return enrollAt(t, "postgres://u:secret@127.0.0.1:1/d?sslmode=disable")
		},
		"no such host": func(t *testing.T, _ database, _ *replica) error {
			return enrollAt(t, "postgres://u:secret@host.invalid/d")
		},
		"no such database": func(t *testing.T, db database, _ *replica) error {
			return enrollAt(t, strings.Replace(db.url, "/watchbill_test_", "/watchbill_gone_", 1))
		},
		"read-only server": func(t *testing.T, db database, _ *replica) error {
			return enrollAt(t, db.with(t, "default_transaction_read_only", "on"))
		},
		"backend terminated in a transaction": func(t *testing.T, db database, r *replica) error {
			_, err := r.deployments.Create(t.Context(), order("a"), nil, func(fleet.CreatedGroup) ([]byte, error) {
				db.exec(t, `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
					WHERE datname = current_database() AND state = 'idle in transaction'`)
				return nil, nil
			})
			return err
		},
		"idle in a transaction for too long": func(t *testing.T, db database, _ *replica) error {
			r := newReplica(t, postgres.Config{URL: db.with(t, "idle_in_transaction_session_timeout", "1")})
			_, err := r.deployments.Create(t.Context(), order("a"), nil, func(fleet.CreatedGroup) ([]byte, error) {
				eventually(t, "the transaction is ended", func() bool {
					return ask[int](t, db, `SELECT count(*)::int FROM pg_stat_activity
						WHERE datname = current_database() AND state LIKE 'idle in transaction%'`) == 0
				})
				return nil, nil
			})
			return err
		},
		"statement takes too long": func(t *testing.T, db database, _ *replica) error {
			defer locked(t, db)()
			return rotateAt(t, db.with(t, "statement_timeout", "20"))
		},
		"lock takes too long": func(t *testing.T, db database, _ *replica) error {
			defer locked(t, db)()
			return rotateAt(t, db.with(t, "lock_timeout", "20"))
		},
		"caller's deadline in a query": func(t *testing.T, db database, r *replica) error {
			defer locked(t, db)()
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			return r.agents.RotateToken(ctx, "a", fleet.HashToken("new"))
		},
		"caller's deadline in a transaction": func(t *testing.T, db database, r *replica) error {
			defer locked(t, db)()
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			return r.agents.DeleteAgent(ctx, "a")
		},
		"deadline that is over": func(t *testing.T, _ database, r *replica) error {
			ctx, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
			defer cancel()
			return r.agents.DeleteAgent(ctx, "a")
		},
		"no connection free before the deadline": func(t *testing.T, db database, _ *replica) error {
			r := newReplica(t, postgres.Config{URL: db.url, MaxConns: 1})
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			var err error
			_, _ = r.deployments.Create(t.Context(), order("a"), nil, func(fleet.CreatedGroup) ([]byte, error) {
				err = r.agents.RotateToken(ctx, "a", fleet.HashToken("new"))
				return nil, nil
			})
			return err
		},
		"closed pool": func(t *testing.T, _ database, r *replica) error {
			r.Close()
			return r.agents.DeleteAgent(t.Context(), "a")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, r := newFleet(t, "a")
			err := try(t, db, r)
			if !errors.Is(err, fault.ErrUnavailable) {
				t.Errorf("want it unavailable, got %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error holds the password: %v", err)
			}
		})
	}
}

// TestCallerCancelled checks that a request canceled by its caller is not reported as a database failure.
func TestCallerCancelled(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t, "a")
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	fresh := newReplica(t, postgres.Config{URL: db.url}) // it has no connection yet
	for name, try := range map[string]func() error{
		"before a query":       func() error { return r.agents.RotateToken(canceled, "a", fleet.HashToken("new")) },
		"before a transaction": func() error { return r.agents.DeleteAgent(canceled, "a") },
		"before connecting":    func() error { return fresh.agents.DeleteAgent(canceled, "a") },
		"in a query": func() error {
			return canceledWhileWaiting(t, db, func(ctx context.Context) error {
				return r.agents.RotateToken(ctx, "a", fleet.HashToken("new"))
			})
		},
		"in a transaction's query": func() error {
			return canceledWhileWaiting(t, db, func(ctx context.Context) error { return r.agents.DeleteAgent(ctx, "a") })
		},
		"between a transaction's queries": func() error {
			ctx, cancel := context.WithCancel(t.Context())
			_, err := r.deployments.Create(ctx, order("a"), nil, func(fleet.CreatedGroup) ([]byte, error) {
				cancel()
				return nil, nil
			})
			return err
		},
	} {
		if err := try(); !errors.Is(err, context.Canceled) || errors.Is(err, fault.ErrUnavailable) {
			t.Errorf("%s: want a cancellation and not unavailability, got %v", name, err)
		}
	}
	if _, err := r.agents.Agent(t.Context(), "a"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// canceledWhileWaiting calls do on the agent "a", whose row is locked, and cancels it while it waits.
func canceledWhileWaiting(t *testing.T, db database, do func(context.Context) error) error {
	t.Helper()
	defer locked(t, db)()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- do(ctx) }()
	db.untilWaiting(t, 1)
	cancel()
	return <-done
}

func enrollAt(t *testing.T, url string) error {
	t.Helper()
	_, err := newReplica(t, postgres.Config{URL: url}).agents.Enroll(t.Context(), agent("new"), fleet.HashToken("new"), 0)
	return err
}

func rotateAt(t *testing.T, url string) error {
	t.Helper()
	return newReplica(t, postgres.Config{URL: url}).agents.RotateToken(t.Context(), "a", fleet.HashToken("new"))
}

// locked locks the row of the agent "a" until release is called.
func locked(t *testing.T, db database) (release func()) {
	t.Helper()
	tx, err := db.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `SELECT FROM agents WHERE id = 'a' FOR UPDATE`); err != nil {
		t.Fatal(err)
	}
	return func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }
}

// untilWaiting returns once n of the database's connections wait for a lock.
func (db database) untilWaiting(t tester, n int) {
	t.Helper()
	eventually(t, "connections wait for locks", func() bool {
		return ask[int](t, db, `SELECT count(*)::int FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`) >= n
	})
}
