package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/prices"
	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/observe"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// dearer is a more expensive price table, without a price for the model "unknown".
func moreExpensive(e *execution.Execution) {
	e.PriceVersion, e.Cost = "dearer", nil
	if e.Model != "unknown" {
		e.Cost = new(e.Tokens.Used * 1000)
	}
}

// deadlocks counts deadlocks as they happen, since PostgreSQL's own count is delayed.
type deadlocks struct{ atomic.Int64 }

func (d *deadlocks) ObserveOtherQuery(_ observe.Audience, name string, took time.Duration, err error, sqlstate string) {
	d.ObserveQuery(name, took, err, sqlstate)
}

func (d *deadlocks) ObserveQuery(_ string, _ time.Duration, _ error, sqlstate string) {
	if sqlstate == "40P01" {
		d.Add(1)
	}
}

// newWatched is newExecutions with a replica that counts deadlocks and detects them early.
func newWatched(t testing.TB, db database) (*postgres.Executions, *deadlocks) {
	t.Helper()
	d := &deadlocks{}
	r := newReplica(t, postgres.Config{URL: db.with(t, "deadlock_timeout", "10"), MaxConns: 6, Observer: d, Now: time.Now})
	return postgres.NewExecutions(r.DB, keepExecutions, time.Now), d
}

func lastHour() execution.Window {
	now := time.Now().UTC()
	return execution.Window{From: now.Add(-time.Hour), To: now}
}

// rowsAsText returns everything stored of each execution except its price, and separately its price.
func rowsAsText(t testing.TB, db database) (rows, list map[string]string) {
	t.Helper()
	const all = `SELECT COALESCE(json_object_agg(execution_id, %s), '{}') FROM agent_executions e`
	const price = `concat_ws(' ', COALESCE(cost_nano_usd::text, 'none'), price_version)`
	rows = askAsAdmin[map[string]string](t, db, fmt.Sprintf(all, `(to_jsonb(e) - 'cost_nano_usd' - 'price_version')::text`))
	return rows, askAsAdmin[map[string]string](t, db, fmt.Sprintf(all, price))
}

func TestRepriceChangesOnlyCosts(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	s := newExecutions(t, db)
	w := lastHour()
	at := func(when time.Time, change ...func(*execution.Execution)) execution.Execution {
		return anExecution(append(change, func(e *execution.Execution) { e.CreatedAt = when.Truncate(time.Microsecond) })...)
	}
	free := func(e *execution.Execution) { e.Cost = nil }
	ofUnknown := func(e *execution.Execution) { e.Model = "unknown" }
	same := func(e *execution.Execution) { e.Cost, e.PriceVersion = new(int64(150_000)), "dearer" }
	sameCost := func(e *execution.Execution) { e.Cost = new(int64(150_000)) }
	noTokens := func(e *execution.Execution) { e.Tokens, e.Cost = execution.Tokens{}, nil }
	middle := w.From.Add(30 * time.Minute)
	want := map[string]string{}
	var all []execution.Execution
	for _, tt := range []struct {
		execution execution.Execution
		price     string
	}{
		{at(middle), "150000 dearer"},
		{at(middle, free), "150000 dearer"},
		{at(middle, ofUnknown), "none dearer"},
		{at(middle, ofUnknown, free), "none dearer"},
		{at(middle, same), "150000 dearer"},
		{at(middle, sameCost), "150000 dearer"},
		{at(middle, noTokens), "0 dearer"},
		{at(w.From), "150000 dearer"},
		{at(w.From.Add(-time.Microsecond)), "750000 test"},
		{at(w.To.Add(-time.Microsecond)), "150000 dearer"},
		{at(w.To), "750000 test"},
	} {
		all = append(all, tt.execution)
		want[tt.execution.ID] = tt.price
	}
	commit(t, s, all...)
	rows, _ := rowsAsText(t, db)
	foldAll(t, s)
	window := execution.Window{From: w.From, To: w.To}
	window.From, window.To = all[7].CreatedAt, all[10].CreatedAt // to the microsecond
	got, err := s.Reprice(t.Context(), window, moreExpensive)
	if err != nil || got != (postgres.Repriced{Seen: 9, Changed: 6}) {
		t.Errorf("want 6 of 9 changed, got %+v, %v", got, err)
	}
	after, list := rowsAsText(t, db)
	if diff := cmp.Diff(rows, after); diff != "" {
		t.Errorf("beside the prices (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(want, list); diff != "" {
		t.Errorf("prices (-want +got):\n%s", diff)
	}
	checkRollups(t, db)
	foldAll(t, s)
	checkRollups(t, db)
	again, err := s.Reprice(t.Context(), window, moreExpensive)
	if err != nil || again != (postgres.Repriced{Seen: 9}) {
		t.Errorf("once more: want 9 seen and none changed, got %+v, %v", again, err)
	}
	if n := ask[int](t, db, `SELECT (SELECT count(*) FROM execution_deltas) + (SELECT count(*) FROM user_deltas)`); n != 0 {
		t.Errorf("once more: want nothing added to the rollups, got %d deltas", n)
	}
}

// TestRepriceByBilling checks that everything that a price
// depends on is stored, so that another table can use it later.
func TestRepriceByBilling(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	s := newExecutions(t, db)
	list, err := prices.Parse([]byte(`
version: later
currency: USD
factors: [{region: [eu], factor: 1.5}]
models: [{match: [m], provider: acme, input: 1, output: 2, cache_write_1h: 4, audio_input: 8, service_tiers: {batch: 0.5}}]`))
	if err != nil {
		t.Fatal(err)
	}
	w := lastHour()
	of := func(billing execution.Billing) execution.Execution {
		return anExecution(func(e *execution.Execution) {
			e.CreatedAt, e.Provider, e.Model, e.Billing = w.From.Add(time.Minute), "acme", "m", billing
			e.Tokens = execution.Tokens{Input: 100, CacheWrite: 50, Used: 100}
		})
	}
	all := []execution.Execution{
		of(execution.Billing{}),
		of(execution.Billing{CacheWrite1h: 40}),
		of(execution.Billing{AudioInput: 10}),
		of(execution.Billing{ServiceTier: "batch", Region: "eu"}),
	}
	commit(t, s, all...)
	if _, err := s.Reprice(t.Context(), w, list.Price); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		all[0].ID: "100000 later", all[1].ID: "220000 later", all[2].ID: "170000 later", all[3].ID: "75000 later",
	}
	_, got := rowsAsText(t, db)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("prices (-want +got):\n%s", diff)
	}
	checkRollups(t, db)
}

// TestRepriceWithoutRows reprices windows without executions.
func TestRepriceWithoutRows(t *testing.T) {
	t.Parallel()
	s := newExecutions(t, newDatabase(t))
	for _, w := range []execution.Window{{}, lastHour(), {From: time.Now(), To: time.Now().Add(-time.Hour)}} {
		if got, err := s.Reprice(t.Context(), w, moreExpensive); err != nil || got != (postgres.Repriced{}) {
			t.Errorf("%v: want nothing, got %+v, %v", w, got, err)
		}
	}
}

// many returns executions of several users, some with the same start. One transaction does not reprice all of them.
func many(n int) []execution.Execution {
	all := make([]execution.Execution, n)
	for i := range all {
		all[i] = anExecution(func(e *execution.Execution) {
			e.UserID = fmt.Sprint("user ", i%7)
			e.CreatedAt = e.CreatedAt.Add(-time.Duration(i%10) * time.Minute).Truncate(time.Minute)
		})
	}
	return all
}

// TestRepriceInterrupted checks that an interrupted repricing keeps what
// it committed, also in the rollups, and that the next one does the rest.
func TestRepriceInterrupted(t *testing.T) {
	t.Parallel()
	const rows = 4500
	for name, interrupt := range map[string]func(database, context.CancelFunc){
		"canceled": func(_ database, cancel context.CancelFunc) { cancel() },
		"the server ends the connection": func(db database, _ context.CancelFunc) {
			_, _ = db.pool.Exec(context.Background(), `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
				WHERE datname = current_database() AND state = 'idle in transaction'`) // on error the test fails later
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := newDatabase(t)
			s := newExecutions(t, db)
			commit(t, s, many(rows)...)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			seen := 0
			got, err := s.Reprice(ctx, lastHour(), func(e *execution.Execution) {
				if seen++; seen == 3000 {
					interrupt(db, cancel)
				}
				moreExpensive(e)
			})
			if !errors.Is(err, context.Canceled) && !errors.Is(err, fault.ErrUnavailable) || got != (postgres.Repriced{Seen: 2000, Changed: 2000}) {
				t.Errorf("want the first 2000 done and an error, got %+v, %v", got, err)
			}
			if n := askAsAdmin[int](t, db, `SELECT count(*) FROM agent_executions WHERE price_version = 'dearer'`); n != 2000 {
				t.Errorf("want 2000 rows priced, got %d", n)
			}
			checkRollups(t, db)
			rest, err := s.Reprice(t.Context(), lastHour(), moreExpensive)
			if err != nil || rest != (postgres.Repriced{Seen: rows, Changed: rows - 2000}) {
				t.Errorf("again: want the rest changed, got %+v, %v", rest, err)
			}
			checkRollups(t, db)
		})
	}
}

// TestRepriceTwice checks that a transaction that is retried after a deadlock omits nothing.
func TestRepriceTwice(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	s := newExecutions(t, db)
	const rows = 2500
	commit(t, s, many(rows)...)
	db.exec(t, `CREATE SEQUENCE tries`)
	db.exec(t, `GRANT USAGE ON tries TO watchbill_admin`)
	// The first time it fails at commit, after all statements.
	db.exec(t, `CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		IF nextval('tries') = 1 THEN RAISE EXCEPTION 'as ordered' USING ERRCODE = 'deadlock_detected'; END IF;
		RETURN NULL;
	END $$`)
	db.exec(t, `CREATE CONSTRAINT TRIGGER fail AFTER INSERT ON user_deltas DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail()`)
	got, err := s.Reprice(t.Context(), lastHour(), moreExpensive)
	if err != nil || got != (postgres.Repriced{Seen: rows, Changed: rows}) {
		t.Errorf("want all %d priced, got %+v, %v", rows, got, err)
	}
	if n := askAsAdmin[int](t, db, `SELECT count(*) FROM agent_executions WHERE price_version <> 'dearer'`); n != 0 {
		t.Errorf("%d were left out", n)
	}
	checkRollups(t, db)
}

// TestRepriceDuringMovesAndDeletes reprices executions while they find their ancestors or their users are erased.
func TestRepriceDuringMovesAndDeletes(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	const traces = 1500
	s, deadlocked := newWatched(t, db)
	var calls, runs execution.Batch
	for i := range traces {
		tr := newTrace()
		batch := batchOf(tr.call("2", "1"))
		batch.Executions[0].CreatedAt = batch.Executions[0].CreatedAt.Add(-time.Duration(i%40) * time.Minute)
		if i%2 == 0 { // of a user, but of no agent
			batch.Executions[0].UserID = fmt.Sprint("user ", i%7)
		}
		calls.Executions, calls.Spans = append(calls.Executions, batch.Executions...), append(calls.Spans, batch.Spans...)
		batch = batchOf(tr.run("1", "", fmt.Sprint("agent ", i%3), fmt.Sprint("user ", i%7), "s"))
		runs.Executions, runs.Spans = append(runs.Executions, batch.Executions...), append(runs.Spans, batch.Spans...)
	}
	for _, batch := range []execution.Batch{calls, {Executions: many(2000)}, runs} {
		if _, err := s.Commit(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	all := askAsAdmin[int64](t, db, `SELECT count(*) FROM agent_executions`)
	others := askAsAdmin[int64](t, db, `SELECT count(*) FROM agent_executions WHERE user_id NOT IN ('user 1', 'user 4', 'unknown')`)
	var erased execution.Erased
	g, ctx := errgroup.WithContext(t.Context())
	g.Go(func() error {
		for more := true; more; {
			var err error
			if _, more, err = s.Settle(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	g.Go(func() error {
		for _, user := range []string{"user 1", "user 4"} {
			gone, err := s.EraseUser(ctx, user)
			if err != nil {
				return err
			}
			erased.Executions += gone.Executions
		}
		return nil
	})
	for range 2 {
		g.Go(func() error {
			for range 2 {
				if _, err := s.Reprice(ctx, lastHour(), moreExpensive); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	checkRollups(t, db)
	foldAll(t, s)
	checkRollups(t, db)
	// What settles into an erased user is erased, too, unless the user's spans were erased first.
	if n := askAsAdmin[int64](t, db, `SELECT count(*) FROM agent_executions`); n > all-erased.Executions || n < others || erased.Executions == 0 {
		t.Errorf("want from %d rows up to %d except %d that were erased, got %d", others, all, erased.Executions, n)
	}
	if n := askAsAdmin[int](t, db, `SELECT count(*) FROM agent_executions WHERE user_id IN ('user 1', 'user 4')`); n != 0 {
		t.Errorf("%d of erased users are left", n)
	}
	if n := askAsAdmin[int](t, db, `SELECT count(*) FROM agent_executions WHERE price_version <> 'dearer'`); n != 0 {
		t.Errorf("%d were left out", n)
	}
	if n := deadlocked.Load(); n > 0 {
		t.Errorf("want no deadlock, got %d", n)
	}
}

// TestExecutionsAreTakenInOneOrder has two operations that lock several
// rows meet in the middle. They deadlock if they lock in opposite orders.
func TestExecutionsAreTakenInOneOrder(t *testing.T) {
	t.Parallel()
	ways := map[string]func(context.Context, *postgres.Executions) error{
		"settle": func(ctx context.Context, s *postgres.Executions) error { _, _, err := s.Settle(ctx); return err },
		"reprice": func(ctx context.Context, s *postgres.Executions) error {
			_, err := s.Reprice(ctx, lastHour(), moreExpensive)
			return err
		},
		"erase": func(ctx context.Context, s *postgres.Executions) error { _, err := s.EraseUser(ctx, "a"); return err },
	}
	for _, tt := range []struct {
		one, other string
		users      [3]string // of three executions, of which the first has the latest start
	}{
		{"settle", "reprice", [3]string{"a", "b", "c"}},
		{"settle", "reprice", [3]string{"c", "b", "a"}},
		{"settle", "erase", [3]string{"a", "a", "a"}},
		{"reprice", "erase", [3]string{"a", "a", "a"}},
	} {
		t.Run(fmt.Sprint(tt.one, " and ", tt.other, " of ", tt.users), func(t *testing.T) {
			t.Parallel()
			db := newDatabase(t)
			s, deadlocked := newWatched(t, db)
			for i, user := range tt.users {
				call := newTrace().call("2", "1")
				call.execution.UserID = user
				call.execution.CreatedAt = call.execution.CreatedAt.Add(-time.Duration(i) * time.Minute)
				if _, err := s.Commit(t.Context(), batchOf(call)); err != nil {
					t.Fatal(err)
				}
			}
			db.execAsAdmin(t, `UPDATE unsettled_executions SET check_at = now()`)
			release := db.holding(t, `SET LOCAL ROLE watchbill_admin`, `SELECT FROM agent_executions ORDER BY created_at LIMIT 1 OFFSET 1 FOR UPDATE`)
			defer release()
			g, ctx := errgroup.WithContext(t.Context())
			for _, way := range []string{tt.one, tt.other} {
				g.Go(func() error { return ways[way](ctx, s) })
			}
			db.untilWaiting(t, 2)
			release()
			if err := g.Wait(); err != nil {
				t.Fatal(err)
			}
			if n := deadlocked.Load(); n > 0 {
				t.Errorf("want no deadlock, got %d", n)
			}
		})
	}
}
