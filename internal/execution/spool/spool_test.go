package spool_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/spool"
)

func TestExecutionIsDeliveredUnchanged(t *testing.T) {
	t.Parallel()
	full := execution.Execution{
		ID: "x", CreatedAt: began, UserID: "ü", SessionID: "s", RequestID: "r", AgentName: "a", Kind: execution.Inference,
		Variant: "b", Status: execution.Timeout, ErrorMessage: "too <late> & lost", Duration: 1234567 * time.Microsecond,
		Provider: "openai", Model: "m", Tokens: execution.Tokens{Input: 7, Output: 6, CacheRead: 5, CacheWrite: 1, Reasoning: 3, Used: 13},
		Cost: new(int64(12)), PriceVersion: "v", Input: json.RawMessage(`{"a":"<b>&"}`), Output: json.RawMessage(`[1,"\u2028"]`),
		TraceID: "0af7651916cd43dd8448eb211c80319c", SpanID: "b7ad6b7169203331", ParentSpanID: "00f067aa0ba902b7", Request: true,
	}
	bare := execution.Execution{ID: "y", CreatedAt: began, UserID: "u", AgentName: "a"}
	noJSON := bare
	noJSON.ID, noJSON.Output = "z", json.RawMessage(`{"torn`)
	noJSONOut := noJSON
	noJSONOut.Output = nil

	s, l := open(t, t.TempDir()), newLedger()
	for _, e := range []execution.Execution{full, bare, noJSON} {
		appendRun(t, s, e)
	}
	drain(t, s, l)
	if diff := cmp.Diff([]execution.Execution{full, bare, noJSONOut}, l.stored); diff != "" {
		t.Errorf("executions (-want +got):\n%s", diff)
	}
	want := []execution.Span{{
		TraceID: full.TraceID, SpanID: full.SpanID, ParentSpanID: full.ParentSpanID, Agent: "a", User: "ü", Session: "s", Execution: true,
	}}
	if diff := cmp.Diff(want, l.spans); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
}

// Files of older releases must be readable after an upgrade. The file is never regenerated.
func TestReadsSegmentsOfFirstRelease(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old, err := os.ReadFile(filepath.Join("testdata", "0000000000000001.spool1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "slot-000"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "slot-000", "0000000000000001.spool1"), old, 0o600); err != nil {
		t.Fatal(err)
	}
	s, l := open(t, dir), newLedger()
	drain(t, s, l)
	want := run(1)
	want.Duration, want.Cost, want.Tokens = 1500*time.Millisecond, new(int64(42)), execution.Tokens{Input: 3, Output: 4, Used: 7}
	if diff := cmp.Diff([]execution.Execution{want}, l.stored); diff != "" {
		t.Errorf("executions (-want +got):\n%s", diff)
	}
}

func TestSpaceIsReservedBeforeARun(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), func(o *spool.Options) { o.MaxBytes, o.MaxRecord = 10<<10, 2<<10 })
	var taken []*spool.Reservation
	for {
		r, err := s.Reserve()
		if err != nil {
			if !errors.Is(err, spool.ErrFull) {
				t.Fatalf("reserve: want %v, got %v", spool.ErrFull, err)
			}
			break
		}
		taken = append(taken, r)
	}
	if len(taken) != 5 {
		t.Fatalf("reservations of 2 KiB in 10 KiB: want 5, got %d", len(taken))
	}
	taken[0].Release()
	taken[0].Release() // has no effect the second time
	if err := taken[0].Append(run(0)); err == nil {
		t.Error("append to a released reservation: want an error")
	}
	if r, err := s.Reserve(); err != nil {
		t.Errorf("reserve after a release: %v", err)
	} else {
		taken[0] = r
	}
	if _, err := s.Reserve(); !errors.Is(err, spool.ErrFull) {
		t.Errorf("reserve: want %v, got %v", spool.ErrFull, err)
	}
	for n, r := range taken { // every reservation can append
		if err := r.Append(run(n)); err != nil {
			t.Errorf("append %d: %v", n, err)
		}
		if err := r.Append(run(n)); err == nil {
			t.Error("append twice: want an error")
		}
	}
	l := newLedger()
	drain(t, s, l)
	if diff := cmp.Diff(ids(0, 5), l.ids()); diff != "" {
		t.Errorf("delivered (-want +got):\n%s", diff)
	}
}

func TestDeliveryFreesSpace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, func(o *spool.Options) { o.MaxBytes, o.MaxRecord = 256<<10, 4<<10 })
	n := 0
	for ; ; n++ {
		r, err := s.Reserve()
		if errors.Is(err, spool.ErrFull) {
			break
		}
		if err != nil || r.Append(run(n)) != nil {
			t.Fatal("reserve and append:", err)
		}
	}
	stats := s.Stats()
	if stats.Used > stats.Capacity || stats.Used < stats.Capacity-(8<<10) {
		t.Errorf("used when full: want just below %d, got %d", stats.Capacity, stats.Used)
	}
	if stats.Records != n || !stats.Oldest.Equal(run(0).CreatedAt) {
		t.Errorf("when full: want %d records since %v, got %+v", n, run(0).CreatedAt, stats)
	}
	l := newLedger()
	drain(t, s, l)
	if diff := cmp.Diff(ids(0, n), l.ids()); diff != "" {
		t.Errorf("delivered (-want +got):\n%s", diff)
	}
	stats = s.Stats()
	if stats.Records != 0 || stats.Bytes != 0 || !stats.Oldest.IsZero() || stats.Used > spool.RecycleBytes || stats.Delivered != int64(n) {
		t.Errorf("after the delivery: want nothing waiting and little used, got %+v", stats)
	}
	if _, err := s.Reserve(); err != nil {
		t.Errorf("reserve after the delivery: %v", err)
	}
}

func TestExecutionLargerThanItsReservation(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		maxBytes int64
		want     bool // whether its output is kept
	}{
		"takes more if there is any":         {1 << 20, true},
		"else goes without input and output": {20 << 10, false},
		"and takes no room that others have": {24 << 10, false},
		"all unreserved space, if required":  {28 << 10, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, t.TempDir(), func(o *spool.Options) { o.MaxBytes, o.MaxRecord = test.maxBytes, 4<<10 })
			r, err := s.Reserve()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Reserve(); err != nil { // by another run
				t.Fatal(err)
			}
			large := run(0)
			large.Output = json.RawMessage(`"` + strings.Repeat("x", 20<<10) + `"`)
			if err := r.Append(large); err != nil {
				t.Fatalf("append: %v", err)
			}
			l := newLedger()
			drain(t, s, l)
			if len(l.stored) != 1 {
				t.Fatalf("delivered: want 1, got %d", len(l.stored))
			}
			if got := l.stored[0].Output != nil; got != test.want {
				t.Errorf("output kept: want %v, got %v", test.want, got)
			}
		})
	}
}

func TestEmptySpoolLeavesNoFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	appendRuns(t, s, 0, 3)
	drain(t, s, newLedger())
	closeSpool(t, s)
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 0 {
		t.Errorf("folder: want it empty, got %v, %v", entries, err)
	}
	if _, err := s.Reserve(); !errors.Is(err, spool.ErrClosed) {
		t.Errorf("reserve after close: want %v, got %v", spool.ErrClosed, err)
	}
	if s.Stats().Records != 0 {
		t.Error("stats after close: want no records")
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*spool.Options){
		"a file":               func(o *spool.Options) { o.Dir = file },
		"a folder of a file":   func(o *spool.Options) { o.Dir = filepath.Join(file, "sub") },
		"too little room":      func(o *spool.Options) { o.MaxBytes, o.MaxRecord = 10<<10, 6<<10 },
		"records of nothing":   func(o *spool.Options) { o.MaxRecord = 1 },
		"records beyond bound": func(o *spool.Options) { o.MaxRecord, o.MaxBytes = 1<<30, 1<<40 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := spool.Open(options(t, t.TempDir(), change))
			if err == nil {
				closeSpool(t, s)
				t.Error("open: want an error")
			}
		})
	}
}

func TestConcurrentAppendsDuringDelivery(t *testing.T) {
	t.Parallel()
	const writers, each = 8, 200
	s, l := open(t, t.TempDir()), newLedger()
	stop := start(t, s, l.deliver)
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for n := range each {
				r, err := s.Reserve()
				if err != nil {
					t.Errorf("reserve: %v", err)
					return
				}
				if n%7 == 0 {
					r.Release()
					continue
				}
				if err := r.Append(run(w*each + n)); err != nil {
					t.Errorf("append: %v", err)
				}
				_ = s.Stats()
			}
		})
	}
	writing.Wait()
	stop()
	var want []string
	last := make([]int, writers)
	for w := range writers {
		for n := range each {
			if n%7 != 0 {
				want = append(want, run(w*each+n).ID)
			}
		}
	}
	got := map[string]bool{}
	for _, e := range l.stored {
		got[e.ID] = true
		n := int(e.CreatedAt.Sub(began) / time.Second)
		if w := n / each; n%each < last[w] {
			t.Errorf("writer %d: run %d came after %d", w, n%each, last[w])
		} else {
			last[w] = n % each
		}
	}
	if len(got) != len(want) || len(l.stored) != len(want) {
		t.Errorf("delivered: want %d once each, got %d, %d of them different", len(want), len(l.stored), len(got))
	}
	if stats := s.Stats(); stats.Records != 0 || stats.Bytes != 0 || stats.Duplicates != 0 {
		t.Errorf("stats: want nothing waiting, got %+v", stats)
	}
}

func BenchmarkAppend(b *testing.B) {
	s, l := open(b, b.TempDir(), func(o *spool.Options) { o.Log = zap.NewNop() }), newLedger()
	start(b, s, l.deliver)
	for b.Loop() {
		appendRun(b, s, run(1))
	}
}
