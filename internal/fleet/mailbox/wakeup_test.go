package mailbox_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/fleet/mailbox"
)

// TestWakeUpsAreNotLost runs writers, here and on other replicas, against held polls, with real goroutines in any order.
// After every few writes each poll must learn what is pending; a poll that misses a change never does.
func TestWakeUpsAreNotLost(t *testing.T) {
	const agents, pollers, rounds = 6, 3, 60
	var ids []string
	for i := range agents {
		ids = append(ids, "a"+strconv.Itoa(i))
	}
	db := newDatabase(ids...)
	m := run(t, db, func(o *mailbox.Options) { o.SweepInterval = 5 * time.Millisecond })
	if err := m.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()

	type lesson struct {
		poller int
		tag    string
	}
	var writers, polls sync.WaitGroup
	for n, id := range ids {
		learned := make(chan lesson, 1000)
		over, stop := context.WithCancel(ctx)
		for poller := range pollers {
			polls.Go(func() {
				a, _ := m.Agent(id)
				known := nothing
				for over.Err() == nil {
					tag, err := poll(over, m, db, a, known)
					if err == nil {
						known = tag
						learned <- lesson{poller, tag}
					}
				}
			})
		}
		writers.Go(func() {
			defer stop()
			random := rand.New(rand.NewPCG(uint64(n), 7))
			knows := [pollers]string{nothing, nothing, nothing}
			for round := range rounds {
				for range 1 + random.IntN(4) {
					write(random, m, db, id)
				}
				want := db.tag(id)
				for knows != [pollers]string{want, want, want} {
					select {
					case l := <-learned:
						knows[l.poller] = l.tag
					case <-ctx.Done():
						t.Errorf("round %d of agent %s: want all polls to know %s; they know %v", round, id, want, knows)
						return
					}
				}
			}
		})
	}
	writers.Wait()
	polls.Wait()
}

// TestWakeUpRaces repeatedly makes a change at the moment when a poll begins to wait, without sweeps.
func TestWakeUpRaces(t *testing.T) {
	const rounds = 50_000
	db := newDatabase("a")
	m, stop := runUntilStopped(t, db)
	if err := m.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop()
	a, _ := m.Agent("a")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()

	var round atomic.Int64 // the round whose view was taken
	var changer sync.WaitGroup
	changer.Go(func() {
		for i := range int64(rounds) {
			for round.Load() <= i && ctx.Err() == nil {
				runtime.Gosched()
			}
			spin(i % 61)
			m.Changed("a")
		}
	})
	for i := range int64(rounds) {
		v, err := m.View(a)
		if err != nil {
			t.Fatal(err)
		}
		v.Fresh = true // wait only for the change
		round.Store(i + 1)
		spin(i % 53)
		if err := m.Await(ctx, a, v); err != nil {
			t.Errorf("round %d: the change was missed", i)
			break
		}
	}
	cancel()
	changer.Wait()
}

// spin takes some nanoseconds.
func spin(n int64) {
	var x atomic.Int64
	for range n {
		x.Add(1)
	}
}

// write commits a change of the agent's pending deployments, here or on another replica, with or without a hint.
func write(random *rand.Rand, m *mailbox.Mailbox, db *database, id string) {
	if random.IntN(2) == 0 {
		db.create(id, 0)
	} else {
		db.claim(id)
	}
	for range random.IntN(20) {
		runtime.Gosched()
	}
	switch random.IntN(3) {
	case 0:
		m.Changed(id)
	case 1:
		m.Kick()
	}
}
