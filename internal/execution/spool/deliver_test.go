package spool_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/spool"
	"github.com/watchbill/watchbill/internal/fault"
)

var errDefect = errors.New("a defect")

func away(execution.Batch) error { return fmt.Errorf("append: %w", fault.ErrUnavailable) }

func TestDeliveryIsImmediateAndBatched(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, l := open(t, t.TempDir()), newLedger()
		appendRuns(t, s, 0, 2*spool.BatchRecords+1)
		start(t, s, l.deliver)
		synctest.Wait()
		if diff := cmp.Diff([]int{spool.BatchRecords, spool.BatchRecords, 1}, l.batches); diff != "" {
			t.Errorf("batches (-want +got):\n%s", diff)
		}
		appendRun(t, s, run(5000))
		synctest.Wait() // no time passes
		if got := l.ids(); got[len(got)-1] != run(5000).ID {
			t.Error("what is appended while nothing waits must be delivered at once")
		}
	})
}

func TestBatchesAreBoundedInBytes(t *testing.T) {
	t.Parallel()
	s, l := open(t, t.TempDir(), func(o *spool.Options) { o.MaxRecord = 2 << 20 }), newLedger()
	for n := range 9 {
		e := run(n)
		e.Output = json.RawMessage(`"` + strings.Repeat("x", 1<<20) + `"`)
		appendRun(t, s, e)
	}
	drain(t, s, l)
	for _, n := range l.batches {
		if n > 4 {
			t.Errorf("a batch of %d MiB", n)
		}
	}
	if diff := cmp.Diff(ids(0, 9), l.ids()); diff != "" {
		t.Errorf("delivered (-want +got):\n%s", diff)
	}
}

func TestOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, l := open(t, t.TempDir()), newLedger()
		l.fail(away)
		start(t, s, l.deliver)
		appendRuns(t, s, 0, 3)
		pass(time.Hour)
		// Maximum delays: 0.2 s, 0.4 s … then every 15 s.
		if n := len(l.batches); n < 60*4 || n > 60*4+20 {
			t.Errorf("attempts in an hour: want about one every 15 s, got %d", n)
		}
		if stats := s.Stats(); stats.Records != 3 || stats.Rejected != 0 {
			t.Errorf("meanwhile: want 3 waiting, got %+v", stats)
		}
		appendRuns(t, s, 3, 5)
		l.fail(nil)
		pass(16 * time.Second)
		if diff := cmp.Diff(ids(0, 5), l.ids()); diff != "" {
			t.Errorf("delivered afterwards (-want +got):\n%s", diff)
		}
	})
}

func TestRejectedExecutionIsDroppedAndLogged(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.ErrorLevel)
	s, l := open(t, t.TempDir(), func(o *spool.Options) { o.Log = zap.New(core) }), newLedger()
	l.refuse = func(e execution.Execution) *execution.Fault {
		if e.ID == run(1).ID {
			return &execution.Fault{Code: "too_old", Field: "created_at", Detail: "is too old"}
		}
		return nil
	}
	appendRuns(t, s, 0, 3)
	drain(t, s, l)
	if diff := cmp.Diff([]string{run(0).ID, run(2).ID}, l.ids()); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	if stats := s.Stats(); stats.Rejected != 1 || stats.Delivered != 2 || stats.Records != 0 {
		t.Errorf("stats: got %+v", stats)
	}
	logged := logs.All()
	if len(logged) != 1 || logged[0].ContextMap()["execution_id"] != run(1).ID || logged[0].ContextMap()["code"] != "too_old" {
		t.Errorf("log: want one line with id and code, got %v", logged)
	}
}

func TestDuplicatesAreCounted(t *testing.T) {
	t.Parallel()
	s, l := open(t, t.TempDir()), newLedger()
	appendRuns(t, s, 0, 2)
	appendRuns(t, s, 0, 2)
	drain(t, s, l)
	if stats := s.Stats(); stats.Delivered != 2 || stats.Duplicates != 2 {
		t.Errorf("stats: want 2 delivered and 2 duplicates, got %+v", stats)
	}
}

// An execution that makes the ledger fail, for a reason other than an outage, does not delay others and is eventually
// dropped.
func TestUnstorableExecution(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, l := open(t, t.TempDir()), newLedger()
		l.fail(func(b execution.Batch) error {
			for _, e := range b.Executions {
				if e.ID == run(7).ID {
					return errDefect
				}
			}
			return nil
		})
		appendRuns(t, s, 0, 40)
		start(t, s, l.deliver)
		pass(10 * time.Minute)
		want := append(ids(0, 7), ids(8, 40)...)
		if diff := cmp.Diff(want, l.ids()); diff != "" {
			t.Errorf("stored (-want +got):\n%s", diff)
		}
		if stats := s.Stats(); stats.Records != 0 || stats.Rejected != 1 {
			t.Errorf("stats: want it dropped, got %+v", stats)
		}
	})
}

// When every execution fails, the fault is the ledger's: all of them wait until it is fixed.
func TestLedgerPanicLosesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, l := open(t, t.TempDir()), newLedger()
		l.fail(func(execution.Batch) error { return errDefect })
		appendRuns(t, s, 0, 12)
		start(t, s, l.deliver)
		pass(20 * time.Minute)
		if stats := s.Stats(); stats.Records != 12 || stats.Rejected != 0 {
			t.Errorf("stats: want all 12 waiting, got %+v", stats)
		}
		l.fail(nil)
		pass(time.Minute)
		if got := l.ids(); len(got) != 12 {
			t.Errorf("stored once it is fixed: want 12, got %v", got)
		}
	})
}

func TestLastAttemptHasADeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := open(t, dir)
		appendRuns(t, s, 0, 3)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		begin := time.Now()
		err := s.Run(ctx, func(ctx context.Context, _ execution.Batch) (execution.Outcome, error) {
			<-ctx.Done() // a ledger that hangs
			return execution.Outcome{}, ctx.Err()
		})
		if took := time.Since(begin); err != nil || took != spool.LastAttempt {
			t.Errorf("run: want nil after %v, got %v after %v", spool.LastAttempt, err, took)
		}
		closeSpool(t, s)
		if got, _ := recoverAll(t, dir); len(got) != 3 {
			t.Errorf("left on disk: want 3, got %v", got)
		}
	})
}

func TestRunDrainsBeforeReturning(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, l := open(t, t.TempDir()), newLedger()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		interrupted := false
		go func() {
			ended <- s.Run(ctx, func(ctx context.Context, b execution.Batch) (execution.Outcome, error) {
				if !interrupted {
					interrupted = true
					<-ctx.Done()
					return execution.Outcome{}, ctx.Err()
				}
				return l.deliver(ctx, b)
			})
		}()
		appendRuns(t, s, 0, 2)
		synctest.Wait()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
		if diff := cmp.Diff(ids(0, 2), l.ids()); diff != "" {
			t.Errorf("delivered (-want +got):\n%s", diff)
		}
	})
}

func TestRunIsExclusive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, l := open(t, t.TempDir()), newLedger()
		start(t, s, l.deliver)
		synctest.Wait()
		if err := s.Run(t.Context(), l.deliver); err == nil {
			t.Error("a second Run: want an error")
		}
	})
}

// pass advances the bubble's time and waits until all its goroutines block.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
