package metrics

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
)

const (
	flushEvery  = 10 * time.Second // divides a minute, so that a minute's end is always a flush
	sampleEvery = time.Second      // the pool

	// A write is given up before the next flush is due, and all that stopping may take after this long.
	writeTimeout = 8 * time.Second
	stopTimeout  = 5 * time.Second

	maxWaiting = 60 // minutes kept while the store fails
	batch      = 10 // minutes in one write, so that a backlog is no heavier a write than others
)

// FlusherOptions say what a Flusher reads and where it writes.
type FlusherOptions struct {
	Recorder *Recorder
	Queries  *QueryObserver
	Pool     func() PoolSample // nil if there is none
	Store    Store
	Replica  string // new with every start of the program
	Log      *zap.Logger
	Now      func() time.Time
}

// Flusher writes rollups: the running minute's state every ten seconds, and once more when the minute is over. When
// the store fails, up to an hour of minutes wait for it.
//
// The rollups' time never goes back. While the clock, set back, repeats a time, what happens counts for the minute that
// was running; a minute that was written is never begun anew, which would overwrite it.
type Flusher struct {
	opts    FlusherOptions
	dropped prometheus.Counter

	last    time.Time // up to when it has been collected
	current *minute
	pool    PoolSample
	waiting []MinuteRollup // minutes that are over, ascending

	writing bool
	written chan writeResult
	failing bool
}

type writeResult struct {
	upTo time.Time // the last minute in it that was over; zero if none was
	err  error
}

// NewFlusher returns a flusher whose metrics reg has. Run runs it.
func NewFlusher(reg prometheus.Registerer, opts FlusherOptions) *Flusher {
	f := &Flusher{
		opts: opts,
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "watchbill_rollups_dropped_total",
			Help: "Minutes of rollups given up because the database did not take them for an hour.",
		}),
		written: make(chan writeResult, 1),
	}
	reg.MustRegister(f.dropped)
	return f
}

// Run collects and writes until ctx ends; then once more what is left, for at most five seconds, and returns the error
// of that. Whoever counts requests or queries should have stopped by then. Run is called once.
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

// stop writes the last state. A write under way may finish first; cancelWrites ends it when time is up.
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

// collect moves what was counted since the last time to the minute that then was running, and closes the minute if it
// is over.
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
		// Minutes that were slept through, on a laptop say, were not covered and get no row.
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

// write starts a write unless one is under way. What it leaves is written the next time.
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

// next returns what to write next: the oldest minutes that wait, and the running one if there is room. upTo is the last
// that was over.
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

// finish takes note of a write's outcome. The log hears when it changes, not each time.
func (f *Flusher) finish(result writeResult) {
	f.writing = false
	if result.err != nil {
		if !f.failing {
			f.opts.Log.Warn("rollups cannot be written, they are kept for an hour", zap.Error(result.err))
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

// untilFlush returns how long it is to the next flush: they are at fixed times of the clock.
func untilFlush(now time.Time) time.Duration {
	return now.Truncate(flushEvery).Add(flushEvery).Sub(now)
}
