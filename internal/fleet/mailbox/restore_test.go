package mailbox_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/fleet/mailbox"
)

// TestRestoredDatabase: data of the previous database is dropped, and sightings are written to the new one.
func TestRestoredDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase("a", "gone")
		for _, id := range []string{"a", "gone"} {
			db.slow(id, time.Hour)
		}
		m := run(t, db)
		pass(10 * time.Millisecond)
		old, gone := db.token("a"), db.token("gone")
		seen := time.Now()
		m.MarkSeen(handle(t, m, "a"), seen)
		m.MarkSeen(handle(t, m, "gone"), seen)
		pass(10 * time.Minute)
		saves := len(db.saves)

		db.restore("a", "b")
		pass(30 * time.Second)
		for token, want := range map[string]error{old: mailbox.ErrUnknownToken, gone: mailbox.ErrUnknownToken, db.token("a"): nil, db.token("b"): nil} {
			if _, err := m.Authenticate(t.Context(), token); !errors.Is(err, want) {
				t.Errorf("token: want %v, got %v", want, err)
			}
		}
		if len(db.saves) != saves+1 {
			t.Fatalf("want last-seen written once more, got %d times", len(db.saves)-saves)
		}
		last := db.saves[saves]
		if len(last.seen) != 1 || last.seen[0].ID != "a" || !last.at.Add(-last.seen[0].Age).Equal(seen) {
			t.Errorf("want that a was seen at %s, got %+v at %s", seen, last.seen, last.at)
		}
	})
}

// TestIntervalChangedInTheDatabase: a changed interval is in handles made afterwards.
func TestIntervalChangedInTheDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase("a")
		m := run(t, db)
		pass(10 * time.Millisecond)
		before := handle(t, m, "a")
		db.slow("a", time.Minute)
		pass(time.Second)
		for got, want := range map[time.Duration]time.Duration{m.Interval(before): 10 * time.Second, m.Interval(handle(t, m, "a")): time.Minute} {
			if got != want {
				t.Errorf("want %s, got %s", want, got)
			}
		}
		if a, err := m.Authenticate(t.Context(), db.token("a")); err != nil || a.Own() != time.Minute {
			t.Errorf("by the token: want a minute, got %s, %v", a.Own(), err)
		}
	})
}

// TestAgentMissedBySweeps: an agent that is in the database but in no incremental sweep is accepted, at the cost of one
// full sweep in five seconds.
func TestAgentMissedBySweeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase("a")
		m := run(t, db)
		pass(10 * time.Second)
		for i := range 3 {
			id := fmt.Sprint("unseen-", i)
			token := db.enrol(id)
			db.set(func(d *database) { d.agents[id].unseen = true })
			before := db.sweepCount()
			a, err := m.Authenticate(t.Context(), token)
			if i == 0 && (err != nil || a.ID() != id) {
				t.Errorf("want %s, got %v, %v", id, a, err)
			}
			if i > 0 && !errors.Is(err, fault.ErrUnavailable) {
				t.Errorf("right after: want unavailable, and nobody refused, got %v", err)
			}
			if got := db.sweepCount() - before; got > 3 {
				t.Errorf("want at most three sweeps, got %d", got)
			}
		}
		pass(6 * time.Second)
		for i := range 3 {
			if _, err := m.Authenticate(t.Context(), db.token(fmt.Sprint("unseen-", i))); err != nil {
				t.Errorf("after a while: %v", err)
			}
		}
		whole := 0
		for _, s := range db.sweeps {
			if s.whole {
				whole++
			}
		}
		if whole != 3 {
			t.Errorf("want three sweeps of everything, the first one included, got %d", whole)
		}
	})
}

// TestWaitingLookupsAreBounded: the number of unknown tokens waiting for a look-up is limited.
func TestWaitingLookupsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase("a")
		m, stop := runUntilStopped(t, db)
		pass(10 * time.Millisecond)
		release := db.hold()
		defer release()
		const flood = 25_000
		results := make(chan error, flood)
		for i := range flood {
			go func() {
				_, err := m.Authenticate(t.Context(), fmt.Sprint(fleet.TokenPrefix, i))
				results <- err
			}()
		}
		synctest.Wait()
		if got := len(results); got < flood/10 {
			t.Errorf("want thousands answered at once, got %d", got)
		}
		if _, err := m.Authenticate(t.Context(), db.token("a")); err != nil {
			t.Errorf("a known token meanwhile: %v", err)
		}
		stop()
		for range flood {
			if err := <-results; !errors.Is(err, fault.ErrUnavailable) {
				t.Fatalf("want unavailable, got %v", err)
			}
		}
	})
}
