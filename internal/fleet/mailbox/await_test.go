package mailbox_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchbill/watchbill/internal/fleet/mailbox"
)

func TestAwait(t *testing.T) {
	type scene struct {
		m      *mailbox.Mailbox
		db     *database
		cancel context.CancelFunc
	}
	for name, tt := range map[string]struct {
		do    func(scene)
		waits bool // still waiting a second later
		at    time.Duration
		want  error
		then  error // error of the next view
	}{
		"a deployment made on another replica, hinted":     {do: func(s scene) { s.db.create("a", 0); s.m.Kick() }},
		"a deployment made on another replica, not hinted": {do: func(s scene) { s.db.create("a", 0) }, at: 490 * time.Millisecond},
		"a deployment made here":                           {do: func(s scene) { s.db.hold(); s.db.create("a", 0); s.m.Changed("a") }},
		"a deployment that becomes due":                    {do: func(s scene) { s.db.create("a", 200*time.Millisecond); s.m.Kick() }, at: 200 * time.Millisecond},
		"a drain":                                          {do: func(s scene) { s.m.Drain() }, want: mailbox.ErrDraining},
		"the caller's end":                                 {do: func(s scene) { s.cancel() }, want: context.Canceled},
		"a rotation":                                       {do: func(s scene) { s.db.rotate("a"); s.m.Kick() }, then: mailbox.ErrUnknownToken},
		"a deletion":                                       {do: func(s scene) { s.db.delete("a"); s.m.Kick() }, then: mailbox.ErrUnknownToken},
		"a deletion during a restart of the database":      {do: func(s scene) { s.db.restart(); s.db.delete("a"); s.m.Kick() }, then: mailbox.ErrUnknownToken},
		"another agent's deployment":                       {do: func(s scene) { s.db.create("b", 0); s.m.Changed("b") }, waits: true},
		"another agent's deletion":                         {do: func(s scene) { s.db.delete("b"); s.m.Kick() }, waits: true},
		"sweeps that find nothing":                         {do: func(s scene) { s.m.Kick() }, waits: true},
		"sweeps that fail":                                 {do: func(s scene) { s.db.fail() }, waits: true},
		"a restart of the database":                        {do: func(s scene) { s.db.restart() }, waits: true},
		"a deployment that is gone before a sweep":         {do: func(s scene) { s.db.create("a", 0); s.db.claim("a") }, waits: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := newDatabase("a", "b")
				m := run(t, db)
				pass(10 * time.Millisecond)
				ctx, cancel := context.WithCancel(t.Context())
				a := handle(t, m, "a")
				v := view(t, m, a)
				var woken time.Duration
				start := time.Now()
				awaited := async(func() error {
					err := m.Await(ctx, a, v)
					woken = time.Since(start)
					return err
				})
				synctest.Wait()
				tt.do(scene{m, db, cancel})
				pass(time.Second)
				if pending(awaited) != tt.waits {
					t.Fatalf("a second later: want waiting %v, got %v", tt.waits, !tt.waits)
				}
				cancel() // unless done before
				err := <-awaited
				if tt.waits {
					return
				}
				if !errors.Is(err, tt.want) {
					t.Errorf("want %v, got %v", tt.want, err)
				}
				if woken < tt.at-10*time.Millisecond || woken > tt.at+10*time.Millisecond {
					t.Errorf("want woken after %s, got %s", tt.at, woken)
				}
				if _, err := m.View(a); !errors.Is(err, tt.then) {
					t.Errorf("the next view: want %v, got %v", tt.then, err)
				}
			})
		})
	}
}

// TestAwaitAfterChange covers changes between a view and the wait for it to differ.
func TestAwaitAfterChange(t *testing.T) {
	for name, do := range map[string]func(*mailbox.Mailbox, *database){
		"a sweep saw a change": func(_ *mailbox.Mailbox, db *database) { db.create("a", 0); pass(time.Second) },
		"a local write":        func(m *mailbox.Mailbox, db *database) { db.hold(); db.create("a", 0); m.Changed("a") },
		"a rotation":           func(_ *mailbox.Mailbox, db *database) { db.rotate("a"); pass(time.Second) },
		"there and back": func(_ *mailbox.Mailbox, db *database) {
			db.create("a", 0)
			pass(time.Second)
			db.claim("a")
			pass(time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := newDatabase("a")
				m := run(t, db)
				pass(10 * time.Millisecond)
				a := handle(t, m, "a")
				v := view(t, m, a)
				do(m, db)
				start := time.Now()
				if err := m.Await(t.Context(), a, v); err != nil || time.Since(start) > 0 {
					t.Errorf("want an answer at once, got %v after %s", err, time.Since(start))
				}
			})
		})
	}
}

func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := run(t, newDatabase("a"))
		pass(10 * time.Millisecond)
		a := handle(t, m, "a")
		const polls = mailbox.MaxHeld
		results := make(chan error, 2*polls)
		await := func() { results <- m.Await(t.Context(), a, view(t, m, a)) }
		for range polls {
			go await()
		}
		synctest.Wait()
		m.Drain()
		m.Drain() // is idempotent
		for range polls {
			go await()
		}
		synctest.Wait()
		if len(results) != 2*polls {
			t.Fatalf("want %d released, got %d", 2*polls, len(results))
		}
		for range 2 * polls {
			if err := <-results; !errors.Is(err, mailbox.ErrDraining) {
				t.Fatalf("want ErrDraining, got %v", err)
			}
		}
		wantView(t, m, "a", nothing, true) // polls without a wait are still answered
	})
}

// TestAwaitNotFresh covers a poll that learned from the database of a deployment that the mailbox never sees, since it is
// gone by the next sweep. The poll must notice that it is gone.
func TestAwaitNotFresh(t *testing.T) {
	for name, learn := range map[string]func(*mailbox.Mailbox, *database) (tag string){
		"from a write on this replica": func(m *mailbox.Mailbox, db *database) string {
			tag := db.create("a", 0)
			m.Changed("a")
			return tag
		},
		"from another replica": func(_ *mailbox.Mailbox, db *database) string { return db.create("a", 0) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := newDatabase("a")
				m := run(t, db)
				pass(10 * time.Millisecond)
				a := handle(t, m, "a")
				known := learn(m, db)
				var got string
				polled := async(func() (err error) {
					got, err = poll(t.Context(), m, db, a, known)
					return err
				})
				synctest.Wait()
				if !pending(polled) {
					t.Fatal("the poll returned what it knows")
				}
				db.claim("a") // on another replica
				pass(time.Second)
				if pending(polled) {
					t.Fatal("the poll still waits for a change that it missed")
				}
				if err := <-polled; err != nil || got != nothing {
					t.Errorf("want %s, got %s, %v", nothing, got, err)
				}
			})
		})
	}
}

// TestAwaitNotFreshIsNoLoop checks that a poll which waits for a view to be Fresh sleeps in the meantime, and queries the
// database no more often than sweeps succeed.
func TestAwaitNotFreshIsNoLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase("a")
		m := run(t, db)
		pass(10 * time.Millisecond)
		a := handle(t, m, "a")
		db.fail()
		known := db.create("a", 0)
		m.Changed("a")
		v := view(t, m, a)
		awaited := async(func() error { return m.Await(t.Context(), a, v) })
		pass(10 * time.Second)
		if !pending(awaited) {
			t.Fatal("the wait ended by a sweep that failed")
		}
		db.heal()
		pass(time.Second)
		if err := <-awaited; err != nil {
			t.Fatal(err)
		}
		wantView(t, m, "a", known, true)
	})
}

func TestRotationKeepsPendingDeployments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase("a")
		tag := db.create("a", 0)
		m := run(t, db)
		pass(10 * time.Millisecond)
		old := handle(t, m, "a")
		m.MarkSeen(old, time.Now())
		db.rotate("a")
		pass(time.Second)
		if a := handle(t, m, "a"); a == old {
			t.Error("want another handle")
		}
		wantView(t, m, "a", tag, true)
		pass(5 * time.Second)
		if len(db.saves) != 1 || len(db.saves[0].seen) != 1 || db.saves[0].seen[0].ID != "a" {
			t.Errorf("want it seen once, got %v", db.saves)
		}
	})
}
