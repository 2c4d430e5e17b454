package spool_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/spool"
)

// killedDir is the variable that makes this program the one that is killed: it appends records to a spool there, forever.
const killedDir = "SPOOL_TEST_KILLED_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(killedDir); dir != "" {
		appendForEver(dir)
	}
	goleak.VerifyTestMain(m)
}

// open opens a spool that is closed at the end of the test at the latest.
func open(t testing.TB, dir string, change ...func(*spool.Options)) *spool.Spool {
	t.Helper()
	s, err := spool.Open(options(t, dir, change...))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() { closeSpool(t, s) })
	return s
}

func options(t testing.TB, dir string, change ...func(*spool.Options)) spool.Options {
	opts := spool.Options{Dir: dir, Log: zaptest.NewLogger(t), Now: time.Now, Jitter: func() float64 { return 1 }}
	for _, c := range change {
		c(&opts)
	}
	return opts
}

func closeSpool(t testing.TB, s *spool.Spool) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

var began = time.Date(2026, 5, 4, 12, 0, 0, 123_456_000, time.UTC)

// run returns the nth execution of a test.
func run(n int) execution.Execution {
	return execution.Execution{
		ID: fmt.Sprintf("run-%05d", n), CreatedAt: began.Add(time.Duration(n) * time.Second),
		UserID: "user", AgentName: "writer", Kind: execution.Agent, Status: execution.Success, Request: true,
		Input: json.RawMessage(`{"message":"<hello> & \"good\" day"}`),
	}
}

func appendRun(t testing.TB, s *spool.Spool, e execution.Execution) {
	t.Helper()
	r, err := s.Reserve()
	if err != nil {
		t.Fatalf("reserve: %v", err)
	}
	if err := r.Append(e); err != nil {
		t.Fatalf("append: %v", err)
	}
}

func appendRuns(t testing.TB, s *spool.Spool, from, to int) {
	t.Helper()
	for n := from; n < to; n++ {
		appendRun(t, s, run(n))
	}
}

// ledger receives a test's executions. It fails on request.
type ledger struct {
	mu      sync.Mutex
	fault   func(execution.Batch) error
	refuse  func(execution.Execution) *execution.Fault
	stored  []execution.Execution
	spans   []execution.Span
	batches []int
	known   map[string]bool
	came    chan struct{} // has a value when something arrived
}

func newLedger() *ledger { return &ledger{known: map[string]bool{}, came: make(chan struct{}, 1)} }

func (l *ledger) fail(fault func(execution.Batch) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fault = fault
}

func (l *ledger) deliver(_ context.Context, b execution.Batch) (execution.Outcome, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer func() {
		select {
		case l.came <- struct{}{}:
		default:
		}
	}()
	l.batches = append(l.batches, len(b.Executions))
	if l.fault != nil {
		if err := l.fault(b); err != nil {
			return execution.Outcome{}, err
		}
	}
	var o execution.Outcome
	for i, e := range b.Executions {
		if l.refuse != nil {
			if fault := l.refuse(e); fault != nil {
				o.Rejected = append(o.Rejected, execution.Rejection{Index: i, Fault: *fault})
				continue
			}
		}
		if l.known[e.ID] {
			o.Duplicates++
			continue
		}
		l.known[e.ID] = true
		l.stored = append(l.stored, e)
		o.Accepted++
	}
	l.spans = append(l.spans, b.Spans...)
	return o, nil
}

func (l *ledger) ids() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	ids := []string{}
	for _, e := range l.stored {
		ids = append(ids, e.ID)
	}
	return ids
}

func ids(from, to int) []string {
	ids := []string{}
	for n := from; n < to; n++ {
		ids = append(ids, run(n).ID)
	}
	return ids
}

// start runs the spool's delivery until the test ends or stop is called.
func start(t testing.TB, s *spool.Spool, deliver spool.Deliver) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Run(ctx, deliver); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	stop = func() { cancel(); running.Wait() }
	t.Cleanup(stop)
	return stop
}

// drain delivers what is spooled, once, as at the end of a process.
func drain(t testing.TB, s *spool.Spool, l *ledger) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Run(ctx, l.deliver); err != nil {
		t.Fatalf("run: %v", err)
	}
}

// copyFolder copies a spool's current files, which a process would find after a crash.
func copyFolder(t testing.TB, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// onlySegment returns the only file with records in the folder.
func onlySegment(t testing.TB, dir string) string {
	t.Helper()
	paths := spool.Segments(t, dir)
	if len(paths) != 1 {
		t.Fatalf("segments: want 1, got %v", paths)
	}
	return paths[0]
}

func quarantined(t testing.TB, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.corrupt"))
	if err != nil {
		t.Fatal(err)
	}
	return paths
}
