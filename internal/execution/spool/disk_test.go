package spool_test

import (
	"bytes"
	"errors"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/execution/spool"
)

func openFaulty(t testing.TB, dir string) (*spool.Spool, *spool.FaultyDisk) {
	t.Helper()
	disk := &spool.FaultyDisk{}
	s, err := spool.OpenFaulty(options(t, dir), disk)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeSpool(t, s) })
	return s, disk
}

func TestDiskFailure(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		fault error
		short int // bytes that a failing write still writes
	}{
		"is full":                          {syscall.ENOSPC, 0},
		"is full in the midst of a record": {syscall.ENOSPC, 20},
		"is read-only":                     {syscall.EROFS, 0},
		"is broken":                        {syscall.EIO, 9},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				s, disk := openFaulty(t, dir)
				appendRuns(t, s, 0, 2)
				underWay := make([]*spool.Reservation, 3)
				for i := range underWay {
					var err error
					if underWay[i], err = s.Reserve(); err != nil {
						t.Fatal(err)
					}
				}
				disk.Fail(test.fault, test.short)
				for i, r := range underWay {
					if err := r.Append(run(2 + i)); !errors.Is(err, test.fault) {
						t.Errorf("append: want %v, got %v", test.fault, err)
					}
				}
				if _, err := s.Reserve(); !errors.Is(err, test.fault) {
					t.Errorf("reserve: want %v, got %v", test.fault, err)
				}
				if stats := s.Stats(); stats.Records != 5 || !errors.Is(stats.Err, test.fault) {
					t.Errorf("stats: want all 5 waiting and the fault, got %+v", stats)
				}
				if got, _ := recoverAll(t, copyFolder(t, dir)); len(got) != 2 {
					t.Errorf("a process that comes after this one: want the first 2, got %v", got)
				}

				time.Sleep(2 * time.Second)
				if _, err := s.Reserve(); !errors.Is(err, test.fault) {
					t.Errorf("reserve after a while: want %v, got %v", test.fault, err)
				}
				disk.Fail(nil, 0)
				time.Sleep(2 * time.Second)
				appendRun(t, s, run(5)) // it recovers by itself
				l := newLedger()
				drain(t, s, l)
				got := map[string]bool{}
				for _, id := range l.ids() {
					got[id] = true
				}
				if len(got) != 6 || len(l.stored) != 6 {
					t.Errorf("delivered in the end: want 6 once each, got %v", l.ids())
				}
				if stats := s.Stats(); stats.Records != 0 || stats.Bytes != 0 || stats.Err != nil || stats.Duplicates != 0 {
					t.Errorf("stats in the end: got %+v", stats)
				}
			})
		})
	}
}

func TestUnwrittenExecutionsAreDeliveredFromMemory(t *testing.T) {
	t.Parallel()
	s, disk := openFaulty(t, t.TempDir())
	r, err := s.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	disk.Fail(syscall.EROFS, 0)
	if err := r.Append(run(0)); err == nil {
		t.Error("append: want an error")
	}
	l := newLedger()
	drain(t, s, l)
	if diff := cmp.Diff(ids(0, 1), l.ids()); diff != "" {
		t.Errorf("delivered (-want +got):\n%s", diff)
	}
}

func TestUnwrittenExecutionsAreWrittenAfterRecovery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s, disk := openFaulty(t, dir)
		l := newLedger()
		l.fail(away)
		start(t, s, l.deliver)
		r, err := s.Reserve()
		if err != nil {
			t.Fatal(err)
		}
		disk.Fail(syscall.ENOSPC, 3)
		if err := r.Append(run(0)); err == nil {
			t.Error("append: want an error")
		}
		pass(time.Minute)
		disk.Fail(nil, 0)
		pass(time.Minute)
		if got, _ := recoverAll(t, copyFolder(t, dir)); len(got) != 1 {
			t.Errorf("on disk: want it, got %v", got)
		}
		if err := s.Stats().Err; err != nil {
			t.Errorf("the fault: want none, got %v", err)
		}
	})
}

func TestFullDiskRejectsRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, disk := openFaulty(t, t.TempDir())
		disk.Left(100 << 10)
		if _, err := s.Reserve(); !errors.Is(err, spool.ErrDiskFull) {
			t.Errorf("reserve: want %v, got %v", spool.ErrDiskFull, err)
		}
		disk.Left(600 << 10)
		time.Sleep(time.Second) // free space is read no more often
		for range 2 {
			if _, err := s.Reserve(); err != nil {
				t.Errorf("reserve: %v", err)
			}
		}
		if _, err := s.Reserve(); !errors.Is(err, spool.ErrDiskFull) {
			t.Errorf("reserve beyond what is left: want %v, got %v", spool.ErrDiskFull, err)
		}
	})
}

func TestUnreadableDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s, disk := openFaulty(t, dir)
		l := newLedger()
		disk.FailReads(syscall.EIO)
		appendRuns(t, s, 0, 3)
		start(t, s, l.deliver)
		pass(time.Second)
		disk.FailReads(nil)
		pass(time.Minute)
		if diff := cmp.Diff(ids(0, 3), l.ids()); diff != "" {
			t.Errorf("delivered once it can be read (-want +got):\n%s", diff)
		}

		disk.FailReads(syscall.EIO)
		appendRuns(t, s, 3, 5)
		pass(time.Hour) // long enough to count as permanent
		disk.FailReads(nil)
		appendRuns(t, s, 5, 6)
		pass(time.Minute)
		if diff := cmp.Diff(append(ids(0, 3), ids(5, 6)...), l.ids()); diff != "" {
			t.Errorf("delivered after a part was dropped (-want +got):\n%s", diff)
		}
		if stats := s.Stats(); stats.Corrupt != 1 || stats.Records != 0 {
			t.Errorf("stats: want one part dropped, got %+v", stats)
		}
		kept := quarantined(t, dir)
		if len(kept) != 1 {
			t.Fatalf("kept aside: want the segment, got %v", kept)
		}
		if segment, err := os.ReadFile(kept[0]); err != nil || !bytes.Contains(segment, []byte(run(4).ID)) {
			t.Errorf("kept aside: want what was dropped to be in it; %v", err)
		}
	})
}

func TestUnsyncableDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, disk := openFaulty(t, t.TempDir())
		l := newLedger()
		l.fail(away)
		start(t, s, l.deliver)
		disk.FailSyncs(syscall.EIO)
		appendRun(t, s, run(0))
		pass(5 * time.Second)
		if _, err := s.Reserve(); !errors.Is(err, syscall.EIO) {
			t.Errorf("reserve: want %v, got %v", syscall.EIO, err)
		}
		disk.FailSyncs(nil)
		pass(5 * time.Second)
		if _, err := s.Reserve(); err != nil {
			t.Errorf("reserve once it can be synced: %v", err)
		}
	})
}
