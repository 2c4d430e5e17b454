package mailbox_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/fleet/mailbox"
)

func TestFirstFill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase("a", "b")
		tag := db.create("a", 0)
		db.set(func(d *database) { d.fault, d.faultRow = errDatabase, 3 }) // all rows are returned, but not the end
		m := run(t, db)
		pass(100 * time.Millisecond)

		if h := m.Health(); h.Filled || h.Stale {
			t.Errorf("health before the first fill: want neither filled nor blind, got %+v", h)
		}
		if _, err := m.View(handle(t, m, "a")); !errors.Is(err, fault.ErrUnavailable) {
			t.Errorf("view before the first fill: want unavailable, got %v", err)
		}
		if _, err := m.Authenticate(t.Context(), "wba_unknown"); !errors.Is(err, fault.ErrUnavailable) {
			t.Errorf("unknown token before the first fill: want unavailable, got %v", err)
		}

		db.heal()
		pass(time.Second)
		wantView(t, m, "a", tag, true)
		wantView(t, m, "b", nothing, true)
		if h := m.Health(); !h.Filled || h.Stale || h.Agents != 2 || h.SinceSweep > 500*time.Millisecond {
			t.Errorf("health once filled: got %+v", h)
		}
	})
}

func TestAuthenticate(t *testing.T) {
	for name, tt := range map[string]struct {
		token  func(*database) string // called once the mailbox is filled with agent a
		is     string
		err    error
		sweeps int // maximum
	}{
		"known":                          {token: func(db *database) string { return db.token("a") }, is: "a"},
		"enrolled on another replica":    {token: func(db *database) string { return db.enrol("b") }, is: "b", sweeps: 1},
		"never enrolled":                 {token: func(*database) string { return "wba_never" }, err: mailbox.ErrUnknownToken},
		"empty":                          {token: func(*database) string { return "" }, err: mailbox.ErrUnknownToken},
		"not of our making":              {token: func(*database) string { return "ghp_x" }, err: mailbox.ErrUnknownToken},
		"rotated on another replica":     {token: func(db *database) string { return db.rotate("a") }, is: "a", sweeps: 1},
		"unknown, with no database":      {token: func(db *database) string { db.fail(); return "wba_never" }, err: fault.ErrUnavailable, sweeps: 1},
		"known, with no database":        {token: func(db *database) string { db.fail(); return db.token("a") }, is: "a"},
		"unknown, with a stalled one":    {token: func(db *database) string { db.hold(); return "wba_never" }, err: fault.ErrUnavailable, sweeps: 1},
		"unknown, and the caller leaves": {token: func(db *database) string { db.hold(); return "wba_leaves" }, err: context.DeadlineExceeded, sweeps: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := newDatabase("a")
				m := run(t, db)
				pass(10 * time.Millisecond)
				before, token := db.sweepCount(), tt.token(db)
				ctx := t.Context()
				if token == "wba_leaves" {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, time.Second)
					defer cancel()
				}

				a, err := m.Authenticate(ctx, token)
				if !errors.Is(err, tt.err) || err == nil && a.ID() != tt.is {
					t.Errorf("want %q, %v; got %+v, %v", tt.is, tt.err, a, err)
				}
				if got := db.sweepCount() - before; got > tt.sweeps {
					t.Errorf("want at most %d sweeps, got %d", tt.sweeps, got)
				}
			})
		})
	}
}

// TestRevoked checks that a token is invalid within the documented second.
func TestRevoked(t *testing.T) {
	for name, revoke := range map[string]func(*database){
		"rotated":                    func(db *database) { db.rotate("a") },
		"deleted":                    func(db *database) { db.delete("a") },
		"deleted and enrolled again": func(db *database) { db.delete("a"); db.enrol("a") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := newDatabase("a", "b")
				m := run(t, db)
				pass(10 * time.Millisecond)
				old, a := db.token("a"), handle(t, m, "a")
				revoke(db) // on another replica, without a hint
				pass(time.Second)

				if _, err := m.Authenticate(t.Context(), old); !errors.Is(err, mailbox.ErrUnknownToken) {
					t.Errorf("the old token: want ErrUnknownToken, got %v", err)
				}
				if _, err := m.View(a); !errors.Is(err, mailbox.ErrUnknownToken) {
					t.Errorf("a view under the old token: want ErrUnknownToken, got %v", err)
				}
				for _, id := range db.ids() {
					if a, err := m.Authenticate(t.Context(), db.token(id)); err != nil || a.ID() != id {
						t.Errorf("the new token of %s: got %v", id, err)
					}
				}
				if got := m.Health().Agents; got != len(db.ids()) {
					t.Errorf("want %d agents, got %d", len(db.ids()), got)
				}
			})
		})
	}
}

// TestUnknownTokensShareLookups floods the mailbox with invalid tokens: they cause no sweep, and few look-ups.
func TestUnknownTokensShareLookups(t *testing.T) {
	const flood = 1000
	for name, tt := range map[string]struct {
		prefix string
		apart  time.Duration
		max    int
	}{
		"at once":           {"wba_", 0, 2}, // one for the first token, one for all that arrived in the meantime
		"within a second":   {"wba_", time.Millisecond, 11},
		"not of our making": {"", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := newDatabase("a")
				db.latency = 10 * time.Millisecond
				m := run(t, db, func(o *mailbox.Options) { o.SweepInterval = time.Hour })
				pass(time.Second)
				before := db.sweepCount()

				results := make(chan error, flood)
				for i := range flood {
					go func() {
						_, err := m.Authenticate(t.Context(), fmt.Sprintf("%sunknown%d", tt.prefix, i))
						results <- err
					}()
					time.Sleep(tt.apart)
				}
				for range flood {
					if err := <-results; !errors.Is(err, mailbox.ErrUnknownToken) {
						t.Fatalf("want ErrUnknownToken, got %v", err)
					}
				}
				if got := db.sweepCount() - before; got != 0 {
					t.Errorf("want no sweep, got %d", got)
				}
				if got := db.lookupCount(); got > tt.max {
					t.Errorf("want at most %d look-ups, got %d", tt.max, got)
				}
			})
		})
	}
}

func TestInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := run(t, newDatabase("a", "b@lab"))
		pass(10 * time.Millisecond)
		a, b := handle(t, m, "a"), handle(t, m, "b@lab")
		const own = 10 * time.Second
		for _, tt := range []struct {
			floors map[string]time.Duration
			a, b   time.Duration
		}{
			{map[string]time.Duration{"lab": 25 * time.Second}, own, 25 * time.Second},
			{map[string]time.Duration{"": 15 * time.Second, "lab": time.Second, "unheard of": time.Hour}, 15 * time.Second, own},
			{nil, own, own},
		} {
			m.SetFloors(tt.floors)
			if gotA, gotB := m.Interval(a), m.Interval(b); gotA != tt.a || gotB != tt.b {
				t.Errorf("floors %v: want %s and %s, got %s and %s", tt.floors, tt.a, tt.b, gotA, gotB)
			}
		}
	})
}

func TestIdlePollCostsNothing(t *testing.T) {
	db := newDatabase("a")
	m, stop := runUntilStopped(t, db)
	if err := m.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop() // so that nothing else allocates
	before, token := db.sweepCount(), db.token("a")

	allocations := testing.AllocsPerRun(1000, func() {
		a, err := m.Authenticate(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		m.MarkSeen(a, time.Now())
		if v, err := m.View(a); err != nil || !v.Fresh || v.Tag != nothing || m.Interval(a) != 10*time.Second {
			t.Fatalf("want nothing and fresh, got %+v, %v", v, err)
		}
	})
	if allocations != 0 {
		t.Errorf("want no allocation, got %v", allocations)
	}
	if got := db.sweepCount() - before; got != 0 {
		t.Errorf("want no call of the source, got %d", got)
	}
}

func TestRunEnds(t *testing.T) {
	for name, trouble := range map[string]func(*database){
		"idle":                 func(*database) {},
		"with a sweep stalled": func(db *database) { db.set(func(d *database) { d.stalled = true }) },
		"with sweeps failing":  func(db *database) { db.fail() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := newDatabase("a")
				m, stop := runUntilStopped(t, db)
				pass(10 * time.Millisecond)
				trouble(db)
				pass(700 * time.Millisecond)
				start := time.Now()
				sync := async(func() error { return m.Sync(context.Background()) })
				synctest.Wait()
				stop()
				if took := time.Since(start); took > 0 {
					t.Errorf("Run took %s to return", took)
				}
				if err := <-sync; name != "idle" && !errors.Is(err, fault.ErrUnavailable) {
					t.Errorf("a Sync that was waiting: want unavailable, got %v", err)
				}
				if err := m.Sync(context.Background()); !errors.Is(err, fault.ErrUnavailable) {
					t.Errorf("a Sync afterwards: want unavailable, got %v", err)
				}
			})
		})
	}
}
