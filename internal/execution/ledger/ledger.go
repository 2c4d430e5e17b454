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

// Store keeps executions.
type Store interface {
	// Commit stores in one transaction what of a batch is new; it is committed when Commit returns nil. fault.ErrUnavailable
	// if the database is away: whether it is committed is then not known, and the batch may be brought again.
	Commit(ctx context.Context, batch execution.Batch) (execution.Committed, error)
}

// Observer hears what the ledger does.
type Observer interface {
	// Observe hears of executions that nothing will change any more, each once.
	Observe(settled []execution.Execution)
	// ObserveCommit hears of a transaction: how many rows it had, how long it took, and whether it failed.
	ObserveCommit(rows int, took time.Duration, err error)
	// ObserveRows hears what became of rows, whether or not their caller still waits.
	ObserveRows(accepted, duplicates, rejected, refused int)
	// ObserveErased hears of rows that were dropped, for their users were erased after they began.
	ObserveErased(rows int)
}

// Options are what a Ledger needs.
type Options struct {
	Store    Store
	Prices   func() *prices.List // those in force
	Payloads execution.PayloadPolicy
	Names    *execution.Pseudonyms // nil: names are stored as they are
	Keep     time.Duration         // executions that began longer ago are rejected
	Observer Observer
	Log      *zap.Logger
	Now      func() time.Time

	MaxRows  int // that wait, at the most
	MaxBytes int // likewise, of their payloads
}

const (
	batchRows         = 4000     // of one transaction, unless one caller brings more
	batchBytes        = 16 << 20 // likewise: a transaction has commitWithin to store them, however slow the database
	minConcurrentRows = 1000     // rows that wait are, beside a transaction that is under way
	committers        = 2        // one sends rows while the other's are being stored
	commitWithin      = 15 * time.Second
	rowOverhead       = 1024             // bytes of a row beside its payloads
	finishWithin      = 10 * time.Second // at the end, what waits is stored for so long
	failureReport     = time.Minute      // the log hears of failures that often at the most
)

// What may wait, where nobody says otherwise.
const (
	DefaultRows  = 50_000    // Options.MaxRows
	DefaultBytes = 128 << 20 // Options.MaxBytes
)

// Ledger takes executions in.
type Ledger struct {
	opts Options

	mu         sync.Mutex
	queue      []*entry
	committing int // transactions under way
	rows       int
	bytes      int
	closed     bool
	reported   time.Time
	wake       chan struct{} // holds a token while there may be something in the queue
}

// entry is what one caller brings.
type entry struct {
	batch   execution.Batch
	indexes []int // of its executions among those that the caller brought; nil: all of them
	bytes   int
	done    chan result
}

type result struct {
	accepted, duplicates int
	erased               []int // indexes of those that were dropped
	err                  error
}

// New makes a ledger. Run runs it.
func New(opts Options) *Ledger {
	return &Ledger{opts: opts, wake: make(chan struct{}, 1)}
}

// errFull says that more comes in than can be stored.
var errFull = fault.UnavailableBecause("more executions are coming in than can be stored; try again later")

// Append stores what is new of a batch, and returns when that is committed. Executions that cannot be stored are
// rejected, each by name; they keep none of the others from being stored. fault.ErrUnavailable if the queue is full or the
// database is away: then the caller brings all of it again. The batch's executions and spans are the ledger's from then on, and
// may be read but not changed.
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
	case <-ctx.Done(): // it may be stored all the same
		return execution.Outcome{}, fmt.Errorf("wait for the ledger: %w", ctx.Err())
	}
}

// Prepare makes an execution what is stored: checked, masked, bounded, its names replaced, and priced. Preparing it again changes nothing.
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
		if s.Check() == nil { // one of a rejected execution, say, is as bad
			l.opts.Names.ReplaceIn(&s)
			e.batch.Spans = append(e.batch.Spans, s)
		}
	}
	e.bytes += rowOverhead * len(e.batch.Spans)
	return e, outcome
}

// leaveOut leaves out the executions that were rejected, which are in their order. The caller's keep their places.
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

// Queue is how much waits to be stored.
type Queue struct{ Rows, Bytes, MaxRows int }

// Queue tells how much waits.
func (l *Ledger) Queue() Queue {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Queue{Rows: l.rows, Bytes: l.bytes, MaxRows: l.opts.MaxRows}
}
