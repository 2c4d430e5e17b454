package rig

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"
)

// TestOpenLoop checks that requests are due by the clock and that waiting adds to their latency, with synctest's clock.
func TestOpenLoop(t *testing.T) {
	t.Parallel()
	const rate, length = 1000, 999500 * time.Microsecond // no request is due at the end
	stall := func(at int64, took time.Duration) func(int64) time.Duration {
		return func(n int64) time.Duration {
			if n == at {
				return took
			}
			return 0
		}
	}
	for name, test := range map[string]struct {
		workers       int
		takes         func(n int64) time.Duration
		count, unmade int64
		behind        time.Duration
		p90, p99      float64 // seconds
	}{
		"no one waits":                         {workers: 1, takes: stall(-1, 0), count: 1000},
		"a stall delays a fifth":               {workers: 1, takes: stall(0, 200*time.Millisecond), count: 1000, behind: 199 * time.Millisecond, p90: 0.100, p99: 0.190},
		"another worker goes on":               {workers: 2, takes: stall(0, 200*time.Millisecond), count: 1000},
		"a stall goes on beyond the end":       {workers: 1, takes: stall(500, 700*time.Millisecond), count: 501, unmade: 499, behind: 498500 * time.Microsecond, p90: 0.400, p99: 0.490},
		"all workers are stalled, to the end":  {workers: 2, takes: func(n int64) time.Duration { return stall(n, 2*time.Second)(max(n, 500)) }, count: 502, unmade: 498, behind: 497500 * time.Microsecond, p90: 0.400, p99: 0.490},
		"slower than the rate: the rest waits": {workers: 1, takes: func(int64) time.Duration { return 2 * time.Millisecond }, count: 500, unmade: 500, behind: 499500 * time.Microsecond, p90: 0.450, p99: 0.495},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), length)
				defer cancel()
				result := OpenLoop(ctx, rate, test.workers, func(_ context.Context, _ int, n int64) error {
					time.Sleep(test.takes(n)) // the server's response time, by synctest's clock
					return nil
				})
				if result.Count != test.count || result.Unmade != test.unmade || result.Errors != 0 {
					t.Errorf("count %d, unmade %d, errors %d; want %d, %d, 0", result.Count, result.Unmade, result.Errors, test.count, test.unmade)
				}
				if result.Behind != test.behind {
					t.Errorf("behind %s, want %s", result.Behind, test.behind)
				}
				for q, want := range map[float64]float64{0.9: test.p90, 0.99: test.p99} {
					if got := result.Quantile(q); math.Abs(got-want) > 0.02*want+0.001 {
						t.Errorf("quantile %v is %v, want %v", q, got, want)
					}
				}
			})
		})
	}
}

// TestOpenLoopFailures checks that failures count, except those caused by the end.
func TestOpenLoopFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 950*time.Millisecond)
		defer cancel()
		refused := errors.New("refused")
		result := OpenLoop(ctx, 10, 2, func(ctx context.Context, _ int, n int64) error {
			switch n {
			case 3:
				return refused
			case 9:
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		})
		if result.Count != 9 || result.Errors != 1 || !errors.Is(result.First, refused) {
			t.Errorf("count %d, errors %d, first %v; want 9, 1, %v", result.Count, result.Errors, result.First, refused)
		}
		if got := result.PerSecond(); math.Abs(got-8/0.95) > 0.01 {
			t.Errorf("%v a second, want %v", got, 8/0.95)
		}
	})
}

func TestClosedLoop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		result := ClosedLoop(ctx, 4, func(context.Context, int) error {
			time.Sleep(3 * time.Millisecond) // the server's response time, by synctest's clock
			return nil
		})
		// The 334th of each worker would be too late.
		if result.Count != 4*333 || result.Errors != 0 {
			t.Errorf("count %d, errors %d; want %d, 0", result.Count, result.Errors, 4*333)
		}
		if got := result.Quantile(0.5); math.Abs(got-0.003) > 0.00003 {
			t.Errorf("median %v s, want 0.003", got)
		}
	})
}
