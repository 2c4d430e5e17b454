package postgres_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// newExecutionsOn returns a store that runs all statements on one connection, which the replica's Query uses too.
func newExecutionsOn(t testing.TB, config postgres.Config) (*postgres.Executions, *replica) {
	t.Helper()
	config.MaxConns = 1
	r := newReplica(t, config)
	return postgres.NewExecutions(r.DB, keepExecutions, time.Now), r
}

// on queries one value on the replica's own connection.
func on[T any](t testing.TB, r *replica, sql string) (answer T) {
	t.Helper()
	if err := r.Query(t.Context(), sql, &answer); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return answer
}

// aBatch returns a batch whose commit writes to all tables.
func aBatch() execution.Batch {
	tr := newTrace()
	b := batchOf(tr.call("3", "2"), tr.run("1", "", "tutor", "ada", "s"))
	b.Executions = append(b.Executions, anExecution(func(e *execution.Execution) { e.Input = json.RawMessage(`{"a":1}`) }))
	return b
}

// inTables returns the number of rows in each table that a commit writes to.
func inTables(t testing.TB, db database) (rows [5]int) {
	t.Helper()
	for i, table := range []string{"agent_executions", "execution_deltas", "user_deltas", "span_ancestors", "unsettled_executions"} {
		rows[i] = askAsAdmin[int](t, db, `SELECT count(*) FROM `+table)
	}
	return rows
}

var ofABatch = [5]int{3, 3, 3, 2, 1}

// TestFailedCommitStoresNothing makes each statement of a commit fail in turn, and the
// commit itself. It then checks that nothing of the batch is stored, by committing it again.
func TestFailedCommitStoresNothing(t *testing.T) {
	t.Parallel()
	spoilt := func(change func(*execution.Execution)) func(*testing.T, database, execution.Batch) (execution.Batch, func()) {
		return func(_ *testing.T, _ database, b execution.Batch) (execution.Batch, func()) {
			b.Executions = slices.Clone(b.Executions)
			change(&b.Executions[2])
			return b, func() {}
		}
	}
	failing := func(table, when string) func(*testing.T, database, execution.Batch) (execution.Batch, func()) {
		return func(t *testing.T, db database, b execution.Batch) (execution.Batch, func()) {
			db.exec(t, `CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'as ordered'; END $$`)
			db.exec(t, fmt.Sprintf(when, table))
			return b, func() { db.exec(t, `DROP FUNCTION fail() CASCADE`) }
		}
	}
	const atOnce, atTheEnd = `CREATE TRIGGER fail AFTER INSERT ON %s FOR EACH ROW EXECUTE FUNCTION fail()`,
		`CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON %s DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail()`
	for name, spoil := range map[string]func(*testing.T, database, execution.Batch) (execution.Batch, func()){
		"payload that is not UTF-8":      spoilt(func(e *execution.Execution) { e.Input = json.RawMessage("\"\xff\"") }),
		"payload with a NUL":             spoilt(func(e *execution.Execution) { e.Input = json.RawMessage("\"\x00\"") }),
		"NUL in a name":                  spoilt(func(e *execution.Execution) { e.SessionID = "a\x00" }),
		"text that is not UTF-8":         spoilt(func(e *execution.Execution) { e.ErrorMessage = "\xff" }),
		"a status that is none":          spoilt(func(e *execution.Execution) { e.Status = "lost" }),
		"tokens below 0":                 spoilt(func(e *execution.Execution) { e.Tokens.Input = -1 }),
		"no user":                        spoilt(func(e *execution.Execution) { e.UserID = "" }),
		"a key longer than an index has": spoilt(func(e *execution.Execution) { e.ID = longText(1 << 20) }),
		"as a row is inserted":           failing("agent_executions", atOnce),
		"as a span is":                   failing("span_ancestors", atOnce),
		"as what waits is":               failing("unsettled_executions", atOnce),
		"as the first deltas are":        failing("execution_deltas", atOnce),
		"as the last deltas are":         failing("user_deltas", atOnce),
		"as all is committed":            failing("user_deltas", atTheEnd),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, pooler := range []bool{false, true} {
				db := newDatabase(t)
				s, r := newExecutionsOn(t, postgres.Config{URL: db.url, Pooler: pooler})
				whole := aBatch()
				batch, fix := spoil(t, db, whole)
				if _, err := s.Commit(t.Context(), batch); err == nil || errors.Is(err, fault.ErrUnavailable) {
					t.Errorf("want a fault, and none of the database's being away; got %v", err)
				}
				fix()
				if got := inTables(t, db); got != [5]int{} || r.Pool().InUse != 0 {
					t.Errorf("want nothing stored, got %v; %d connections in use", got, r.Pool().InUse)
				}
				done, err := s.Commit(t.Context(), whole)
				if err != nil || !slices.Equal(done.New, []bool{true, true, true}) || len(done.Settled) != 3-ofABatch[4] {
					t.Errorf("once more: want all of it new, got %v, %v", done.New, err)
				}
				if got := inTables(t, db); got != ofABatch {
					t.Errorf("once more: want %v stored, got %v", ofABatch, got)
				}
				checkRollups(t, db)
			}
		})
	}
}

// longText returns a text that does not compress well.
func longText(n int) string {
	text := make([]byte, n)
	state := uint32(1)
	for i := range text {
		state = state*1664525 + 1013904223
		text[i] = 'a' + byte(state>>24)%26
	}
	return string(text)
}

// TestInterruptedCommit interrupts a commit while it waits for a lock.
func TestInterruptedCommit(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		cut         func(t *testing.T, db database, cancel context.CancelFunc)
		unavailable bool
	}{
		"by the server": {func(t *testing.T, db database, _ context.CancelFunc) {
			db.exec(t, `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
		}, true},
		"by the server, the statement alone": {func(t *testing.T, db database, _ context.CancelFunc) {
			db.exec(t, `SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
		}, true},
		"by the caller": {func(_ *testing.T, _ database, cancel context.CancelFunc) { cancel() }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := newDatabase(t)
			s, _ := newExecutionsOn(t, postgres.Config{URL: db.url})
			batch := aBatch()
			release := db.holding(t, `LOCK TABLE user_deltas`)
			defer release()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error, 1)
			go func() {
				_, err := s.Commit(ctx, batch)
				done <- err
			}()
			db.untilWaiting(t, 1)
			tt.cut(t, db, cancel)
			if err := <-done; errors.Is(err, fault.ErrUnavailable) != tt.unavailable || errors.Is(err, context.Canceled) == tt.unavailable {
				t.Errorf("want it unavailable: %v, got %v", tt.unavailable, err)
			}
			release()
			eventually(t, "the server has taken it all back", func() bool { return inTables(t, db) == [5]int{} })
			if done, err := s.Commit(t.Context(), batch); err != nil || !slices.Equal(done.New, []bool{true, true, true}) {
				t.Errorf("once more: want all of it new, got %v, %v", done.New, err)
			}
			checkRollups(t, db)
		})
	}
}

// TestLostStagingTable commits after the session lost its temporary
// tables, and into a staging table that another commit used.
func TestLostStagingTable(t *testing.T) {
	t.Parallel()
	for _, pooler := range []bool{false, true} {
		db := newDatabase(t)
		s, r := newExecutionsOn(t, postgres.Config{URL: db.url, Pooler: pooler})
		db.exec(t, `CREATE FUNCTION lose_all() RETURNS text LANGUAGE plpgsql AS $$ BEGIN DISCARD TEMP; RETURN ''; END $$`)
		for range 3 {
			commit(t, s, anExecution(), anExecution())
			on[string](t, r, `SELECT lose_all()`)
		}
		commit(t, s, anExecution())
		commit(t, s, anExecution())
		if got := inTables(t, db)[0]; got != 8 {
			t.Errorf("want 8 rows, got %d", got)
		}
	}
}

// TestConnectionsAreReturnedClean checks that no session state
// remains on a connection, which a pooler hands on to other clients.
func TestConnectionsAreReturnedClean(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	s, r := newExecutionsOn(t, postgres.Config{URL: db.url, Pooler: true})
	bad := aBatch()
	bad.Executions[0].Status = "lost"
	now := time.Now()
	for what, do := range map[string]func() error{
		"commit": func() error { _, err := s.Commit(t.Context(), aBatch()); return err },
		"a commit that fails": func() error {
			if _, err := s.Commit(t.Context(), bad); err == nil {
				t.Error("want it to fail")
			}
			return nil
		},
		"settle":   func() error { _, _, err := s.Settle(t.Context()); return err },
		"fold":     func() error { _, err := s.Fold(t.Context()); return err },
		"errors":   func() error { _, err := s.Errors(t.Context(), execution.Position{}, 5); return err },
		"activity": func() error { _, err := s.UserActivity(t.Context(), "ada", execution.Position{}, 5); return err },
		"erase":    func() error { _, err := s.EraseUser(t.Context(), "ada"); return err },
		"reprice":  func() error { _, err := s.Reprice(t.Context(), lastHour(), moreExpensive); return err },
		"facts":    func() error { _, err := s.Facts(t.Context(), lastHour()); return err },
		"costs": func() error {
			_, err := s.Costs(t.Context(), execution.CostQuery{Days: 3, TimeZone: "UTC", GroupBy: execution.ByUser, Limit: 5})
			return err
		},
		"clean up": func() error { return s.CleanUp(t.Context(), now) },
	} {
		if err := do(); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		left := on[string](t, r, `SELECT concat_ws(' ', (SELECT count(*) FROM pg_class WHERE relpersistence = 't'),
			(SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory'),
			current_user = session_user, current_setting('watchbill.user_id', true), current_setting('lock_timeout'))`)
		if left != "0 0 0 t 0" && left != "0 0 0 t  0" { // the setting is empty after its first use
			t.Errorf("%s: left tables, statements, locks, the role or settings: %s", what, left)
		}
	}
}

// TestDroppedPartition removes, in every possible way, a partition that a replica remembers.
func TestDroppedPartition(t *testing.T) {
	t.Parallel()
	old := time.Now().UTC().Add(-20 * day).Truncate(time.Microsecond)
	partition := "agent_executions_" + old.Format("20060102")
	for name, goes := range map[string]func(*testing.T, database, *postgres.Executions){
		"dropped by another": func(t *testing.T, _ database, other *postgres.Executions) {
			if err := other.DropDays(t.Context(), time.Now().Add(-10*day)); err != nil {
				t.Fatal(err)
			}
		},
		"detached": func(t *testing.T, db database, _ *postgres.Executions) {
			db.exec(t, `ALTER TABLE agent_executions DETACH PARTITION `+partition)
		},
		"dropped, and made by another": func(t *testing.T, db database, other *postgres.Executions) {
			db.exec(t, `DROP TABLE `+partition)
			commit(t, other, anExecution(func(e *execution.Execution) { e.CreatedAt = old }))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := newDatabase(t)
			s, other := newExecutions(t, db), newExecutions(t, db)
			before := func(e *execution.Execution) { e.CreatedAt = old }
			commit(t, s, anExecution(before), anExecution())
			goes(t, db, other)
			one, two := anExecution(before), anExecution()
			if got := commit(t, s, one, two).New; !slices.Equal(got, []bool{true, true}) {
				t.Errorf("want both stored, got %v", got)
			}
			if got := commit(t, s, one, two).New; !slices.Equal(got, []bool{false, false}) {
				t.Errorf("once more: want neither, got %v", got)
			}
		})
	}
}

// TestConcurrentRetention checks that the second of two concurrent clean-ups waits or finds nothing to do.
func TestConcurrentRetention(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	first := newExecutions(t, db)
	for range 3 {
		for ago := range 8 {
			commit(t, first, anExecution(func(e *execution.Execution) { e.CreatedAt = e.CreatedAt.Add(-time.Duration(10+ago) * day) }))
		}
		g, ctx := errgroup.WithContext(t.Context())
		for range 3 {
			s := newExecutions(t, db)
			g.Go(func() error { return s.DropDays(ctx, time.Now().Add(-5*day)) })
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		if n := ask[int](t, db, `SELECT count(*) FROM pg_class WHERE relname ~ '^agent_executions_\d{8}$' AND relkind = 'r'`); n != 0 {
			t.Errorf("want none left, got %d", n)
		}
	}
}
