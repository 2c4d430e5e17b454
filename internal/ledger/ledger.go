package ledger

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/fleet"
)

// Store keeps executions.
type Store interface {
	// Commit stores in one transaction what of a batch is new; it is committed when Commit returns nil. fleet.ErrUnavailable
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
	Prices   func() *execution.Prices // those in force
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
	batchRows     = 4000     // of one transaction, unless one caller brings more
	batchBytes    = 16 << 20 // likewise: a transaction has commitWithin to store them, however slow the database
	worthAnother  = 1000     // rows that wait are, beside a transaction that is under way
	committers    = 2        // one sends rows while the other's are being stored
	commitWithin  = 15 * time.Second
	rowOverhead   = 1024             // bytes of a row beside its payloads
	finishWithin  = 10 * time.Second // at the end, what waits is stored for so long
	failureReport = time.Minute      // the log hears of failures that often at the most
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
	indexes []int // of its executions among those that the caller brought
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
var errFull = fleet.UnavailableBecause("more executions are coming in than can be stored; try again later")

// Append stores what is new of a batch, and returns when that is committed. Executions that cannot be stored are
// rejected, each by name; they keep none of the others from being stored. fleet.ErrUnavailable if the queue is full or the
// database is away: then the caller brings all of it again.
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
			outcome.Rejected = append(outcome.Rejected, execution.Rejection{Index: e.indexes[i], Fault: execution.FaultErased})
		}
		return outcome, nil
	case <-ctx.Done(): // it may be stored all the same
		return execution.Outcome{}, fmt.Errorf("wait for the ledger: %w", ctx.Err())
	}
}

// Prepare makes an execution what is stored: checked, masked, bounded, its names replaced, and priced. Preparing it again changes nothing.
func (l *Ledger) Prepare(e execution.Execution) (execution.Execution, *execution.Fault) {
	if e.Tokens.Used == 0 {
		e.Tokens.Used = e.Tokens.Input + e.Tokens.Output
	}
	if fault := e.Check(execution.Acceptance{Now: l.opts.Now(), Keep: l.opts.Keep}); fault != nil {
		return e, fault
	}
	if fault := l.opts.Payloads.Apply(&e); fault != nil {
		return e, fault
	}
	l.opts.Names.Replace(&e)
	if e.PriceVersion == "" {
		l.opts.Prices().Price(&e)
	}
	return e, nil
}

func (l *Ledger) prepareAll(batch execution.Batch) (*entry, execution.Outcome) {
	e := &entry{done: make(chan result, 1)}
	e.batch.Executions = make([]execution.Execution, 0, len(batch.Executions))
	var outcome execution.Outcome
	for i, one := range batch.Executions {
		prepared, fault := l.Prepare(one)
		if fault != nil {
			outcome.Rejected = append(outcome.Rejected, execution.Rejection{Index: i, Fault: *fault})
			continue
		}
		e.batch.Executions = append(e.batch.Executions, prepared)
		e.indexes = append(e.indexes, i)
		e.bytes += rowOverhead + len(prepared.Input) + len(prepared.Output) + len(prepared.ErrorMessage)
	}
	for _, s := range batch.Spans {
		if s.Check() == nil { // one of a rejected execution, say, is as bad
			l.opts.Names.ReplaceIn(&s)
			e.batch.Spans = append(e.batch.Spans, s)
		}
	}
	e.bytes += rowOverhead * len(e.batch.Spans)
	return e, outcome
}

func (l *Ledger) enqueue(e *entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return fleet.ErrShuttingDown
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
