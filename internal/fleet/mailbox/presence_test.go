package mailbox_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/watchbill/watchbill/internal/fleet/mailbox"
)

const own = 10 * time.Second

// saved returns the sightings written since its last call, and checks the number of writes.
func saved(t *testing.T, db *database, writes int) (seen [][]mailbox.Sighting) {
	t.Helper()
	db.set(func(d *database) {
		for _, s := range d.saves {
			seen = append(seen, s.seen)
		}
		d.saves = nil
	})
	if len(seen) != writes {
		t.Fatalf("want %d writes, got %v", writes, seen)
	}
	return seen
}

func wantSeen(t *testing.T, got []mailbox.Sighting, want ...mailbox.Sighting) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("written (-want +got):\n%s", diff)
	}
}

func TestPresence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase("d", "c", "b", "a")
		m := run(t, db)
		pass(11 * time.Second) // a second after the second time
		saved(t, db, 0)        // no agent was seen, so nothing is written

		m.MarkSeen(handle(t, m, "c"), time.Now())
		pass(time.Second)
		m.MarkSeen(handle(t, m, "b"), time.Now())
		m.MarkSeen(handle(t, m, "a"), time.Now())
		pass(time.Second)
		m.MarkSeen(handle(t, m, "a"), time.Now())
		pass(2 * time.Second)
		wantSeen(t, saved(t, db, 1)[0],
			mailbox.Sighting{ID: "a", Age: 2 * time.Second, Interval: own},
			mailbox.Sighting{ID: "b", Age: 3 * time.Second, Interval: own},
			mailbox.Sighting{ID: "c", Age: 4 * time.Second, Interval: own},
		)
		pass(20 * time.Second)
		saved(t, db, 0) // each sighting is written once
	})
}

func TestPresenceOfHeldPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase("a", "b")
		m := run(t, db)
		pass(10 * time.Millisecond)
		m.SetFloors(map[string]time.Duration{"": 3 * own})
		a := handle(t, m, "a")
		v := view(t, m, a)
		ctx, cancel := context.WithTimeout(t.Context(), 16*time.Second)
		defer cancel()
		m.MarkSeen(a, time.Now())
		_ = m.Await(ctx, a, v)
		wantSeen(t, saved(t, db, 1)[0], mailbox.Sighting{ID: "a", Age: 0, Interval: 3 * own})
		pass(20 * time.Second) // the end of the held poll is written too, at the 35th second
		wantSeen(t, saved(t, db, 1)[0], mailbox.Sighting{ID: "a", Age: 19*time.Second - 10*time.Millisecond, Interval: 3 * own})
		pass(20 * time.Second)
		saved(t, db, 0)
	})
}

// TestPresenceOfFrequentPolls: an agent that polls more often than its interval is written no more often, but its last poll
// is written.
func TestPresenceOfFrequentPolls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase("a")
		m := run(t, db)
		pass(10 * time.Millisecond)
		m.SetFloors(map[string]time.Duration{"": 3 * own})
		for range 42 {
			m.MarkSeen(handle(t, m, "a"), time.Now())
			pass(time.Second)
		}
		for _, one := range saved(t, db, 2) { // at the 5th and 35th second: 30 s are its interval
			wantSeen(t, one, mailbox.Sighting{ID: "a", Age: time.Second - 10*time.Millisecond, Interval: 3 * own})
		}
		pass(25 * time.Second) // and at the 65th, when it has been silent since the 41st
		wantSeen(t, saved(t, db, 1)[0], mailbox.Sighting{ID: "a", Age: 24*time.Second - 10*time.Millisecond, Interval: 3 * own})
		pass(time.Minute)
		saved(t, db, 0)
	})
}

// TestPresenceWhenClockIsSetBack: a sighting whose due time is far ahead after the clock was set back is written without
// waiting for it.
func TestPresenceWhenClockIsSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase("a")
		var ahead atomic.Int64
		ahead.Store(int64(time.Hour))
		now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		m := run(t, db, func(o *mailbox.Options) { o.Now = now })
		pass(time.Second)
		m.MarkSeen(handle(t, m, "a"), now())
		pass(5 * time.Second)
		saved(t, db, 1)
		m.MarkSeen(handle(t, m, "a"), now())
		pass(5 * time.Second)
		saved(t, db, 0) // not due yet
		ahead.Store(0)
		pass(5 * time.Second)
		wantSeen(t, saved(t, db, 1)[0], mailbox.Sighting{ID: "a", Age: 0, Interval: own})
	})
}

// TestPresenceOfShorterInterval: a sighting does not wait for the end of a long interval once the interval is short.
func TestPresenceOfShorterInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase("a")
		m := run(t, db)
		m.SetFloors(map[string]time.Duration{"": 100 * own})
		pass(time.Second)
		m.MarkSeen(handle(t, m, "a"), time.Now())
		pass(5 * time.Second)
		saved(t, db, 1)
		m.MarkSeen(handle(t, m, "a"), time.Now())
		pass(5 * time.Second)
		m.SetFloors(nil)
		pass(10 * time.Second)
		wantSeen(t, saved(t, db, 1)[0], mailbox.Sighting{ID: "a", Age: 9 * time.Second, Interval: own})
	})
}

// TestPresenceOfSuccessor: sightings of a deleted agent are not written for the agent that reuses its record.
func TestPresenceOfSuccessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase("old")
		m := run(t, db)
		pass(time.Second)
		old := handle(t, m, "old")
		m.MarkSeen(old, time.Now())
		db.delete("old")
		pass(time.Second)
		db.enrol("new")
		pass(time.Second)
		m.MarkSeen(old, time.Now())
		pass(3 * time.Second)
		saved(t, db, 0)
		m.MarkSeen(handle(t, m, "new"), time.Now())
		pass(time.Minute)
		wantSeen(t, saved(t, db, 1)[0], mailbox.Sighting{ID: "new", Age: 4 * time.Second, Interval: own})
	})
}

// TestPresenceOfRotatedToken: a sighting under the old token is written once, under the new one.
func TestPresenceOfRotatedToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase("a")
		m := run(t, db)
		pass(time.Second)
		m.MarkSeen(handle(t, m, "a"), time.Now())
		db.rotate("a")
		pass(time.Second)
		m.MarkSeen(handle(t, m, "a"), time.Now())
		pass(4 * time.Second)
		wantSeen(t, saved(t, db, 1)[0], mailbox.Sighting{ID: "a", Age: 3 * time.Second, Interval: own})
		m.MarkSeen(handle(t, m, "a"), time.Now())
		db.rotate("a")
		pass(10 * time.Second) // not earlier because of the rotation
		wantSeen(t, saved(t, db, 1)[0], mailbox.Sighting{ID: "a", Age: 9 * time.Second, Interval: own})
	})
}

func TestPresenceThatCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, lines := observer.New(zapcore.DebugLevel)
		withLog, logged := logTo(lines, core)
		db := newDatabase("a", "b", "gone", "held")
		m := run(t, db, withLog)
		pass(1 * time.Second)
		for _, id := range []string{"a", "b", "gone"} {
			m.MarkSeen(handle(t, m, id), time.Now())
		}
		ctx, cancel := context.WithTimeout(t.Context(), 6*time.Second)
		defer cancel()
		go func() {
			held, _ := m.Agent("held")
			_ = m.Await(ctx, held, view(t, m, held))
		}()
		db.set(func(d *database) {
			d.saveFault = errDatabase
			d.onSave = func() { // b is seen again during the write that fails
				b, _ := m.Agent("b")
				m.MarkSeen(b, time.Now())
				d.set(func(d *database) { d.onSave = nil })
			}
		})
		pass(5 * time.Second) // one write failed a second ago
		wantSeen(t, saved(t, db, 1)[0],
			mailbox.Sighting{ID: "a", Age: 4 * time.Second, Interval: own},
			mailbox.Sighting{ID: "b", Age: 4 * time.Second, Interval: own},
			mailbox.Sighting{ID: "gone", Age: 4 * time.Second, Interval: own},
			mailbox.Sighting{ID: "held", Age: 0, Interval: own},
		)
		db.delete("gone")
		pass(5 * time.Second)
		saved(t, db, 1)
		db.heal()
		pass(5 * time.Second)
		wantSeen(t, saved(t, db, 1)[0],
			mailbox.Sighting{ID: "a", Age: 14 * time.Second, Interval: own},
			mailbox.Sighting{ID: "b", Age: 10 * time.Second, Interval: own},
			mailbox.Sighting{ID: "held", Age: 8 * time.Second, Interval: own},
		)
		pass(20 * time.Second)
		saved(t, db, 0)
		if diff := cmp.Diff([]string{"warn: cannot write last-seen"}, logged()); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
	})
}

func TestPresenceIsWrittenAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase("a", "b")
		m, stop := runUntilStopped(t, db)
		pass(time.Second)
		m.MarkSeen(handle(t, m, "b"), time.Now())
		m.MarkSeen(handle(t, m, "a"), time.Now())
		pass(time.Second)
		stop()
		wantSeen(t, saved(t, db, 1)[0],
			mailbox.Sighting{ID: "a", Age: time.Second, Interval: own},
			mailbox.Sighting{ID: "b", Age: time.Second, Interval: own},
		)
	})
}

// TestPresenceOfClockSetBack checks that no age is negative.
func TestPresenceOfClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase("a")
		var back time.Duration
		m, stop := runUntilStopped(t, db, func(o *mailbox.Options) {
			o.Now = func() time.Time { return time.Now().Add(-back) }
		})
		pass(time.Second)
		m.MarkSeen(handle(t, m, "a"), time.Now())
		synctest.Wait()
		back = time.Hour
		stop()
		wantSeen(t, saved(t, db, 1)[0], mailbox.Sighting{ID: "a", Age: 0, Interval: own})
	})
}
