package ledger

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/prices"
	"github.com/watchbill/watchbill/internal/fault"
)

// Store stores executions.
type Store interface {
	// Commit stores the new executions of a batch in one transaction, which is committed when Commit returns nil. It returns
	// fault.ErrUnavailable if the database is unreachable: the batch may or may not be committed and can be retried.
	Commit(ctx context.Context, batch execution.Batch) (execution.Committed, error)
}

// Observer is notified of what the ledger does.
type Observer interface {
	// Observe is called once for each execution that will not change any more.
	Observe(settled []execution.Execution)
	// ObserveCommit is called for each transaction with its rows, duration and error.
	ObserveCommit(rows int, took time.Duration, err error)
	// ObserveRows is called with the outcome of rows, whether or not their caller still waits.
	ObserveRows(accepted, duplicates, rejected, refused int)
	// ObserveErased is called with the number of rows dropped because their users were erased after they began.
	ObserveErased(rows int)
}

// Options are a Ledger's settings.
type Options struct {
	Store    Store
	Prices   func() *prices.List // returns the current prices
	Payloads execution.PayloadPolicy
	Names    *execution.Pseudonyms // nil if names are stored unchanged
	Keep     time.Duration         // executions that began earlier are rejected
	Observer Observer
	Log      *zap.Logger
	Now      func() time.Time

	MaxRows  int // maximum queued rows
	MaxBytes int // maximum bytes of queued payloads
}

const (
	batchRows         = 4000     // of one transaction, unless one caller's batch is larger
	batchBytes        = 16 << 20 // likewise: a transaction has commitWithin to store them, however slow the database
	minConcurrentRows = 1000     // queued rows for which another transaction is begun during one
	committers        = 2        // one sends rows while the other's are being stored
	commitWithin      = 15 * time.Second
	rowOverhead       = 1024             // bytes of a row in addition to its payloads
	finishWithin      = 10 * time.Second // time to drain the queue at the end
	failureReport     = time.Minute      // minimum time between log lines about failures
)

// Defaults of the queue's limits.
const (
	DefaultRows  = 50_000    // Options.MaxRows
	DefaultBytes = 128 << 20 // Options.MaxBytes
)

// Ledger stores executions. See the package comment.
type Ledger struct {
	opts Options

	mu         sync.Mutex
	queue      []*entry
	committing int // transactions under way
	rows       int
	bytes      int
	closed     bool
	reported   time.Time
	wake       chan struct{} // has a value while the queue may be non-empty
}

// entry is the batch of one caller.
type entry struct {
	batch   execution.Batch
	indexes []int // indexes of its executions in the caller's batch; nil: all of them
	bytes   int
	done    chan result
}

type result struct {
	accepted, duplicates int
	erased               []int // indexes of dropped executions
	err                  error
}

// New returns a ledger. Run must run while it is used.
func New(opts Options) *Ledger {
	return &Ledger{opts: opts, wake: make(chan struct{}, 1)}
}

// errFull is returned when the queue is full.
var errFull = fault.UnavailableBecause("executions arrive faster than they can be stored; try again later")

// Append stores the new executions of a batch and returns when they are committed. Invalid executions are rejected
// individually and do not affect the others. Append returns fault.ErrUnavailable if the queue is full or the database is
// unreachable; the caller then retries the whole batch. The ledger keeps the batch's executions and spans: the caller may
// read but not modify them.
func (l *Ledger) Append(ctx context.Context, batch execution.Batch) (execution.Outcome, error) {
	e, outcome := l.prepareAll(batch)
	l.opts.Observer.ObserveRows(0, 0, len(outcome.Rejected), 0)
	if e.size() == 0 {
		return outcome, nil
	}
	if err := l.enqueue(e); err != nil {
		l.answer([]*entry{e}, err)
	}
	select {
	case r := <-e.done:
		if r.err != nil {
			return execution.Outcome{}, r.err
		}
		outcome.Accepted, outcome.Duplicates = r.accepted, r.duplicates
		for _, i := range r.erased {
			if e.indexes != nil {
				i = e.indexes[i]
			}
			outcome.Rejected = append(outcome.Rejected, execution.Rejection{Index: i, Fault: execution.FaultErased})
		}
		return outcome, nil
	case <-ctx.Done(): // it may still be stored
		return execution.Outcome{}, fmt.Errorf("wait for the ledger: %w", ctx.Err())
	}
}

// Prepare returns an execution as it is stored: checked, masked, truncated, pseudonymized and priced. It is idempotent.
func (l *Ledger) Prepare(e execution.Execution) (execution.Execution, *execution.Fault) {
	problem := l.prepare(&e, l.opts.Now())
	return e, problem
}

// prepare is Prepare in place.
func (l *Ledger) prepare(e *execution.Execution, now time.Time) *execution.Fault {
	if e.Tokens.Used == 0 {
		e.Tokens.Used = e.Tokens.Input + e.Tokens.Output
	}
	if problem := e.Check(execution.Acceptance{Now: now, Keep: l.opts.Keep}); problem != nil {
		return problem
	}
	if problem := l.opts.Payloads.Apply(e); problem != nil {
		return problem
	}
	l.opts.Names.Replace(e)
	if e.PriceVersion == "" {
		l.opts.Prices().Price(e)
	}
	return nil
}

func (l *Ledger) prepareAll(batch execution.Batch) (*entry, execution.Outcome) {
	e := &entry{batch: batch, done: make(chan result, 1)}
	var outcome execution.Outcome
	now := l.opts.Now()
	for i := range batch.Executions {
		one := &batch.Executions[i]
		if problem := l.prepare(one, now); problem != nil {
			outcome.Rejected = append(outcome.Rejected, execution.Rejection{Index: i, Fault: *problem})
			continue
		}
		e.bytes += rowOverhead + len(one.Input) + len(one.Output) + len(one.ErrorMessage)
	}
	if len(outcome.Rejected) > 0 {
		e.leaveOut(outcome.Rejected)
	}
	e.batch.Spans = e.batch.Spans[:0]
	for _, s := range batch.Spans {
		if s.Check() == nil { // spans of rejected executions may be invalid too
			l.opts.Names.ReplaceIn(&s)
			e.batch.Spans = append(e.batch.Spans, s)
		}
	}
	e.bytes += rowOverhead * len(e.batch.Spans)
	return e, outcome
}

// leaveOut removes the rejected executions, which are in order, without changing the caller's slice.
func (e *entry) leaveOut(rejected []execution.Rejection) {
	all := e.batch.Executions
	e.indexes = make([]int, 0, len(all)-len(rejected))
	e.batch.Executions = make([]execution.Execution, 0, len(all)-len(rejected))
	for i := range all {
		if len(rejected) > 0 && rejected[0].Index == i {
			rejected = rejected[1:]
			continue
		}
		e.batch.Executions, e.indexes = append(e.batch.Executions, all[i]), append(e.indexes, i)
	}
}

func (l *Ledger) enqueue(e *entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return fault.ErrShuttingDown
	case len(l.queue) > 0 && (l.rows+e.size() > l.opts.MaxRows || l.bytes+e.bytes > l.opts.MaxBytes):
		return errFull
	}
	l.queue = append(l.queue, e)
	l.rows += e.size()
	l.bytes += e.bytes
	l.signal()
	return nil
}

func (e *entry) size() int { return len(e.batch.Executions) + len(e.batch.Spans) }

func (l *Ledger) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Queue is the state of the queue.
type Queue struct{ Rows, Bytes, MaxRows int }

// Queue returns the state of the queue.
func (l *Ledger) Queue() Queue {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Queue{Rows: l.rows, Bytes: l.bytes, MaxRows: l.opts.MaxRows}
}
