package postgres_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/watchbill/watchbill/internal/execution"
)

// TestDuplicatesOfMovedExecutions checks that a repeated execution is a duplicate, whatever its ancestors made of the first.
func TestDuplicatesOfMovedExecutions(t *testing.T) {
	t.Parallel()
	tr := newTrace()
	run, call := tr.run("1", "", "tutor", "ada", "s"), tr.call("3", "2")
	hasUser := tr.step() // and no more
	hasUser.span.User = "ada"
	for name, tt := range map[string]struct {
		bring func(bring func(...piece), settle func()) // commits all pieces
		rows  int
	}{
		"after it moved": {func(bring func(...piece), settle func()) {
			bring(call)
			bring(run, hasUser)
			settle()
			bring(call)
			bring(run, hasUser, call)
		}, 2},
		"before it moves, when it would be stored as moved": {func(bring func(...piece), _ func()) {
			bring(call)
			bring(run, hasUser)
			bring(call)
		}, 2},
		"before it moves, when it would be stored as half moved": {func(bring func(...piece), settle func()) {
			bring(call)
			bring(hasUser)
			bring(call)
			settle()
			settle()
			bring(run)
		}, 2},
		"after it moved half-way": {func(bring func(...piece), settle func()) {
			bring(call)
			bring(hasUser)
			settle()
			bring(call)
			settle()
			bring(run)
			bring(call)
		}, 2},
		"while its repetition waits": {func(bring func(...piece), settle func()) {
			bring(call)
			bring(hasUser)
			bring(call)
			bring(run)
			settle()
			bring(call)
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := newDatabase(t)
			s, o := newExecutions(t, db), &settling{db: db}
			settle := func() {
				o.settle(t, s)
				checkRollups(t, db)
			}
			tt.bring(func(pieces ...piece) { o.commit(t, s, pieces...) }, settle)
			settle()
			settle()
			done := o.commit(t, s, call, run)
			if !slices.Equal(done.New, []bool{false, false}) {
				t.Errorf("once more: want duplicates, got new %v", done.New)
			}
			o.eachOnce(t, tt.rows)
			if n := askAsAdmin[int](t, db, `SELECT count(*) FROM agent_executions`); n != tt.rows {
				t.Errorf("want %d rows, got %d", tt.rows, n)
			}
			if n, _ := requests(t, s); n != 1 {
				t.Errorf("want one request, got %d", n)
			}
			checkRollups(t, db)
		})
	}
}

// TestOrphansSettleInTime checks that what ancestors did not provide
// in time stays unknown, and that each execution is settled once.
func TestOrphansSettleInTime(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	s, o := newExecutions(t, db), &settling{db: db}
	tr := newTrace()
	hasUser := tr.step()
	hasUser.span.User = "ada"
	orphan, half := newTrace().call("3", "2"), tr.call("3", "2")
	o.commit(t, s, orphan)
	o.commit(t, s, half)
	o.commit(t, s, hasUser)
	age := func(d time.Duration) {
		db.execAsAdmin(t, `UPDATE unsettled_executions SET since = since - $1::interval, check_at = now()`, d)
	}
	age(9 * time.Minute)
	o.settle(t, s)
	if len(o.all) != 0 {
		t.Errorf("before its time: got %v", o.all)
	}
	age(2 * time.Minute)
	o.settle(t, s)
	o.settle(t, s)
	o.eachOnce(t, 2)
	for _, e := range o.all {
		want := map[string]string{orphan.execution.ID: execution.Unknown, half.execution.ID: "ada"}[e.ID]
		if e.UserID != want || e.AgentName != execution.Unknown || !e.Request {
			t.Errorf("want it of unknown, for %s, and a request; got it of %s, for %s, request %v", want, e.AgentName, e.UserID, e.Request)
		}
	}
	o.commit(t, s, tr.run("1", "", "tutor", "ada", "s")) // too late
	o.settle(t, s)
	o.eachOnce(t, 3)
	checkRollups(t, db)
	if n, agents := requests(t, s); n != 3 || !slices.Equal(agents, []string{"tutor", execution.Unknown}) {
		t.Errorf("want three requests, got %d of %v", n, agents)
	}
}

// TestWaitingExecutionsBackOff checks that the interval between
// attempts grows, which limits the cost of executions whose ancestors never arrive.
func TestWaitingExecutionsBackOff(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	s := newExecutions(t, db)
	o := &settling{db: db}
	o.commit(t, s, newTrace().call("3", "2"))
	const looksAt = `SELECT EXTRACT(EPOCH FROM check_at - since)::float8 FROM unsettled_executions`
	if first := askAsAdmin[float64](t, db, looksAt); first != 2 {
		t.Errorf("want it looked at again after 2 s, got %v", first)
	}
	for waited, next := range map[float64]float64{10: 20, 100: 200, 250: 500, 400: 600, 550: 600} {
		db.execAsAdmin(t, `UPDATE unsettled_executions SET since = now() - $1 * interval '1 second', check_at = now()`, waited)
		if settled, more, err := s.Settle(t.Context()); err != nil || len(settled) > 0 || more {
			t.Errorf("after %v s: got %v, %v, %v", waited, settled, more, err)
		}
		if got := askAsAdmin[float64](t, db, looksAt); got < next || got > min(next+60, 600) { // the attempt takes time
			t.Errorf("after %v s: want it looked at again after %v, got %v", waited, next, got)
		}
		if settled, _, err := s.Settle(t.Context()); err != nil || len(settled) > 0 {
			t.Errorf("before that: got %v, %v", settled, err)
		}
	}
}

// TestErasedWhileWaiting checks that executions that wait for their ancestors are erased with their user.
func TestErasedWhileWaiting(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	s, o := newExecutions(t, db), &settling{db: db}
	tr := newTrace()
	call := tr.call("3", "2") // of a user, but of no agent
	call.execution.UserID = "gone"
	late, hasUser := tr.call("4", "2"), tr.step()
	hasUser.span.User = "gone"
	o.commit(t, s, call)
	o.commit(t, s, late)
	o.commit(t, s, hasUser)
	o.settle(t, s) // late is of the user, too, by now
	erased, err := s.EraseUser(t.Context(), "gone")
	if err != nil || erased.Executions != 2 {
		t.Errorf("want both erased, got %+v, %v", erased, err)
	}
	for _, table := range []string{"unsettled_executions", "span_ancestors", "user_deltas", "user_rollups"} {
		if n := askAsAdmin[int](t, db, `SELECT count(*) FROM `+table+` WHERE user_id = 'gone'`); n != 0 {
			t.Errorf("%s: %d rows left", table, n)
		}
	}
	o.commit(t, s, tr.run("1", "", "tutor", "ada", "s"))
	o.settle(t, s)
	o.settle(t, s)
	o.eachOnce(t, 1)
	checkRollups(t, db)
	if n, agents := requests(t, s); n != 1 || !slices.Equal(agents, []string{"tutor"}) {
		t.Errorf("want the other user's request alone, got %d of %v", n, agents)
	}
}

// TestDroppedWhileWaiting checks that executions dropped with their day do not keep others from being settled.
func TestDroppedWhileWaiting(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	s, o := newExecutions(t, db), &settling{db: db}
	old, other := newTrace().call("3", "2"), newTrace()
	old.execution.CreatedAt = old.execution.CreatedAt.Add(-20 * day)
	o.commit(t, s, old, other.call("3", "1"))
	o.commit(t, s, other.run("1", "", "tutor", "ada", "s"))
	if err := s.DropDays(t.Context(), time.Now().Add(-10*day)); err != nil {
		t.Fatal(err)
	}
	o.settle(t, s)
	o.settle(t, s)
	o.eachOnce(t, 2)
}

// TestInheritedNamesAreDistinguished checks that an agent's name that
// only another replica has seen is not counted as beyond the limit.
func TestInheritedNamesAreDistinguished(t *testing.T) {
	t.Parallel()
	for name, childrenFirst := range map[string]bool{"ancestors first": false, "children first": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := newDatabase(t)
			a, b, o := newExecutions(t, db), newExecutions(t, db), &settling{db: db}
			tr := newTrace()
			o.commit(t, a, newTrace().call("1", "")) // both know the agent "unknown" and the model
			o.commit(t, b, newTrace().call("1", ""))
			if childrenFirst {
				o.commit(t, b, tr.call("2", "1"))
			}
			o.commit(t, a, tr.run("1", "", "tutor", "ada", "s"))
			if childrenFirst {
				o.settle(t, b)
			} else {
				o.commit(t, b, tr.call("2", "1"))
			}
			o.eachOnce(t, 4)
			if n := askAsAdmin[int](t, db, `SELECT count(*) FROM agent_executions WHERE agent_name = 'tutor' AND capped = 0`); n != 2 {
				t.Errorf("want both of the agent's told apart, got %d", n)
			}
			checkRollups(t, db)
		})
	}
}

// TestNamesAreDistinguishedAfterMoves checks that executions with
// inherited names are counted as if they had them from the start.
func TestNamesAreDistinguishedAfterMoves(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	s, o := newExecutions(t, db), &settling{db: db}
	var crowd []execution.Execution
	for i := range 500 { // the limit, of agents and of models
		crowd = append(crowd, anExecution(func(e *execution.Execution) { e.AgentName, e.Model = lettered("agent", i), lettered("model", i) }))
	}
	commit(t, s, crowd...)
	toKnown, toOther, known := newTrace(), newTrace(), newTrace()
	o.commit(t, s, toKnown.call("2", "1"), toOther.call("2", "1")) // of agent "unknown" and a model, both beyond the limit
	fromKnown := known.call("2", "1")
	fromKnown.execution.UserID, fromKnown.execution.AgentName, fromKnown.execution.Model = execution.Unknown, lettered("agent", 3), lettered("model", 3)
	o.commit(t, s, fromKnown)
	o.commit(t, s, toKnown.run("1", "", lettered("agent", 1), "ada", "s"), toOther.run("1", "", lettered("agent", 501), "ada", "s"), known.run("1", "", lettered("agent", 2), "ada", "s"))
	o.settle(t, s)
	o.eachOnce(t, 6)
	for trace, want := range map[trace]execution.Capped{
		toKnown: execution.CappedModel, toOther: execution.CappedAgent | execution.CappedModel, known: 0,
	} {
		if got := askAsAdmin[int16](t, db, `SELECT capped FROM agent_executions WHERE trace_id = $1 AND span_id = '2'`, string(trace)); got != int16(want) {
			t.Errorf("want capped %d, got %d", want, got)
		}
	}
	for range 2 {
		checkRollups(t, db)
		foldAll(t, s)
	}
}

// TestConcurrentDuplicateIsStored stores an execution again, with its inherited values, while the first is being moved.
func TestConcurrentDuplicateIsStored(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	a, b, o, tr := newExecutions(t, db), newExecutions(t, db), &settling{db: db}, newTrace()
	call, run := tr.call("2", "1"), tr.run("1", "", "tutor", "ada", "s")
	o.commit(t, a, call)
	o.commit(t, a, run)
	release := db.holding(t, `LOCK TABLE execution_deltas IN SHARE MODE`) // the last table to be written
	defer release()
	var g errgroup.Group
	g.Go(func() error {
		done, err := a.Commit(t.Context(), batchOf(call))
		o.all = append(o.all, done.Settled...)
		return err
	})
	db.untilWaiting(t, 1)
	var settled []execution.Execution
	g.Go(func() (err error) {
		settled, _, err = b.Settle(t.Context())
		return err
	})
	db.untilWaiting(t, 2)
	release()
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	o.all = append(o.all, settled...)
	o.eachOnce(t, 2)
	checkRollups(t, db)
	if n := askAsAdmin[int](t, db, `SELECT count(*) FROM agent_executions`); n != 2 {
		t.Errorf("want 2 rows, got %d", n)
	}
}

// TestHostileTraces checks very deep traces, cycles, and spans that are their own parents.
func TestHostileTraces(t *testing.T) {
	t.Parallel()
	const spans = 3000
	for name, tt := range map[string]struct {
		parent  func(i int) int // of span i; negative for none
		settled int             // settled without waiting
	}{
		"one below the other":              {func(i int) int { return i - 1 }, spans},
		"one below the other, from below":  {func(i int) int { return i + 1 }, 0}, // all ancestors may still arrive
		"all below one that never comes":   {func(int) int { return spans }, 0},
		"all below one":                    {func(i int) int { return min(i, 1) - 1 }, spans},
		"a circle":                         {func(i int) int { return (i + 1) % spans }, spans},
		"small circles":                    {func(i int) int { return i ^ 1 }, spans},
		"each its own parent":              {func(i int) int { return i }, spans},
		"each the parent of one elsewhere": {func(i int) int { return (i*7919 + 13) % spans }, spans},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := newDatabase(t)
			s, o, tr := newExecutions(t, db), &settling{db: db}, newTrace()
			id := func(i int) string {
				if i < 0 {
					return ""
				}
				return fmt.Sprint("span ", i)
			}
			var pieces []piece
			for i := range spans {
				pieces = append(pieces, tr.call(id(i), id(tt.parent(i))))
			}
			for some := range slices.Chunk(pieces, 500) {
				o.commit(t, s, some...)
				o.settle(t, s)
			}
			o.settle(t, s)
			if len(o.all) != tt.settled {
				t.Errorf("want %d settled, got %d", tt.settled, len(o.all))
			}
			db.execAsAdmin(t, `UPDATE unsettled_executions SET since = since - interval '1 hour'`)
			o.settle(t, s)
			o.eachOnce(t, spans)
			checkRollups(t, db)
		})
	}
}
