package postgres_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/watchbill/watchbill/internal/store/postgres"
)

// hearing is a running exchange of hints of a replica.
type hearing struct {
	*postgres.Hints
	heard atomic.Int64
	logs  *observer.ObservedLogs
	stop  func()
}

// inHurry sets the tests' times: quiet connections are probed often, and responses may be slow on a busy machine.
func inHurry(h *postgres.Hints) { h.Hurry(20*time.Millisecond, 10*time.Second) }

func newSubscription(t *testing.T, r *replica, url, name string, change ...func(*postgres.Hints)) *hearing {
	t.Helper()
	core, logs := observer.New(zapcore.DebugLevel)
	h := &hearing{logs: logs}
	h.Hints = postgres.NewHints(r.DB, url, name, zap.New(core), func() { h.heard.Add(1) })
	for _, c := range change {
		c(h.Hints)
	}
	return h
}

// start runs the exchange until stop is called or the test ends.
func (h *hearing) start(t *testing.T) *hearing {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	h.stop = func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("want it stopped in peace, got %v", err)
			}
			ended <- nil // for a second stop
		case <-time.After(10 * time.Second):
			t.Error("it does not stop")
		}
	}
	t.Cleanup(h.stop)
	return h
}

func (h *hearing) untilNotified(t *testing.T, n int64) {
	t.Helper()
	eventually(t, "hints are heard", func() bool { return h.heard.Load() >= n })
}

// listening returns the process ids of the backends that listen.
func (db database) listening(t *testing.T) []int32 {
	t.Helper()
	return ask[[]int32](t, db, `SELECT coalesce(array_agg(pid), '{}') FROM pg_stat_activity
		WHERE datname = current_database() AND (query LIKE 'LISTEN%' OR query LIKE '%ping%' AND query NOT LIKE '%pg_stat%')`)
}

func TestHintsReachOnlyOtherReplicas(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t)
	other := newReplica(t, postgres.Config{URL: db.url})
	a, b := newSubscription(t, r, db.url, "a").start(t), newSubscription(t, other, db.url, "b").start(t)
	a.untilNotified(t, 1) // each begins with what it may have missed
	b.untilNotified(t, 1)
	for n := int64(2); n < 7; n++ {
		a.Send()
		b.untilNotified(t, n)
		b.Send() // comes after a's own, which a would have heard by now
		a.untilNotified(t, n)
	}
	if a, b := a.heard.Load(), b.heard.Load(); a != 6 || b != 6 {
		t.Errorf("want only the other's five heard, got %d and %d", a-1, b-1)
	}
}

func TestHintsAreCoalesced(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t)
	b := newSubscription(t, r, db.url, "b").start(t)
	b.untilNotified(t, 1)
	a := newSubscription(t, r, db.url, "a")
	for range 1000 {
		a.Send() // does not block, although nothing is being sent
	}
	a.start(t)
	b.untilNotified(t, 2)
	a.Send()
	b.untilNotified(t, 3)
	if got := b.heard.Load(); got != 3 {
		t.Errorf("want a thousand hints to be one, got %d heard in all", got)
	}
}

func TestQuietConnectionIsKept(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t)
	a, b := newSubscription(t, r, db.url, "a").start(t), newSubscription(t, r, db.url, "b", inHurry).start(t)
	a.untilNotified(t, 1)
	b.untilNotified(t, 1)
	eventually(t, "b has asked for signs of life", func() bool {
		return ask[int](t, db, `SELECT count(*)::int FROM pg_stat_activity
			WHERE datname = current_database() AND query LIKE '%ping%' AND query NOT LIKE '%pg_stat%'`) == 1
	})
	before := db.listening(t)
	a.Send()
	b.untilNotified(t, 2)
	if after := db.listening(t); len(before) != 2 || len(after) != 2 || b.heard.Load() != 2 || b.logs.Len() != 0 {
		t.Errorf("want the same two connections, got %v and %v; heard %d; logged %v", before, after, b.heard.Load(), b.logs.All())
	}
}

func TestTerminatedListenerReconnects(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t)
	a, b := newSubscription(t, r, db.url, "a").start(t), newSubscription(t, r, db.url, "b").start(t)
	for round := int64(1); round <= 3; round++ {
		a.untilNotified(t, round)
		b.untilNotified(t, 2*round-1)
		for _, pid := range db.listening(t) {
			db.exec(t, `SELECT pg_terminate_backend($1, 10000)`, pid)
		}
		a.untilNotified(t, round+1) // they begin again with what they may have missed
		b.untilNotified(t, 2*round)
		a.Send()
		b.untilNotified(t, 2*round+1)
	}
	if warned := b.logs.FilterLevelExact(zapcore.WarnLevel).Len(); warned != 3 {
		t.Errorf("want a warning for each time, got %d", warned)
	}
}

// TestStalledListenerIsReplaced stalls a socket, which then neither closes nor delivers anything.
func TestStalledListenerIsReplaced(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t)
	between := newProxy(t, db)
	const quiet, patience = 50 * time.Millisecond, 200 * time.Millisecond
	a := newSubscription(t, r, db.url, "a").start(t)
	b := newSubscription(t, r, between.url, "b", func(h *postgres.Hints) { h.Hurry(quiet, patience) }).start(t)
	a.untilNotified(t, 1)
	b.untilNotified(t, 1)

	between.stall()
	stalled := time.Now()
	a.Send() // is lost on the way
	b.untilNotified(t, 2)
	if took := time.Since(stalled); took < patience/2 {
		t.Errorf("want it noticed after %s, got %s", quiet+patience, took)
	}
	a.Send()
	b.untilNotified(t, 3)
}

// TestHintsWithoutADatabase checks that an unreachable database causes one warning and no failure.
func TestHintsWithoutADatabase(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t)
	between := newProxy(t, db)
	between.refuse(true)
	far := newReplica(t, postgres.Config{URL: between.url})
	a := newSubscription(t, far, between.url, "a").start(t)
	b := newSubscription(t, r, db.url, "b").start(t)
	b.untilNotified(t, 1)
	for _, message := range []string{"cannot send hints", "cannot listen for hints"} {
		eventually(t, "it warns", func() bool {
			a.Send()
			return a.logs.Filter(func(e observer.LoggedEntry) bool { return strings.Contains(e.Message, message) }).Len() > 0
		})
	}
	refused := between.refused.Load()
	eventually(t, "it has tried more often", func() bool { a.Send(); return between.refused.Load() > refused+5 })
	if got := a.logs.Len(); got != 2 {
		t.Errorf("want each warned of once, got %v", a.logs.All())
	}
	between.refuse(false)
	a.untilNotified(t, 1)
	heard := b.heard.Load()
	a.Send()
	b.untilNotified(t, heard+1)
}

func TestHintsEndWithContext(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]func(*proxy){
		"listening":  func(*proxy) {},
		"stalled":    (*proxy).stall,
		"refused":    func(p *proxy) { p.refuse(true); p.cut() },
		"unanswered": func(p *proxy) { p.ignore(); p.cut() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, r := newFleet(t)
			between := newProxy(t, db)
			a := newSubscription(t, r, between.url, "a").start(t)
			a.untilNotified(t, 1)
			trouble(between)
			began := time.Now()
			a.stop()
			if took := time.Since(began); took > 30*time.Second { // an unanswered connection would hold it for minutes
				t.Errorf("stopping took %s", took)
			}
		})
	}
}
