package mailbox_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/fleet/mailbox"
)

const (
	logFailed = "warn: mailbox sweep failed"
	logBlind  = "error: mailbox is stale; answering polls from memory"
	logClosed = "error: mailbox stale for too long; answering polls with 503"
	logSees   = "info: mailbox is current again"
)

func logTo(lines *observer.ObservedLogs, core zapcore.Core) (func(*mailbox.Options), func() []string) {
	return func(o *mailbox.Options) { o.Log = zap.New(core) }, func() (got []string) {
		for _, line := range lines.All() {
			got = append(got, line.Level.String()+": "+line.Message)
		}
		return got
	}
}

func TestDatabaseOutageClosesMailbox(t *testing.T) {
	for name, trouble := range map[string]struct {
		do   func(*database)
		late time.Duration // how late a change of state may be
	}{
		"sweeps fail":  {func(db *database) { db.fault = errDatabase }, time.Second},
		"sweeps stall": {func(db *database) { db.stalled = true }, 4 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				core, lines := observer.New(zapcore.DebugLevel)
				withLog, logged := logTo(lines, core)
				db := newDatabase("a", "b")
				tag := db.create("a", 0)
				m := run(t, db, withLog)
				pass(10 * time.Millisecond)
				a := handle(t, m, "a")
				lost := time.Now()
				db.set(trouble.do)

				// Counted from the newest applied sweep, which is at most 500 ms old.
				for _, step := range []struct {
					at     time.Duration
					blind  bool
					closed bool
					log    []string
				}{
					{4400 * time.Millisecond, false, false, []string{logFailed}},
					{5500*time.Millisecond + trouble.late, true, false, []string{logFailed, logBlind}},
					{124 * time.Second, true, false, []string{logFailed, logBlind}},
					{125500*time.Millisecond + trouble.late, true, true, []string{logFailed, logBlind, logClosed}},
					{time.Hour, true, true, []string{logFailed, logBlind, logClosed}},
				} {
					pass(step.at - time.Since(lost))
					h := m.Health()
					if h.Stale != step.blind || !h.Filled || h.Agents != 2 || h.SinceSweep < step.at-time.Second {
						t.Errorf("after %s: want blind %v, got %+v", step.at, step.blind, h)
					}
					v, err := m.View(a)
					if step.closed != errors.Is(err, fault.ErrUnavailable) {
						t.Errorf("after %s: want unavailable %v, got %v", step.at, step.closed, err)
					}
					if !step.closed && (v.Tag != tag || !v.Fresh) {
						t.Errorf("after %s: want an answer from memory, got %+v", step.at, v)
					}
					if got, err := m.Authenticate(t.Context(), db.token("a")); err != nil || got != a {
						t.Errorf("after %s: known token: got %v", step.at, err)
					}
					if diff := cmp.Diff(step.log, logged()); diff != "" {
						t.Errorf("after %s: log (-want +got):\n%s", step.at, diff)
					}
				}

				db.heal()
				tag = db.create("a", 0)
				pass(500*time.Millisecond + trouble.late)
				wantView(t, m, "a", tag, true)
				if h := m.Health(); h.Stale || h.SinceSweep > 500*time.Millisecond {
					t.Errorf("healed: got %+v", h)
				}
				if diff := cmp.Diff([]string{logFailed, logBlind, logClosed, logSees}, logged()); diff != "" {
					t.Errorf("healed: log (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestShortDatabaseOutage(t *testing.T) {
	for name, tt := range map[string]struct {
		away time.Duration
		log  []string
	}{
		"a hiccup":         {3 * time.Second, []string{logFailed}},
		"within the grace": {time.Minute, []string{logFailed, logBlind, logSees}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				core, lines := observer.New(zapcore.DebugLevel)
				withLog, logged := logTo(lines, core)
				db := newDatabase("a")
				m := run(t, db, withLog)
				pass(10 * time.Millisecond)
				polled := async(func() error { _, err := poll(t.Context(), m, db, handle(t, m, "a"), nothing); return err })
				db.fail()
				pass(tt.away)
				if !pending(polled) {
					t.Error("the held poll was released")
				}
				db.heal()
				db.create("a", 0)
				pass(1100 * time.Millisecond)
				if diff := cmp.Diff(tt.log, logged()); diff != "" {
					t.Errorf("log (-want +got):\n%s", diff)
				}
				if err := <-polled; err != nil {
					t.Errorf("the held poll: %v", err)
				}
			})
		})
	}
}

// TestFirstSweepNeverSucceeds covers a replica that starts while the database is unreachable: it has not been filled
// yet, which is not blind.
func TestFirstSweepNeverSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, lines := observer.New(zapcore.DebugLevel)
		withLog, logged := logTo(lines, core)
		db := newDatabase("a")
		db.fault = errDatabase
		m := run(t, db, withLog)
		pass(time.Hour)
		if h := m.Health(); h != (mailbox.Health{}) {
			t.Errorf("want nothing, got %+v", h)
		}
		if diff := cmp.Diff([]string{logFailed}, logged()); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
		db.heal()
		pass(time.Second)
		wantView(t, m, "a", nothing, true)
	})
}
