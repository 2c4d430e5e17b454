package rig

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchbill/watchbill/internal/sketch"
)

// Result is the outcome of a load.
type Result struct {
	Count   int64 // of requests that were sent, including failed ones
	Errors  int64
	Elapsed time.Duration
	Behind  time.Duration // the maximum delay of a request's start because all workers were busy
	Unmade  int64         // requests that were due before the end but not sent for the same reason; not in Count
	First   error         // the first error
	latency sketch.Sketch
}

// PerSecond returns the rate of successful requests.
func (r *Result) PerSecond() float64 { return float64(r.Count-r.Errors) / r.Elapsed.Seconds() }

// Quantile returns a latency in seconds, within 1 %. In an open loop latency counts from the time when the request was
// due.
func (r *Result) Quantile(q float64) float64 {
	seconds, _ := r.latency.Quantile(q) // 0 if there are none
	return seconds
}

// Merge adds the requests of another result of the same period.
func (r *Result) Merge(other *Result) {
	r.Count += other.Count
	r.Errors += other.Errors
	r.Elapsed = max(r.Elapsed, other.Elapsed)
	r.Behind = max(r.Behind, other.Behind)
	r.Unmade += other.Unmade
	if r.First == nil {
		r.First = other.First
	}
	r.latency.Merge(&other.latency)
}

func (r *Result) add(took time.Duration, err error) {
	r.Count++
	r.latency.Add(took.Seconds())
	if err != nil {
		r.Errors++
		if r.First == nil {
			r.First = err
		}
	}
}

// ClosedLoop has each worker send requests one after the other, without a pause, until ctx ends.
func ClosedLoop(ctx context.Context, workers int, do func(ctx context.Context, worker int) error) *Result {
	return together(workers, func(worker int, r *Result) {
		for ctx.Err() == nil {
			began := time.Now()
			if err := do(ctx, worker); ctx.Err() == nil {
				r.add(time.Since(began), err)
			}
		}
	})
}

// OpenLoop sends requests at a rate until ctx ends: the n-th is due n/rate after the start, whether or not earlier ones
// are complete. Latency counts from then, so that a stall of the server adds to the latency of every request that had
// to wait. This includes a stall until the end: a response after the end counts, and a request that was due but not
// sent counts with its wait until the end. Failures after the end do not count. Each request goes to the next free
// worker.
func OpenLoop(ctx context.Context, rate float64, workers int, do func(ctx context.Context, worker int, n int64) error) *Result {
	var next atomic.Int64
	began := time.Now()
	due := func(n int64) time.Time { return began.Add(time.Duration(float64(n) / rate * float64(time.Second))) }
	ended := make(chan time.Time, 1)
	context.AfterFunc(ctx, func() { ended <- time.Now() })
	unbegun := make([]int64, workers) // the number that each worker had when it saw the end
	all := together(workers, func(worker int, r *Result) {
		timer := time.NewTimer(0)
		defer timer.Stop()
		for {
			n := next.Add(1) - 1
			at := due(n)
			if wait := time.Until(at); wait > 0 {
				timer.Reset(wait)
				select {
				case <-ctx.Done():
				case <-timer.C:
				}
			} else if ctx.Err() == nil {
				r.Behind = max(r.Behind, -wait)
			}
			if ctx.Err() != nil {
				unbegun[worker] = n
				return
			}
			if err := do(ctx, worker, n); err == nil || ctx.Err() == nil {
				r.add(time.Since(at), err)
			}
		}
	})
	end := <-ended
	for n := slices.Min(unbegun); due(n).Before(end); n++ {
		if n >= next.Load() || slices.Contains(unbegun, n) {
			all.Unmade++
			all.Behind = max(all.Behind, end.Sub(due(n)))
			all.latency.Add(end.Sub(due(n)).Seconds())
		}
	}
	return all
}

// together runs workers, each with its own result, and returns the merged results.
func together(workers int, work func(worker int, r *Result)) *Result {
	results := make([]Result, workers)
	var busy sync.WaitGroup
	began := time.Now()
	for worker := range workers {
		busy.Go(func() { work(worker, &results[worker]) })
	}
	busy.Wait()
	all := &Result{Elapsed: time.Since(began)}
	for i := range results {
		all.Merge(&results[i])
	}
	return all
}
