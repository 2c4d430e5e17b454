package spool_test

import (
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/execution/spool"
)

func slots(t testing.TB, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "slot-*"))
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, path := range paths {
		if info, err := os.Stat(path); err != nil || !info.IsDir() {
			continue
		}
		names = append(names, filepath.Base(path))
	}
	return names
}

// Two spools of one process behave as those of two processes, since locks belong to open files.
func TestProcessesShareADirectory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		a, b := open(t, dir), open(t, dir)
		dead := open(t, dir)
		appendRuns(t, a, 0, 2)
		appendRuns(t, b, 10, 12)
		appendRuns(t, dead, 20, 22)
		if diff := cmp.Diff([]string{"slot-000", "slot-001", "slot-002"}, slots(t, dir)); diff != "" {
			t.Fatalf("slots (-want +got):\n%s", diff)
		}
		l := newLedger()
		start(t, a, l.deliver)
		synctest.Wait()
		if diff := cmp.Diff(ids(0, 2), l.ids()); diff != "" {
			t.Errorf("while the others live (-want +got):\n%s", diff)
		}

		closeSpool(t, dead) // its lock is released, and its records remain
		pass(spool.AdoptEvery)
		if diff := cmp.Diff(append(ids(0, 2), ids(20, 22)...), l.ids()); diff != "" {
			t.Errorf("once one is dead (-want +got):\n%s", diff)
		}
		pass(spool.AdoptEvery)
		if diff := cmp.Diff([]string{"slot-000", "slot-001"}, slots(t, dir)); diff != "" {
			t.Errorf("slots afterwards (-want +got):\n%s", diff)
		}
		if stats := a.Stats(); stats.Delivered != 4 || stats.Records != 0 {
			t.Errorf("stats: got %+v", stats)
		}
		if stats := b.Stats(); stats.Records != 2 || !stats.Oldest.Equal(run(10).CreatedAt) {
			t.Errorf("the other's stats: got %+v", stats)
		}
	})
}

func TestSlotsOfDeadProcessesAreAdopted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		var dead []*spool.Spool
		for n := range 5 {
			s := open(t, dir)
			appendRuns(t, s, n*10, n*10+3)
			dead = append(dead, s)
		}
		for _, s := range dead {
			closeSpool(t, s)
		}
		torn, err := os.OpenFile(spool.Segments(t, dir)[3], os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = torn.WriteString("torn")
		_ = torn.Close()

		s, l := open(t, dir), newLedger()
		l.fail(away)
		start(t, s, l.deliver)
		pass(time.Minute)
		if stats := s.Stats(); stats.Records != 6 { // those of its own slot and of an adopted one
			t.Errorf("while the database is unavailable: want 6 waiting, got %+v", stats)
		}
		appendRuns(t, s, 90, 91)
		l.fail(nil)
		pass(time.Minute)
		if n := len(l.ids()); n != 16 {
			t.Errorf("delivered: want 16, got %v", l.ids())
		}
		if stats := s.Stats(); stats.Corrupt != 1 || len(quarantined(t, dir)) != 1 {
			t.Errorf("the torn one: want it counted and kept aside, got %+v and %v", stats, quarantined(t, dir))
		}
		pass(time.Minute)
		if diff := cmp.Diff([]string{"slot-000"}, slots(t, dir)); diff != "" {
			t.Errorf("slots afterwards (-want +got):\n%s", diff)
		}
	})
}

func TestUndrainedAdoptedSlotIsReleased(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		own, dead := open(t, dir), open(t, dir)
		appendRuns(t, dead, 0, 3)
		closeSpool(t, dead)
		l := newLedger()
		l.fail(away)
		stop := start(t, own, l.deliver)
		pass(time.Second)
		stop()
		closeSpool(t, own)
		if got, _ := recoverAll(t, dir); len(got) != 0 { // takes the first slot, and does not run long enough to adopt
			t.Errorf("delivered: got %v", got)
		}
		s := open(t, dir)
		l.fail(nil)
		start(t, s, l.deliver)
		pass(time.Second)
		if diff := cmp.Diff(ids(0, 3), l.ids()); diff != "" {
			t.Errorf("delivered (-want +got):\n%s", diff)
		}
	})
}

// TestQuarantinedFilesAreKeptForAWeek checks that data which erasure does not reach is deleted eventually.
func TestQuarantinedFilesAreKeptForAWeek(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		for name, age := range map[string]time.Duration{"slot-000-1-16.corrupt": 8 * 24 * time.Hour, "slot-000-2-16.corrupt": 6 * 24 * time.Hour} {
			path, at := filepath.Join(dir, name), time.Now().Add(-age)
			if err := os.WriteFile(path, []byte("the-user"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, at, at); err != nil {
				t.Fatal(err)
			}
		}
		start(t, open(t, dir), newLedger().deliver)
		pass(time.Second)
		if got := quarantined(t, dir); len(got) != 1 || filepath.Base(got[0]) != "slot-000-2-16.corrupt" {
			t.Errorf("want the newer one alone, got %v", got)
		}
		pass(2 * 24 * time.Hour)
		if got := quarantined(t, dir); len(got) != 0 {
			t.Errorf("two days later: got %v", got)
		}
	})
}
