package mailbox_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchbill/watchbill/internal/fleet/mailbox"
)

// rechecks returns the times at which sweeps rechecked the agent.
func (d *database) rechecks(id string) (at []time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.sweeps {
		if slices.Contains(s.rechecked, id) {
			at = append(at, s.begun)
		}
	}
	return at
}

func TestDueByTime(t *testing.T) {
	for name, trouble := range map[string]struct {
		before func(*database) // called before the sweep that reads the deployment
		during func(*database) // called before it becomes due
		late   time.Duration   // maximum, with faults ending 300 ms after it is due
	}{
		"nothing else happens":   {},
		"the sweep is slow":      {before: func(db *database) { db.latency = 100 * time.Millisecond }, late: 510 * time.Millisecond},
		"a sweep fails":          {during: func(db *database) { db.fault = errDatabase }, late: 900 * time.Millisecond},
		"a sweep fails half-way": {during: func(db *database) { db.fault, db.faultRow = errDatabase, 1 }, late: 900 * time.Millisecond},
		"the server restarts":    {during: func(db *database) { db.server++ }, late: 10 * time.Millisecond},
		"another server, which fails, and the first again": {
			during: func(db *database) {
				db.server++
				db.fault, db.onHeal = errDatabase, func() { db.server-- }
			},
			late: 900 * time.Millisecond,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := newDatabase("a", "b")
				m := run(t, db)
				pass(10 * time.Millisecond)
				if trouble.before != nil {
					db.set(trouble.before)
				}
				start := time.Now()
				db.create("a", 3100*time.Millisecond)
				db.create("a", 6100*time.Millisecond)
				db.create("b", 6200*time.Millisecond)
				m.Kick()
				pass(3 * time.Second)
				wantView(t, m, "a", nothing, true)
				if got := len(db.rechecks("a")); got != 0 {
					t.Errorf("before it is due: want no recheck, got %d", got)
				}
				a := handle(t, m, "a")
				v := view(t, m, a)
				woken := make(chan time.Duration, 1)
				go func() {
					if err := m.Await(t.Context(), a, v); err == nil {
						woken <- time.Since(start) - 3100*time.Millisecond
					}
				}()
				if trouble.during != nil {
					db.set(trouble.during)
				}
				pass(400 * time.Millisecond)
				db.heal()
				pass(time.Second)
				select {
				case late := <-woken:
					if late < 0 || late > trouble.late {
						t.Errorf("want at most %s late, got %s", trouble.late, late)
					}
				default:
					t.Fatal("it became due and was not noticed")
				}
				wantView(t, m, "a", db.tag("a"), true)
				pass(3 * time.Second) // the second recheck, and the other agent's
				wantView(t, m, "a", db.tag("a"), true)
				wantView(t, m, "b", db.tag("b"), true)
			})
		})
	}
}

// TestDueDuringSlowSweep checks that the time counts from the sweep's start, so that the next sweep, if it starts later,
// rechecks.
func TestDueDuringSlowSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase("a")
		m := run(t, db)
		pass(10 * time.Millisecond)
		db.set(func(d *database) { d.latency = 100 * time.Millisecond })
		db.create("a", 450*time.Millisecond)
		m.Kick()
		pass(200 * time.Millisecond)
		m.Kick() // 500 ms after the first
		pass(410 * time.Millisecond)
		wantView(t, m, "a", db.tag("a"), true)
	})
}

// TestRechecksDoNotRepeat checks that an agent is rechecked once for each requested time, however often it is returned.
func TestRechecksDoNotRepeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase("a")
		m := run(t, db)
		pass(10 * time.Millisecond)
		db.create("a", 10*time.Second)
		for range 500 {
			db.create("a", 0)
			db.set(func(d *database) { // only it is claimed
				r := d.agents["a"]
				r.work = r.work[:1]
				d.commit("a")
			})
			m.Changed("a")
			pass(10 * time.Millisecond)
		}
		pass(10 * time.Second)
		if got := db.rechecks("a"); len(got) != 1 {
			t.Errorf("want one recheck, got %v", got)
		}
		wantView(t, m, "a", db.tag("a"), true)
	})
}

// TestFullSweepWhileRunning covers a database server that was restarted or replaced.
func TestFullSweepWhileRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase("idle", "waits", "claimed", "deleted", "rotated", "again")
		for _, id := range []string{"waits", "claimed", "deleted", "rotated", "again"} {
			db.create(id, 0)
		}
		m := run(t, db)
		pass(10 * time.Millisecond)
		woken := map[string]<-chan error{}
		for _, id := range db.ids() {
			a := handle(t, m, id)
			v := view(t, m, a)
			woken[id] = async(func() error { return m.Await(t.Context(), a, v) })
		}
		synctest.Wait()

		db.restart()
		db.claim("claimed")
		db.delete("deleted")
		db.rotate("rotated")
		db.delete("again")
		db.enrol("again")
		db.enrol("new")
		db.create("new", 0)
		db.delete("new")
		db.enrol("newer")
		tag := db.create("newer", 0)
		pass(time.Second)

		for id, result := range woken {
			if want := id == "idle" || id == "waits"; pending(result) != want {
				t.Errorf("poll of %s: want still held %v, got %v", id, want, !want)
			}
		}
		if _, known := m.Agent("deleted"); known || m.Health().Agents != len(db.ids()) {
			t.Errorf("want %v known, got %d", db.ids(), m.Health().Agents)
		}
		for _, id := range db.ids() {
			wantView(t, m, id, db.tag(id), true)
		}
		wantView(t, m, "newer", tag, true)
		if n := db.wholeSweeps(); n != 2 {
			t.Errorf("want 2 whole sweeps, got %d", n)
		}
	})
}

func (d *database) wholeSweeps() (n int) {
	for _, s := range d.sweeps {
		if s.whole {
			n++
		}
	}
	return n
}

// TestOldWatermark covers a database that was unreachable for so long that it no longer has the agents deleted since.
func TestOldWatermark(t *testing.T) {
	for name, tt := range map[string]struct {
		away  time.Duration
		whole int
	}{
		"an hour":        {time.Hour + time.Minute, 2},
		"less than that": {59 * time.Minute, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := newDatabase("a", "b")
				m := run(t, db)
				pass(10 * time.Millisecond)
				db.fail()
				pass(tt.away)
				db.delete("b")
				if tt.whole > 1 {
					db.set(func(d *database) { clear(d.deleted) })
				}
				before := db.wholeSweeps()
				db.heal()
				pass(time.Second)
				if _, known := m.Agent("b"); known {
					t.Error("the deleted agent is still known")
				}
				if got := 1 + db.wholeSweeps() - before; got != tt.whole {
					t.Errorf("want %d whole sweeps that succeed, got %d", tt.whole, got)
				}
			})
		})
	}
}

// TestSlowFullSweepWhileRunning covers a fleet that takes longer than the usual deadline to read in full.
func TestSlowFullSweepWhileRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase("a")
		db.wholeSlow = 15 * time.Second
		m := run(t, db)
		pass(16 * time.Second)
		wantView(t, m, "a", nothing, true)
		db.restart()
		tag := db.create("a", 0)
		pass(25 * time.Second)
		wantView(t, m, "a", tag, true)
	})
}

// TestLongSweepDoesNotDelayLaterOnes covers a sweep that had the deadline of a full sweep, because the last one was full and
// failed, and used all of it.
func TestLongSweepDoesNotDelayLaterOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase("a")
		m := run(t, db)
		pass(10 * time.Millisecond)
		db.set(func(d *database) { d.server, d.fault = 2, errDatabase })
		pass(550 * time.Millisecond)
		db.set(func(d *database) { d.server, d.fault, d.latency = 1, nil, 15*time.Second })
		pass(16 * time.Second)
		db.set(func(d *database) { d.latency = 0 })
		tag := db.create("a", 0)
		pass(9 * time.Second)
		wantView(t, m, "a", tag, true)
	})
}

// TestPace kicks continuously and checks the rate of sweeps.
func TestPace(t *testing.T) {
	for name, tt := range map[string]struct {
		trouble   func(*database)
		kicks     bool
		min, max  int           // sweeps in 30 s
		limit     float64       // maximum share of the time
		afterHeal time.Duration // time until the next one is done
	}{
		"idle":                {min: 59, max: 61, limit: 0, afterHeal: 500 * time.Millisecond},
		"hinted":              {kicks: true, min: 7_000, max: 15_001, limit: 0, afterHeal: 3 * time.Millisecond},
		"slow":                {trouble: func(db *database) { db.latency = 300 * time.Millisecond }, kicks: true, min: 19, max: 21, limit: 0.21, afterHeal: 1500 * time.Millisecond},
		"slow, without hints": {trouble: func(db *database) { db.latency = 300 * time.Millisecond }, min: 14, max: 21, limit: 0.21, afterHeal: 2 * time.Second},
		"failing":             {trouble: func(db *database) { db.fault = errDatabase }, kicks: true, min: 58, max: 65, limit: 0, afterHeal: 500 * time.Millisecond},
		"stalled":             {trouble: func(db *database) { db.stalled = true }, kicks: true, min: 7, max: 8, limit: 0.55, afterHeal: 4 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const span = 30 * time.Second
				db := newDatabase("a")
				m := run(t, db)
				pass(10 * time.Millisecond)
				if tt.trouble != nil {
					db.set(tt.trouble)
				}
				before := db.sweepCount()
				for start := time.Now(); time.Since(start) < span; pass(time.Millisecond) {
					if tt.kicks {
						m.Kick()
					}
				}
				var swept time.Duration
				for _, s := range db.sweeps[before:] {
					swept += max(s.ended.Sub(s.begun), 0)
				}
				if got := db.sweepCount() - before; got < tt.min || got > tt.max {
					t.Errorf("want from %d to %d sweeps, got %d", tt.min, tt.max, got)
				}
				if share := swept.Seconds() / span.Seconds(); share > tt.limit {
					t.Errorf("want at most %.2f of the time, got %.2f", tt.limit, share)
				}

				db.heal()
				db.set(func(d *database) { d.latency = 0 })
				tag := db.create("a", 0)
				if tt.kicks {
					m.Kick()
				}
				pass(tt.afterHeal)
				wantView(t, m, "a", tag, true)
			})
		})
	}
}

// TestSlowFirstFill checks that a first fill that was slow, or timed out, does not delay the following sweeps.
func TestSlowFirstFill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase("a")
		db.stalled = true
		m := run(t, db)
		pass(20 * time.Second) // its deadline
		db.heal()
		db.set(func(d *database) { d.wholeSlow = 10 * time.Second })
		pass(13 * time.Second)
		wantView(t, m, "a", nothing, true)
		tag := db.create("a", 0)
		pass(time.Second)
		wantView(t, m, "a", tag, true)
	})
}

// TestFailedFirstSweepLeavesNoAgents covers an agent returned by a failed sweep and deleted before the next.
func TestFailedFirstSweepLeavesNoAgents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase("a", "b", "c")
		db.create("c", 0)
		db.fault, db.faultRow = errDatabase, 4
		m := run(t, db)
		pass(10 * time.Millisecond)
		db.delete("b")
		db.delete("c")
		db.heal()
		pass(time.Second)
		if got := m.Health().Agents; got != 1 {
			t.Errorf("want 1 agent, got %d", got)
		}
	})
}

var _ mailbox.Source = (*database)(nil)
