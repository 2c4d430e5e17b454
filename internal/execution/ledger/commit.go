package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/fault"
)

// Run commits queued batches until ctx is done, then drains the queue for up to finishWithin and rejects the rest. It must
// be called once.
func (l *Ledger) Run(ctx context.Context) error {
	storing, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var running sync.WaitGroup
	for range committers {
		running.Go(func() { l.commitUntil(ctx, storing) })
	}
	<-ctx.Done()
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	patience := time.AfterFunc(finishWithin, stop)
	defer patience.Stop()
	running.Wait()
	l.answer(l.takeAll(), fault.ErrShuttingDown)
	return nil
}

// commitUntil commits batches until ctx is done, and then those still queued.
func (l *Ledger) commitUntil(ctx, storing context.Context) {
	for {
		if l.commitSome(storing) {
			continue
		}
		select {
		case <-l.wake:
		case <-ctx.Done():
			if !l.commitSome(storing) {
				return
			}
		}
	}
}

// commitSome commits one transaction and reports whether there was anything to store.
func (l *Ledger) commitSome(storing context.Context) bool {
	entries := l.take()
	if len(entries) == 0 {
		return false
	}
	l.commit(storing, entries)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.committing--
	return true
}

// take removes and returns the entries for one transaction, and wakes another committer if there are more. While a
// transaction is under way it takes nothing unless many rows wait: transactions that begin immediately stay small, and then
// their fixed costs dominate.
func (l *Ledger) take() []*entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 || l.committing > 0 && l.rows < minConcurrentRows {
		return nil
	}
	l.committing++
	n, rows, bytes := 0, 0, 0
	for ; n < len(l.queue); n++ {
		e := l.queue[n]
		if n > 0 && (rows+e.size() > batchRows || bytes+e.bytes > batchBytes) {
			break
		}
		rows += e.size()
		bytes += e.bytes
	}
	l.rows -= rows
	l.bytes -= bytes
	taken := slices.Clone(l.queue[:n])
	clear(l.queue[:n]) // for the garbage collector
	if l.queue = l.queue[n:]; len(l.queue) == 0 {
		l.queue = nil
	} else {
		l.signal()
	}
	return taken
}

// commit stores entries in one transaction and returns the outcome to their callers. If that fails although the
// database is reachable, it commits each half separately, recursively, so that no caller's fault affects another.
func (l *Ledger) commit(ctx context.Context, entries []*entry) {
	for left := [][]*entry{entries}; len(left) > 0; {
		some := left[0]
		left = left[1:]
		err := l.store(ctx, some)
		switch {
		case err == nil:
		case errors.Is(err, fault.ErrUnavailable):
			l.report(err)
			waiting := l.takeAll() // before the callers return, since they may retry, which adds a new entry
			l.answer(some, err)
			l.answer(slices.Concat(left...), err) // otherwise they would fail one after another
			l.answer(waiting, err)
			return
		case len(some) == 1:
			l.answer(some, err)
		default:
			half := len(some) / 2
			left = append(left, some[:half], some[half:])
		}
	}
}

// store commits entries and, if that succeeds, returns the outcome to their callers.
func (l *Ledger) store(ctx context.Context, entries []*entry) error {
	batch := join(entries)
	start := l.opts.Now()
	ctx, cancel := context.WithTimeout(ctx, commitWithin)
	defer cancel()
	done, err := l.opts.Store.Commit(ctx, batch)
	if errors.Is(err, context.Canceled) {
		err = fmt.Errorf("%w: %w", fault.ErrShuttingDown, err)
	}
	l.opts.Observer.ObserveCommit(len(batch.Executions), l.opts.Now().Sub(start), err)
	if err != nil {
		return err
	}
	l.opts.Observer.Observe(done.Settled)
	first := 0
	for _, e := range entries {
		var r result
		for i := range e.batch.Executions {
			switch at := first + i; {
			case done.New[at]:
				r.accepted++
			case done.Erased != nil && done.Erased[at]:
				r.erased = append(r.erased, i)
			default:
				r.duplicates++
			}
		}
		first += len(e.batch.Executions)
		l.opts.Observer.ObserveRows(r.accepted, r.duplicates, 0, 0)
		l.opts.Observer.ObserveErased(len(r.erased))
		e.done <- r
	}
	return nil
}

// join merges the entries' batches.
func join(entries []*entry) execution.Batch {
	if len(entries) == 1 {
		return entries[0].batch
	}
	executions, spans := 0, 0
	for _, e := range entries {
		executions += len(e.batch.Executions)
		spans += len(e.batch.Spans)
	}
	batch := execution.Batch{Executions: make([]execution.Execution, 0, executions), Spans: make([]execution.Span, 0, spans)}
	for _, e := range entries {
		batch.Executions = append(batch.Executions, e.batch.Executions...)
		batch.Spans = append(batch.Spans, e.batch.Spans...)
	}
	return batch
}

// answer returns an error to the callers of entries.
func (l *Ledger) answer(entries []*entry, err error) {
	for _, e := range entries {
		l.opts.Observer.ObserveRows(0, 0, 0, len(e.batch.Executions))
		e.done <- result{err: err}
	}
}

// takeAll removes and returns all queued entries.
func (l *Ledger) takeAll() []*entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	waiting := l.queue
	l.queue, l.rows, l.bytes = nil, 0, 0
	return waiting
}

// report logs that nothing can be stored, at most once per failureReport.
func (l *Ledger) report(err error) {
	now := l.opts.Now()
	l.mu.Lock()
	due := now.Sub(l.reported) >= failureReport
	if due {
		l.reported = now
	}
	l.mu.Unlock()
	if due {
		l.opts.Log.Warn("cannot store executions; clients are asked to retry", zap.Error(err))
	}
}
