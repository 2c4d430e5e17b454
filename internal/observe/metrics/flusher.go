package metrics

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

const (
	flushEvery  = 10 * time.Second // divides a minute, so that each minute ends with a flush
	sampleEvery = time.Second      // of the pool

	// A write times out before the next flush is due. stopTimeout is the limit for all writes when stopping.
	writeTimeout = 8 * time.Second
	stopTimeout  = 5 * time.Second

	maxWaiting = 60 // minutes kept while the store fails
	batch      = 10 // minutes in one write, so that writing a backlog is not much heavier than other writes
)

// FlusherOptions configure what a Flusher reads and where it writes.
type FlusherOptions struct {
	Recorder *Recorder
	Queries  *QueryObserver
	Pool     func() PoolSample // may be nil
	Store    Store
	Replica  string // unique for each start of the program
	Log      *zap.Logger
	Now      func() time.Time
}

// Flusher writes rollups: the state of the current minute every ten seconds, and once more when the minute is over.
// When the store fails, it keeps up to an hour of minutes for it.
//
// The rollups' time never goes back. If the clock is set back, events count for the current minute until the clock has
// caught up. A minute that was written is never started again, since that would overwrite it.
type Flusher struct {
	opts    FlusherOptions
	dropped prometheus.Counter

	last    time.Time // time of the last collect
	current *minute
	pool    PoolSample
	waiting []MinuteRollup // complete minutes, ascending

	writing bool
	written chan writeResult
	failing bool
}

type writeResult struct {
	upTo time.Time // the last complete minute written; zero if there was none
	err  error
}

// NewFlusher returns a flusher whose metrics are registered with reg. Run runs it.
func NewFlusher(reg prometheus.Registerer, opts FlusherOptions) *Flusher {
	f := &Flusher{
		opts: opts,
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "watchbill_rollups_dropped_total",
			Help: "Minutes of rollups dropped because they could not be written to the database for an hour.",
		}),
		written: make(chan writeResult, 1),
	}
	reg.MustRegister(f.dropped)
	return f
}

// Run collects and writes rollups until ctx is done. It then writes the rest, for at most five seconds, and returns the
// error of that. Requests and queries should no longer be counted by then. Run must be called only once.
func (f *Flusher) Run(ctx context.Context) error {
	f.last = f.opts.Now()
	f.current = newMinute(f.last)
	if f.opts.Pool != nil {
		f.pool = f.opts.Pool()
	}
	flush := time.NewTimer(untilFlush(f.last))
	defer flush.Stop()
	sample := time.NewTicker(sampleEvery)
	defer sample.Stop()

	writes, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			stop, cancelStop := context.WithTimeout(writes, stopTimeout)
			defer cancelStop()
			return f.stop(stop, cancel)
		case <-sample.C:
			f.samplePool()
		case <-flush.C:
			f.collect(f.opts.Now())
			f.write(writes)
			flush.Reset(untilFlush(f.opts.Now()))
		case result := <-f.written:
			f.finish(result)
			if result.err == nil && len(f.waiting) > 0 {
				f.write(writes)
			}
		}
	}
}

// stop writes the last state. It first waits for a write under way, which it cancels with cancelWrites when ctx is
// done.
func (f *Flusher) stop(ctx context.Context, cancelWrites func()) error {
	f.collect(f.opts.Now())
	if f.writing {
		select {
		case result := <-f.written:
			f.finish(result)
		case <-ctx.Done():
			cancelWrites()
			f.finish(<-f.written)
		}
	}
	for {
		rollups, upTo := f.next()
		err := f.opts.Store.WriteRollups(ctx, rollups)
		f.finish(writeResult{upTo: upTo, err: err})
		if err != nil {
			return fmt.Errorf("write the last rollups (%d minutes): %w", len(f.waiting)+1, err)
		}
		if rollups.Minutes[len(rollups.Minutes)-1].Minute.Equal(f.current.start) {
			return nil
		}
	}
}

// collect moves the counts since the last call to the current minute, and completes the minute if it is over.
func (f *Flusher) collect(now time.Time) {
	if now.Before(f.last) {
		now = f.last
	}
	f.opts.Recorder.drain(f.current)
	f.opts.Queries.drain(f.current)
	f.current.cover(f.last, now)
	if !now.Before(f.current.end()) {
		f.waiting = append(f.waiting, f.current.rollup())
		if len(f.waiting) > maxWaiting {
			f.waiting = f.waiting[1:]
			f.dropped.Inc()
		}
		// Minutes during which the machine slept, such as a laptop, were not covered and get no row.
		f.current = newMinute(now)
		f.current.cover(f.last, now)
	}
	f.last = now
}

func (f *Flusher) samplePool() {
	if f.opts.Pool == nil {
		return
	}
	before := f.pool
	f.pool = f.opts.Pool()
	f.current.sample(before, f.pool)
}

// write starts a write unless one is under way. The rest is written the next time.
func (f *Flusher) write(ctx context.Context) {
	if f.writing {
		return
	}
	f.writing = true
	rollups, upTo := f.next()
	go func() {
		ctx, cancel := context.WithTimeout(ctx, writeTimeout)
		defer cancel()
		f.written <- writeResult{upTo: upTo, err: f.opts.Store.WriteRollups(ctx, rollups)}
	}()
}

// next returns the rollups to write next: the oldest complete minutes, and the current one if the batch has space. upTo
// is the last complete one.
func (f *Flusher) next() (rollups Rollups, upTo time.Time) {
	rollups.Replica = f.opts.Replica
	rollups.Minutes = append(rollups.Minutes, f.waiting[:min(len(f.waiting), batch)]...)
	if n := len(rollups.Minutes); n > 0 {
		upTo = rollups.Minutes[n-1].Minute
	}
	if len(f.waiting) < batch {
		rollups.Minutes = append(rollups.Minutes, f.current.rollup())
	}
	return rollups, upTo
}

// finish processes the outcome of a write. It logs only changes between success and failure.
func (f *Flusher) finish(result writeResult) {
	f.writing = false
	if result.err != nil {
		if !f.failing {
			f.opts.Log.Warn("cannot write rollups; they are kept for an hour", zap.Error(result.err))
		}
		f.failing = true
		return
	}
	for len(f.waiting) > 0 && !f.waiting[0].Minute.After(result.upTo) {
		f.waiting = f.waiting[1:]
	}
	if f.failing {
		f.opts.Log.Info("rollups are written again", zap.Int("waiting", len(f.waiting)))
	}
	f.failing = false
}

// untilFlush returns the time until the next flush. Flushes are at fixed times of the clock.
func untilFlush(now time.Time) time.Duration {
	return now.Truncate(flushEvery).Add(flushEvery).Sub(now)
}
