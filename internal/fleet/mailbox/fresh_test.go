package mailbox_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/fleet/mailbox"
)

func TestChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase("a", "b")
		m := run(t, db)
		pass(10 * time.Millisecond)
		wantView(t, m, "a", nothing, true)

		tag := db.create("a", 0)
		m.Changed("a", "not known")
		wantView(t, m, "a", "", false)
		wantView(t, m, "b", nothing, true)
		pass(10 * time.Millisecond)
		wantView(t, m, "a", tag, true)
	})
}

// TestChangedDuringSweep covers writes committed after a running sweep took its snapshot: its end must not make the view
// Fresh.
func TestChangedDuringSweep(t *testing.T) {
	for name, tt := range map[string]struct {
		before func(*database) // called before the snapshot
		after  func(*database)
		want   string
		fails  bool
	}{
		"of a known agent":               {after: func(db *database) { db.create("a", 0) }},
		"of one with something waiting":  {before: func(db *database) { db.create("a", 0) }, after: func(db *database) { db.claim("a") }},
		"of one enrolled meanwhile":      {before: func(db *database) { db.enrol("n") }, after: func(db *database) { db.create("n", 0) }, want: "n"},
		"of one whose token was rotated": {before: func(db *database) { db.rotate("a") }, after: func(db *database) { db.create("a", 0) }},
		"of one enrolled again": {
			before: func(db *database) { db.create("a", 0); db.delete("a"); db.enrol("a") },
			after:  func(db *database) { db.create("a", 0) },
		},
		"and the sweep fails": {after: func(db *database) { db.create("a", 0) }, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := newDatabase("a")
				m := run(t, db)
				pass(10 * time.Millisecond)
				id := "a"
				if tt.want != "" {
					id = tt.want
				}
				if tt.before != nil {
					tt.before(db)
				}
				release := db.hold()
				m.Kick()
				pass(10 * time.Millisecond)
				tt.after(db)
				m.Changed(id)
				if tt.fails {
					db.fail()
				}
				release()
				synctest.Wait()
				db.heal()
				release = db.hold() // holds the next sweep, which was requested
				pass(400 * time.Millisecond)
				if _, known := m.Agent(id); known || tt.want == "" {
					wantView(t, m, id, "", false)
				} else if !tt.fails {
					t.Errorf("agent %s is not known", id)
				}
				release()
				pass(10 * time.Millisecond)
				wantView(t, m, id, db.tag(id), true)
			})
		})
	}
}

func TestChangedWhileSweepsFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase("a", "b")
		m := run(t, db)
		pass(10 * time.Millisecond)
		db.fail()
		tag := db.create("a", 0)
		m.Changed("a")
		for range 20 {
			pass(time.Second)
			wantView(t, m, "a", "", false)
			wantView(t, m, "b", nothing, true)
		}
		db.heal()
		pass(time.Second)
		wantView(t, m, "a", tag, true)
	})
}

// TestEnrolledElsewhere checks that polls of an agent enrolled on another replica soon need no queries.
func TestEnrolledElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase()
		m := run(t, db)
		pass(10 * time.Millisecond)
		before := db.sweepCount()
		db.enrol("a")
		m.Kick()
		pass(5 * time.Millisecond)
		wantView(t, m, "a", nothing, true)
		if got := db.sweepCount() - before; got != 2 {
			t.Errorf("want 2 sweeps, got %d", got)
		}
	})
}

// TestReenrolled covers an agent that is deleted, with its pending deployments, and enrolled again between two sweeps.
func TestReenrolled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase("a")
		db.create("a", 0)
		m := run(t, db)
		pass(10 * time.Millisecond)
		db.delete("a")
		db.enrol("a")
		pass(time.Second)
		wantView(t, m, "a", nothing, true)
	})
}

func TestSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := newDatabase("a")
		m := run(t, db)
		pass(10 * time.Millisecond)
		release := db.hold()
		m.Kick()
		pass(10 * time.Millisecond)
		tag := db.create("a", 0) // too late for the running sweep

		synced := async(func() error { return m.Sync(t.Context()) })
		synctest.Wait()
		release()
		synctest.Wait()
		release = db.hold()
		pass(400 * time.Millisecond)
		if !pending(synced) {
			t.Fatal("Sync returned for a sweep that began before it")
		}
		release()
		if err := <-synced; err != nil {
			t.Fatal(err)
		}
		wantView(t, m, "a", tag, true)
	})
}

func TestSyncFails(t *testing.T) {
	for name, tt := range map[string]struct {
		running bool // a sweep is running, and fails
		next    bool // the next one fails
		want    error
	}{
		"the sweep fails":                      {next: true, want: fault.ErrUnavailable},
		"the one before it fails":              {running: true},
		"the one before it fails, and it does": {running: true, next: true, want: fault.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				db := newDatabase("a")
				m := run(t, db)
				pass(10 * time.Millisecond)
				if tt.running {
					release := db.hold()
					m.Kick()
					pass(10 * time.Millisecond)
					db.fail()
					defer release()
					synced := async(func() error { return m.Sync(t.Context()) })
					synctest.Wait()
					release()
					synctest.Wait()
					if !tt.next {
						db.heal()
					}
					if err := <-synced; !errors.Is(err, tt.want) {
						t.Errorf("want %v, got %v", tt.want, err)
					}
					return
				}
				db.fail()
				if err := m.Sync(t.Context()); !errors.Is(err, tt.want) {
					t.Errorf("want %v, got %v", tt.want, err)
				}
			})
		})
	}
}

func TestSyncEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mailbox.New(mailbox.Options{Now: time.Now}) // without sweeps
		ctx, cancel := context.WithCancel(t.Context())
		synced := async(func() error { return m.Sync(ctx) })
		synctest.Wait()
		cancel()
		if err := <-synced; !errors.Is(err, context.Canceled) {
			t.Errorf("want context.Canceled, got %v", err)
		}
	})
}
