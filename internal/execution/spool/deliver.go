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
	// oddTries is how often an execution that fails while the database is reachable is tried before the next ones are.
	oddTries    = 5
	maxSuspects = 1000
)

// Deliver stores executions. It returns fault.ErrUnavailable if nothing was stored and a retry may succeed.
type Deliver func(ctx context.Context, batch execution.Batch) (execution.Outcome, error)

// delivery is the state of Run.
type delivery struct {
	*Spool
	deliver  Deliver
	feeds    []*feed // the last one is of the adopted slot, if there is one
	adoptAt  time.Time
	failures int // in a row
	went     int // batches delivered
	suspects map[string]suspect
}

// suspect is an execution that could not be delivered although the database was reachable.
type suspect struct {
	tries int
	went  int // batches before
}

// feed is a source of batches with their maximum size.
type feed struct {
	source
	limit int // executions in a batch
}

// source holds executions to deliver.
type source interface {
	// next returns up to limit of the oldest executions, or an empty batch.
	next(limit int) (batch, error)
	// settle removes the batch that next returned last.
	settle(b batch)
}

// batch is some executions of one source.
type batch struct {
	executions []execution.Execution
	segment    *segment
	records    int   // which may be more than there are executions, if some cannot be read
	end        int64 // of them in the segment
}

// Run delivers executions in order until ctx is done, then tries once more for up to lastAttempt. The rest stays on disk.
// It also adopts slots of dead processes.
func (s *Spool) Run(ctx context.Context, deliver Deliver) error {
	if !s.running.TryLock() {
		return errors.New("the spool is already being delivered")
	}
	defer s.running.Unlock()
	d := &delivery{Spool: s, deliver: deliver, suspects: map[string]suspect{}}
	d.feeds = []*feed{{source: memory{s}, limit: batchRecords}, {source: fromSlot{s, s.own}, limit: batchRecords}}

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
	s.recoverUnwritten()
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
			s.findSpace()
			s.tryIfIdle()
			s.sync()
			s.missCheck()
		case <-ctx.Done():
			return
		}
	}
}

// pause waits until the time is over, there is something to deliver, or ctx is done.
func pause(ctx context.Context, wake <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-wake:
	case <-ctx.Done():
	}
}

// backoff returns the time to wait after the failures so far: exponential, with full jitter.
func (d *delivery) backoff() time.Duration {
	ceiling := min(maxDelay, baseDelay<<min(d.failures, 10))
	return max(time.Duration(d.opts.Jitter()*float64(ceiling)), time.Millisecond)
}

// round delivers a batch of each source that has one.
func (d *delivery) round(ctx context.Context) (delivered bool, err error) {
	d.recoverUnwritten()
	for _, f := range d.feeds {
		b, err := f.next(f.limit)
		if err == nil && b.records == 0 {
			continue
		}
		if err != nil && d.failures == 0 {
			d.opts.Log.Error("cannot read the spool; retrying", zap.Error(err))
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
		f.limit = min(f.limit*2, batchRecords)
		delivered = true
	}
	return delivered, nil
}

// hand delivers a batch. If it returns an error the batch must be retried.
func (d *delivery) hand(ctx context.Context, f *feed, b batch) error {
	limited, cancel := context.WithTimeout(ctx, deliverLimit)
	defer cancel()
	// A copy: a timed-out delivery may still read the batch while it is retried.
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
	// One of them is at fault, or the ledger is. Halving the batch finds out which.
	f.limit = max(len(b.executions)/2, 1)
	if n := len(b.executions); n > 1 {
		d.opts.Log.Error("cannot deliver executions; trying smaller batches", zap.Error(err), zap.Int("executions", n))
		return err
	}
	return d.suspect(b.executions[0], err)
}

// suspect handles an execution that fails although there is no outage. It is retried oddTries times and then moved to the
// end of the queue. It is dropped only if it fails again after others succeeded: if the ledger were at fault, all would fail.
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
	return d.requeue(e)
}

// requeue appends an execution to the end, so that it can be removed from its place.
func (s *Spool) requeue(e execution.Execution) error {
	record, err := encode(e)
	if err != nil {
		return err
	}
	return s.write(e, record)
}

// spansOf returns the spans of the executions that have one.
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

// note counts the outcome of a batch.
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
		d.opts.Log.Info("executions are dropped because their users were erased", zap.Int("executions", erased))
	}
	d.went++
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stats.Delivered += int64(outcome.Accepted)
	d.stats.Duplicates += int64(outcome.Duplicates)
}

// reject counts and logs a dropped execution.
func (s *Spool) reject(id, code string, reason error) {
	s.opts.Log.Error("an execution is dropped because it was rejected",
		zap.String("execution_id", id), zap.String("code", code), zap.Error(reason))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Rejected++
}
