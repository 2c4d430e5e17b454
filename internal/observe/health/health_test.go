package health

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/fault"
)

// fixture runs a monitor of two kinds of work, whose probes return what they are set to.
type fixture struct {
	monitor *Monitor
	a, b    *Check

	mu         sync.Mutex
	errA, errB error
	reason     string
	probed     int
}

func run(t *testing.T, do func(t *testing.T, f *fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := &fixture{monitor: NewMonitor(zap.NewNop(), time.Now)}
		f.a = f.monitor.Add("apples", func(context.Context) (string, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.probed++
			return "", f.errA
		})
		f.b = f.monitor.Add("pears", func(context.Context) (string, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.reason, f.errB
		})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- f.monitor.Run(ctx) }()
		do(t, f)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// after advances the bubble's clock.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// set changes the results of the probes.
func (f *fixture) set(errA, errB error, reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.errA, f.errB, f.reason = errA, errB, reason
}

func (f *fixture) probes() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.probed
}

func (f *fixture) want(t *testing.T, reasons ...string) {
	t.Helper()
	if got := f.monitor.Reasons(); !slices.Equal(got, reasons) {
		t.Errorf("want %q, got %q", reasons, got)
	}
}

func TestProbesDetectFailureWithoutTraffic(t *testing.T) {
	t.Parallel()
	run(t, func(t *testing.T, f *fixture) {
		after(time.Minute)
		f.want(t)
		readOnly := fmt.Errorf("probe: %w", fault.UnavailableBecause("the database takes no writes now (25006); try again later"))
		f.set(readOnly, nil, "")
		after(3 * time.Second)
		f.want(t, "apples cannot be written: the database takes no writes now (25006)")
		f.set(readOnly, readOnly, "")
		after(3 * time.Second)
		f.want(t, "apples and pears cannot be written: the database takes no writes now (25006)")
		f.set(nil, errors.New("secret"), "pears are few")
		after(3 * time.Second)
		f.want(t, "pears cannot be written: see the log")
		f.set(nil, nil, "pears are few")
		after(3 * time.Second)
		f.want(t, "pears are few")
		f.set(nil, nil, "")
		after(3 * time.Second)
		f.want(t)
	})
}

func TestSuccessfulWorkNeedsNoProbe(t *testing.T) {
	t.Parallel()
	run(t, func(t *testing.T, f *fixture) {
		after(time.Second)
		before := f.probes()
		for range 100 {
			f.a.Succeeded()
			after(100 * time.Millisecond)
		}
		if got := f.probes(); got != before {
			t.Errorf("want no probe beside work that succeeds, got %d", got-before)
		}
		f.set(errors.New("x"), nil, "")
		after(5 * time.Second)
		if len(f.monitor.Reasons()) != 1 {
			t.Error("want the probe's fault once no work succeeds")
		}
		f.a.Succeeded()
		f.want(t)
	})
}

// TestRepeatedFailureIsReported checks that repeated failures are reported although the probe succeeds.
func TestRepeatedFailureIsReported(t *testing.T) {
	t.Parallel()
	run(t, func(t *testing.T, f *fixture) {
		after(time.Second)
		f.a.Failed(errors.New("once"))
		after(20 * time.Second)
		f.want(t)
		f.a.Failed(context.Canceled)
		for range 4 {
			f.a.Failed(fault.ErrUnavailable)
			after(time.Second)
		}
		f.want(t, "apples cannot be written: the database cannot be reached")
		if failing := f.monitor.Failing(); !failing["apples"] || failing["pears"] {
			t.Errorf("want apples failing alone, got %v", failing)
		}
		after(10 * time.Second)
		f.want(t) // no more attempts, and the probe succeeds
		f.a.Failed(fault.ErrUnavailable)
		f.a.Succeeded()
		f.want(t)
	})
}
