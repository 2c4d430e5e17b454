package spool_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/spool"
	"github.com/watchbill/watchbill/internal/fault"
)

// Data written to deleted files is lost with the process, so no run may begin.
func TestRemovedFiles(t *testing.T) {
	t.Parallel()
	for name, remove := range map[string]func(slot string) error{
		"the slot":        os.RemoveAll,
		"its lock":        func(slot string) error { return os.Remove(filepath.Join(slot, "lock")) },
		"its one segment": func(slot string) error { return os.Remove(filepath.Join(slot, "0000000000000001.spool1")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := open(t, dir)
			appendRun(t, s, run(0))
			start(t, s, func(context.Context, execution.Batch) (execution.Outcome, error) {
				return execution.Outcome{}, fault.ErrUnavailable
			})
			if err := remove(filepath.Join(dir, "slot-000")); err != nil {
				t.Fatal(err)
			}
			refusedWithin(t, s, true)
			stillRefused(t, s, 2*time.Second) // its disk works in the meantime, but the files are still missing
		})
	}
}

// A deleted segment is irrelevant once its content is delivered.
func TestRemovedSegmentAfterDelivery(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, l := open(t, dir, func(o *spool.Options) { o.Jitter = func() float64 { return 0.001 } }), newLedger()
	appendRun(t, s, run(0))
	l.fail(func(execution.Batch) error { return fault.ErrUnavailable })
	start(t, s, l.deliver)
	if err := os.Remove(onlySegment(t, dir)); err != nil {
		t.Fatal(err)
	}
	refusedWithin(t, s, true)
	l.fail(nil)
	refusedWithin(t, s, false)
	appendRun(t, s, run(1))
	if len(spool.Segments(t, dir)) != 1 {
		t.Error("the next run's record is nowhere")
	}
}

// refusedWithin waits until runs are rejected, or until they are admitted.
func refusedWithin(t *testing.T, s *spool.Spool, refused bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		r, err := s.Reserve()
		if err == nil {
			r.Release()
		}
		switch {
		case (err != nil) == refused:
			return
		case time.Now().After(end):
			t.Fatalf("reserve: got %v, want it refused: %t", err, refused)
		}
	}
}

// stillRefused fails the test if a run is admitted within d.
func stillRefused(t *testing.T, s *spool.Spool, d time.Duration) {
	t.Helper()
	end := time.NewTimer(d)
	defer end.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if r, err := s.Reserve(); err == nil {
			r.Release()
			t.Fatal("reserve: got room, want it refused")
		}
		select {
		case <-tick.C:
		case <-end.C:
			return
		}
	}
}
