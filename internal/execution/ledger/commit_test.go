package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/testkit/await"
	"github.com/watchbill/watchbill/internal/testkit/postgrestest"
)

// TestCallersShareATransaction: batches queued during a transaction go into the next, and each caller gets its own outcome.
func TestCallersShareATransaction(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	var recorded recorder
	g := &gate{Store: newStore(t, db.url, nil)}
	release := g.holding()
	l := newLedger(g, &recorded)
	run(t, l)
	t.Cleanup(release)
	occupying := occupy(t, l, g)
	const callers = 60
	shared := anExecution()
	var waiting []<-chan answer
	rows := 0
	for i := range callers {
		batch := some(i % 4)
		batch.Executions = append(batch.Executions, shared)
		if i%3 == 0 {
			batch.Executions = append(batch.Executions, anExecution(func(e *execution.Execution) { e.Status = "lost" }))
		}
		rows += i%4 + 1
		waiting = append(waiting, bring(t, l, batch))
		await.Until(t, "it waits", func() bool { return l.Queue().Rows == rows })
	}
	release()
	for i, w := range occupying {
		(<-w).is(t, who(i), 1, 0, 0)
	}
	accepted, duplicates := 0, 0
	for i, w := range waiting {
		a := <-w
		if a.err != nil || a.Accepted+a.Duplicates != i%4+1 || a.Accepted < i%4 || len(a.Rejected) != map[bool]int{true: 1}[i%3 == 0] {
			t.Errorf("%s: got %+v, %v", who(i), a.Outcome, a.err)
		}
		if len(a.Rejected) > 0 && a.Rejected[0].Index != i%4+1 {
			t.Errorf("%s: want the last rejected, got %d", who(i), a.Rejected[0].Index)
		}
		accepted += a.Accepted
		duplicates += a.Duplicates
	}
	if want := 6*15 + 1; accepted != want || duplicates != callers-1 {
		t.Errorf("want %d accepted and %d duplicates in all, got %d and %d", want, callers-1, accepted, duplicates)
	}
	if n := g.commits(); n > 2+3 {
		t.Errorf("want the %d that waited to share a transaction or two, got %d transactions", callers, n)
	}
	recorded.eachOnce(t, accepted+2)
	recorded.rows(t, accepted+2, duplicates, callers/3, 0)
	checkRollups(t, db)
}

// TestSmallBatchesWaitForTheNextTransaction: during a transaction another begins only with a minimum number of rows;
// fewer wait, and are committed together when it ends.
func TestSmallBatchesWaitForTheNextTransaction(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	g := &gate{Store: newStore(t, db.url, nil)}
	release := g.holding()
	l := newLedger(g, &recorder{})
	run(t, l)
	t.Cleanup(release)
	all := []<-chan answer{bring(t, l, some(1))}
	await.Until(t, "a committer is at it", func() bool { return g.commits() == 1 })
	all = append(all, bring(t, l, some(minConcurrentRows-1)))
	await.Until(t, "it waits", func() bool { return l.Queue().Rows == minConcurrentRows-1 })
	all = append(all, bring(t, l, some(1)))
	await.Until(t, "the other committer is at it", func() bool { return g.commits() == 2 })
	all = append(all, bring(t, l, some(2)))
	await.Until(t, "it waits", func() bool { return l.Queue().Rows == 2 })
	release()
	for i, w := range all {
		if a := <-w; a.err != nil {
			t.Errorf("%s: %v", who(i), a.err)
		}
	}
	slices.Sort(g.rows)
	if want := []int{1, 2, minConcurrentRows}; !slices.Equal(g.rows, want) {
		t.Errorf("want transactions of %v rows, got %v", want, g.rows)
	}
}

// TestTransactionsAreBounded: transactions have a maximum size, unless one caller's batch is larger.
func TestTransactionsAreBounded(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	g := &gate{Store: newStore(t, db.url, nil)}
	release := g.holding()
	l := newLedger(g, &recorder{})
	run(t, l)
	t.Cleanup(release)
	all := occupy(t, l, g)
	rows := 0
	for _, n := range []int{1000, 1500, 1499, 1, 1, 5000, 1, 4000} {
		all = append(all, bring(t, l, some(n)))
		rows += n
		await.Until(t, "it waits", func() bool { return l.Queue().Rows == rows })
	}
	release()
	for i, w := range all {
		if a := <-w; a.err != nil {
			t.Errorf("%s: %v", who(i), a.err)
		}
	}
	sizes := g.rows[2:]
	slices.Sort(sizes)
	if want := []int{1, 1, 4000, 4000, 5000}; !slices.Equal(sizes, want) {
		t.Errorf("want transactions of %v rows, got %v", want, sizes)
	}
	if n := ask[int](t, db, `SELECT count(*) FROM agent_executions`); n != rows+2 {
		t.Errorf("want %d rows, got %d", rows+2, n)
	}
}

// TestFaultOfOneCaller: a row that cannot be stored fails only its caller's batch, at little cost to the others.
func TestFaultOfOneCaller(t *testing.T) {
	t.Parallel()
	const callers = 64
	for name, bad := range map[string][]int{"one": {13}, "the first": {0}, "the last": {callers - 1}, "two": {7, 40}, "two neighbours": {20, 21}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := newDatabase(t)
			var recorded recorder
			g := &gate{Store: newStore(t, db.url, nil)}
			release := g.holding()
			held := g.before
			defect := errors.New("as ordered")
			g.before = func(b execution.Batch) error {
				if slices.ContainsFunc(b.Executions, func(e execution.Execution) bool { return e.RequestID == "bad" }) {
					return defect
				}
				return held(b)
			}
			l := newLedger(g, &recorded)
			run(t, l)
			t.Cleanup(release)
			occupying := occupy(t, l, g)
			var waiting []<-chan answer
			for i := range callers {
				batch := some(3)
				if slices.Contains(bad, i) {
					batch.Executions[1].RequestID = "bad"
				}
				waiting = append(waiting, bring(t, l, batch))
				await.Until(t, "it waits", func() bool { return l.Queue().Rows == 3*(i+1) })
			}
			release()
			for i, w := range slices.Concat(occupying, waiting) {
				a := <-w
				switch {
				case i < len(occupying):
					a.is(t, who(i), 1, 0, 0)
				case slices.Contains(bad, i-len(occupying)):
					if !errors.Is(a.err, defect) || errors.Is(a.err, fault.ErrUnavailable) || a.Accepted > 0 {
						t.Errorf("%s: want its fault, got %+v, %v", who(i), a.Outcome, a.err)
					}
				default:
					a.is(t, who(i), 3, 0, 0)
				}
			}
			if n := g.commits(); n > 2+len(bad)*13+1 {
				t.Errorf("want the fault found by halves, got %d transactions for %d callers", n, callers)
			}
			recorded.eachOnce(t, 2+3*(callers-len(bad)))
			checkRollups(t, db)
		})
	}
}

// TestFaultAndThenUnavailable: the database becomes unreachable during the search for a fault. The remaining callers get the
// error immediately.
func TestFaultAndThenUnavailable(t *testing.T) {
	t.Parallel()
	g := &gate{Store: accepting{}}
	release := g.holding()
	held := g.before
	var tries atomic.Int32
	g.before = func(b execution.Batch) error {
		switch {
		case len(b.Executions) == 1:
			return held(b)
		case tries.Add(1) == 1:
			return errors.New("as ordered")
		default:
			return fmt.Errorf("away: %w", fault.ErrUnavailable)
		}
	}
	l := newLedger(g, &recorder{})
	run(t, l)
	t.Cleanup(release)
	occupying := occupy(t, l, g)
	var waiting []<-chan answer
	for i := range 40 {
		waiting = append(waiting, bring(t, l, some(2)))
		await.Until(t, "it waits", func() bool { return l.Queue().Rows == 2*(i+1) })
	}
	release()
	for i, w := range occupying {
		(<-w).is(t, who(i), 1, 0, 0)
	}
	for i, w := range waiting {
		(<-w).isUnavailable(t, who(i))
	}
	if n := tries.Load(); n != 2 {
		t.Errorf("want it found out once, got %d tries", n)
	}
}

// TestDatabaseOutage cuts the connection to the database while callers wait.
func TestDatabaseOutage(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	proxy := postgrestest.NewProxy(t, db.url)
	var recorded recorder
	g := &gate{Store: newStore(t, proxy.URL, nil)}
	release := g.holding()
	l := newLedger(g, &recorded)
	run(t, l)
	t.Cleanup(release)
	var batches []execution.Batch
	waiting := occupy(t, l, g)
	for i := range 30 {
		batches = append(batches, some(2))
		waiting = append(waiting, bring(t, l, batches[i]))
		await.Until(t, "it waits", func() bool { return l.Queue().Rows == 2*(i+1) })
	}
	proxy.Cut()
	release()
	for i, w := range waiting {
		select {
		case a := <-w:
			a.isUnavailable(t, who(i))
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: still waits", who(i))
		}
	}
	if n := g.commits(); n > 4 {
		t.Errorf("want all told when one finds out, got %d tries", n)
	}
	_, err := l.Append(t.Context(), batches[0])
	answer{err: err}.isUnavailable(t, "one who comes meanwhile")
	if n := ask[int](t, db, `SELECT count(*) FROM agent_executions`); n != 0 {
		t.Errorf("want nothing stored, got %d", n)
	}
	proxy.Resume()
	for i, batch := range batches {
		outcome, err := l.Append(t.Context(), batch)
		answer{outcome, err}.is(t, who(i), 2, 0, 0)
	}
	recorded.eachOnce(t, 60)
	checkRollups(t, db)
}

// TestCommitOutcomeUnknown: rows whose commit succeeded without a response are duplicates when retried.
func TestCommitOutcomeUnknown(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	g := &gate{Store: newStore(t, db.url, nil)}
	lose := true
	g.after = func(execution.Batch) error {
		if lose {
			return fmt.Errorf("the answer is lost: %w", fault.ErrUnavailable)
		}
		return nil
	}
	l := newLedger(g, &recorder{})
	run(t, l)
	batch := some(3)
	outcome, err := l.Append(t.Context(), batch)
	answer{outcome, err}.isUnavailable(t, "the first time")
	lose = false
	batch.Executions = append(batch.Executions, anExecution())
	outcome, err = l.Append(t.Context(), batch)
	answer{outcome, err}.is(t, "the second time", 1, 3, 0)
	checkRollups(t, db)
}

// pausing is a recorder that pauses before the second rejection.
type pausing struct {
	recorder
	refusals atomic.Int32
	resume   chan struct{}
}

func (p *pausing) ObserveRows(accepted, duplicates, rejected, refused int) {
	if refused > 0 && p.refusals.Add(1) == 2 {
		<-p.resume
	}
	p.recorder.ObserveRows(accepted, duplicates, rejected, refused)
}

// TestRetryAfterRefusal: a retry does not get the previous error, even while other callers still get it.
func TestRetryAfterRefusal(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	g := &gate{Store: newStore(t, db.url, nil)}
	var failed atomic.Bool
	g.after = func(b execution.Batch) error {
		if len(b.Executions) > 1 && failed.CompareAndSwap(false, true) {
			return fmt.Errorf("the connection broke: %w", fault.ErrUnavailable)
		}
		return nil
	}
	recorded := &pausing{resume: make(chan struct{})}
	release := g.holding()
	l := newLedger(g, recorded)
	run(t, l)
	t.Cleanup(release)
	occupying := occupy(t, l, g)
	batch := some(2)
	first := bring(t, l, batch)
	await.Until(t, "the first waits", func() bool { return l.Queue().Rows == 2 })
	second := bring(t, l, some(2))
	await.Until(t, "both wait", func() bool { return l.Queue().Rows == 4 })
	release()
	(<-first).isUnavailable(t, "the first")
	again := bring(t, l, batch)
	await.Until(t, "the retry waits", func() bool { return l.Queue().Rows == 2 })
	close(recorded.resume)
	(<-second).isUnavailable(t, "the second")
	(<-again).is(t, "the retry", 0, 2, 0)
	for i, w := range occupying {
		(<-w).is(t, who(i), 1, 0, 0)
	}
	checkRollups(t, db)
}

// TestCallerGivesUp: the batch of a caller that left may still be stored, once, and does not delay others.
func TestCallerGivesUp(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	g := &gate{Store: newStore(t, db.url, nil)}
	release := g.holding()
	l := newLedger(g, &recorder{})
	run(t, l)
	t.Cleanup(release)
	all := occupy(t, l, g)
	batch := some(2)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := l.Append(ctx, batch)
		gone <- err
	}()
	await.Until(t, "it waits", func() bool { return l.Queue().Rows == 2 })
	all = append(all, bring(t, l, some(1)))
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) || errors.Is(err, fault.ErrUnavailable) {
		t.Errorf("want it to have gone away, got %v", err)
	}
	release()
	for i, w := range all {
		(<-w).is(t, who(i), 1, 0, 0)
	}
	outcome, err := l.Append(t.Context(), batch)
	answer{outcome, err}.is(t, "who comes back", 0, 2, 0)
	checkRollups(t, db)
}

// accepting is a store that accepts everything and stores nothing.
type accepting struct{}

func (accepting) Commit(_ context.Context, b execution.Batch) (execution.Committed, error) {
	return execution.Committed{New: slices.Repeat([]bool{true}, len(b.Executions))}, nil
}
