package spool

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/fault"
)

const (
	batchRecords = 500
	batchBytes   = 4 << 20

	syncEvery    = 500 * time.Millisecond
	adoptEvery   = 30 * time.Second
	deliverLimit = time.Minute     // for one batch
	lastAttempt  = 5 * time.Second // for what is left when Run is to end

	baseDelay = 100 * time.Millisecond
	maxDelay  = 15 * time.Second
	// oddTries is how often an execution is tried that fails for another reason than that the database is away, before
	// those behind it get their turn.
	oddTries    = 5
	maxSuspects = 1000
)

// Deliver stores executions. fault.ErrUnavailable says that nothing was stored, and that the same may succeed later.
type Deliver func(ctx context.Context, batch execution.Batch) (execution.Outcome, error)

// delivery is Run at work.
type delivery struct {
	*Spool
	deliver  Deliver
	feeds    []*feed // the last one is of the adopted slot, if there is one
	adoptAt  time.Time
	failures int // in a row
	went     int // batches that were delivered
	suspects map[string]suspect
}

// suspect is an execution that could not be delivered, though the database was there.
type suspect struct {
	tries int
	went  int // batches before
}

// feed is a source of batches, and how large they may be.
type feed struct {
	source
	most int // executions in a batch
}

// source is where executions wait.
type source interface {
	// next gives the oldest, and more of them up to most. It gives none where none waits.
	next(most int) (batch, error)
	// settle forgets the batch that next gave last.
	settle(b batch)
}

// batch is some executions of one source.
type batch struct {
	executions []execution.Execution
	segment    *segment
	records    int   // which may be more than there are executions, if some cannot be read
	end        int64 // of them in the segment
}

// Run delivers what waits, in order, until ctx ends; then it tries once more, for some seconds. What is left stays on disk.
// It also adopts what dead processes left.
func (s *Spool) Run(ctx context.Context, deliver Deliver) error {
	if !s.running.TryLock() {
		return errors.New("the spool is being delivered already")
	}
	defer s.running.Unlock()
	d := &delivery{Spool: s, deliver: deliver, suspects: map[string]suspect{}}
	d.feeds = []*feed{{source: memory{s}, most: batchRecords}, {source: fromSlot{s, s.own}, most: batchRecords}}

	syncing, stop := context.WithCancel(context.WithoutCancel(ctx))
	var background sync.WaitGroup
	background.Go(func() { s.keepSynced(syncing) })

	for ctx.Err() == nil {
		d.adopt()
		delivered, err := d.round(ctx)
		switch {
		case err != nil:
			pause(ctx, nil, d.backoff())
		case !delivered:
			pause(ctx, s.wake, d.adoptAt.Sub(s.opts.Now()))
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastAttempt)
	defer cancel()
	for delivered, err := d.round(last); delivered && err == nil && last.Err() == nil; {
		delivered, err = d.round(last)
	}
	s.rescue()
	d.release()
	stop()
	background.Wait()
	s.sync()
	return nil
}

func (s *Spool) keepSynced(ctx context.Context) {
	tick := time.NewTicker(syncEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.probe()
			s.lookForRoom()
			s.tryIfIdle()
			s.sync()
			s.missCheck()
		case <-ctx.Done():
			return
		}
	}
}

// pause waits until the time is over, something comes, or ctx ends.
func pause(ctx context.Context, wake <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-ctx.Done():
	}
}

// backoff is how long to wait after so many failures: exponential, with full jitter.
func (d *delivery) backoff() time.Duration {
	ceiling := min(maxDelay, baseDelay<<min(d.failures, 10))
	return max(time.Duration(d.opts.Jitter()*float64(ceiling)), time.Millisecond)
}

// round delivers a batch of each source that has one.
func (d *delivery) round(ctx context.Context) (delivered bool, err error) {
	d.rescue()
	for _, f := range d.feeds {
		b, err := f.next(f.most)
		if err == nil && b.records == 0 {
			continue
		}
		if err != nil && d.failures == 0 {
			d.opts.Log.Error("the spool cannot be read; it is tried again", zap.Error(err))
		}
		if err == nil && len(b.executions) > 0 {
			err = d.hand(ctx, f, b)
		}
		if err != nil {
			d.failures++
			return false, err
		}
		f.settle(b)
		d.failures = 0
		f.most = min(f.most*2, batchRecords)
		delivered = true
	}
	return delivered, nil
}

// hand delivers a batch. An error says that it must be tried again.
func (d *delivery) hand(ctx context.Context, f *feed, b batch) error {
	limited, cancel := context.WithTimeout(ctx, deliverLimit)
	defer cancel()
	// A copy, for what is delivered may still be read when it is tried again.
	outcome, err := d.deliver(limited, execution.Batch{Executions: slices.Clone(b.executions), Spans: spansOf(b.executions)})
	switch {
	case err == nil:
		d.note(b, outcome)
		return nil
	case ctx.Err() != nil:
		return err
	case errors.Is(err, fault.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		if d.failures == 0 {
			d.opts.Log.Warn("executions wait in the spool", zap.Error(err))
		}
		return err
	}
	// Something is wrong with one of them, or with us. Halving the batch finds out which.
	f.most = max(len(b.executions)/2, 1)
	if n := len(b.executions); n > 1 {
		d.opts.Log.Error("executions cannot be delivered; fewer at a time are tried", zap.Error(err), zap.Int("executions", n))
		return err
	}
	return d.suspect(b.executions[0], err)
}

// suspect decides what becomes of an execution that cannot be delivered for a reason that is no outage. It is tried some
// times, and then goes to the end of the queue. Only if it fails again where others went through is it given up: were
// it our fault, all would be.
func (d *delivery) suspect(e execution.Execution, reason error) error {
	known, again := d.suspects[e.ID]
	if !again {
		if len(d.suspects) >= maxSuspects {
			clear(d.suspects)
		}
		known.went = d.went
	}
	known.tries++
	d.suspects[e.ID] = known
	d.opts.Log.Error("an execution cannot be delivered", zap.Error(reason), zap.String("execution_id", e.ID), zap.Int("tries", known.tries))
	switch {
	case known.tries%oddTries != 0:
		return reason
	case known.tries > oddTries && d.went > known.went:
		delete(d.suspects, e.ID)
		d.reject(e.ID, "undeliverable", reason)
		return nil
	}
	return d.putBack(e)
}

// putBack writes an execution behind the others, and so lets it be forgotten where it was.
func (s *Spool) putBack(e execution.Execution) error {
	record, err := encode(e)
	if err != nil {
		return err
	}
	return s.write(e, record)
}

// spansOf makes spans of the executions that are some.
func spansOf(executions []execution.Execution) (spans []execution.Span) {
	for i := range executions {
		e := &executions[i]
		if e.TraceID == "" || e.SpanID == "" {
			continue
		}
		spans = append(spans, execution.Span{
			TraceID: e.TraceID, SpanID: e.SpanID, ParentSpanID: e.ParentSpanID,
			Agent: e.AgentName, User: e.UserID, Session: e.SessionID, Execution: true,
		})
	}
	return spans
}

// note counts what became of a batch.
func (d *delivery) note(b batch, outcome execution.Outcome) {
	erased := 0
	for _, r := range outcome.Rejected {
		if r.Code == execution.CodeErased {
			erased++
			continue
		}
		id := ""
		if r.Index >= 0 && r.Index < len(b.executions) {
			id = b.executions[r.Index].ID
		}
		d.reject(id, r.Code, &r.Fault)
	}
	if erased > 0 {
		d.opts.Log.Info("executions are dropped, for their users were erased", zap.Int("executions", erased))
	}
	d.went++
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stats.Delivered += int64(outcome.Accepted)
	d.stats.Duplicates += int64(outcome.Duplicates)
}

// reject counts an execution that is given up, and says why.
func (s *Spool) reject(id, code string, reason error) {
	s.opts.Log.Error("an execution is dropped, for it was refused",
		zap.String("execution_id", id), zap.String("code", code), zap.Error(reason))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Rejected++
}
