package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/store/postgres/dbgen"
)

const (
	// settleAtOnce is the maximum number of waiting executions settled in one transaction.
	settleAtOnce = 500
	// maxTraceSpans is the maximum number of spans of a trace that are decided together. In larger traces, names are
	// inherited from the spans above and nothing else is decided.
	maxTraceSpans = 5000
	// maxSettledSpans is the maximum number of spans read in one transaction.
	maxSettledSpans = 25_000
	// maxPartners is the maximum number of other traces read because of calls that may be the same, and
	// again because of calls that were joined with those. Each trace takes a lock; a server has about 6,400
	// for all sessions by default.
	maxPartners = 300
)

// Settle decides again on executions that wait for spans above them or for other spans of the same call. In one
// transaction it reads their traces, and moves rows and their share of the rollups accordingly. It returns the
// executions that will not change any more, and reports whether more may be due. Replicas may call it concurrently; a
// trace is settled by one at a time.
func (s *Executions) Settle(ctx context.Context) (settled []execution.Execution, more bool, err error) {
	recent := s.recent.take() // outside of the transaction, which may be retried
	var runs []spanID
	err = s.db.inTxAs(ctx, admin, "settle executions", func(tx pgx.Tx) error {
		settled, more, runs = nil, false, nil
		q := s.db.queries.WithTx(tx)
		if err := s.lookAgain(ctx, tx, recent); err != nil {
			return err
		}
		due, err := q.TakeUnsettled(ctx, settleAtOnce)
		if err != nil || len(due) == 0 {
			return err
		}
		v, err := s.look(ctx, tx, due)
		if err != nil {
			return err
		}
		more = len(due) == settleAtOnce || v.left
		if err := v.decide(ctx); err != nil {
			return err
		}
		runs = v.runsOfOthers()
		more = more || len(runs) > 0
		if err := v.apply(ctx); err != nil {
			return err
		}
		settled, err = v.settle(ctx, q)
		if err != nil {
			return err
		}
		return s.appendDeltas(ctx, tx, v.deltas)
	})
	if err != nil {
		s.recent.restore(recent)
		return nil, false, err // nothing is settled unless committed
	}
	s.recent.looked(recent, runs)
	return settled, more, nil
}

// TraceBounds returns how often the spans above executions exceeded the limit, and how often traces were too large to
// be decided as a whole.
func (s *Executions) TraceBounds() (deep, large int64) { return s.tooDeep.Load(), s.tooLarge.Load() }

// settle removes the executions that no longer wait from the list of those that do, postpones the others, and returns
// the final ones that metrics have not counted.
func (v *view) settle(ctx context.Context, q *dbgen.Queries) (settled []execution.Execution, err error) {
	settled = v.revived
	var done []dbgen.TakeUnsettledRow
	var later []waitingRow
	for _, w := range v.due {
		one := v.of(w)
		switch {
		case v.cut[w.TraceID], v.busy[w.TraceID] && w.WaitedSeconds < 2*settleWithin.Seconds():
			later = append(later, waitingRow{w, w.UserID})
		case v.busy[w.TraceID]: // waited too long: final as it is
			done = append(done, w)
			if one != nil && one.stored != nil {
				settled = append(settled, one.stored.Execution)
			}
		case one != nil && one.now == nil && one.into != nil && one.missing != "" && w.WaitedSeconds < settleWithin.Seconds():
			later = append(later, waitingRow{w, w.UserID}) // it may still turn out to be a separate call
		case one == nil || one.now == nil || one.reported: // erased, dropped with its day, or a part of another
			done = append(done, w)
		case one.missing == "" && !one.unripe || w.WaitedSeconds >= settleWithin.Seconds():
			done = append(done, w)
			one.reported = true
			if !one.heard {
				settled = append(settled, one.now.Execution)
			}
		case w.UserID != one.now.UserID && v.waiting[executionKey{one.now.UserID, w.CreatedAt.UnixMicro(), w.ExecutionID}]:
			done = append(done, w) // it also waits under its new key
		default:
			later = append(later, waitingRow{w, one.now.UserID})
		}
	}
	return settled, v.postpone(ctx, q, done, later)
}

// waitingRow is an execution that continues to wait, with its current user.
type waitingRow struct {
	dbgen.TakeUnsettledRow
	user string
}

// postpone removes the executions that are done from the list of waiting ones. It schedules the others after as long
// again as they have waited, but by settleWithin, and soon if another replica is settling their traces.
func (v *view) postpone(ctx context.Context, q *dbgen.Queries, done []dbgen.TakeUnsettledRow, waiting []waitingRow) error {
	var drop dbgen.DropUnsettledParams
	for _, w := range done {
		drop.Users, drop.Times, drop.Ids = append(drop.Users, w.UserID), append(drop.Times, w.CreatedAt), append(drop.Ids, w.ExecutionID)
	}
	if err := q.DropUnsettled(ctx, drop); err != nil {
		return err
	}
	var later dbgen.PostponeUnsettledParams
	later.LeastSeconds, later.WithinSeconds = firstCheck.Seconds(), settleWithin.Seconds()
	for _, w := range waiting {
		if v.cut[w.TraceID] {
			continue // remains due
		}
		later.NewUsers, later.Soon = append(later.NewUsers, w.user), append(later.Soon, v.busy[w.TraceID])
		later.Users, later.Times, later.Ids = append(later.Users, w.UserID), append(later.Times, w.CreatedAt), append(later.Ids, w.ExecutionID)
	}
	return q.PostponeUnsettled(ctx, later)
}

// view is the state of the traces in which executions are settled.
type view struct {
	s   *Executions
	tx  pgx.Tx
	due []dbgen.TakeUnsettledRow

	busy  map[string]bool // traces that another replica is settling
	cut   map[string]bool // traces left for the next time
	large map[string]bool // traces in which only names are inherited
	left  bool

	spans   []storedSpan
	known   map[string]bool       // traces whose spans were read
	waiting map[executionKey]bool // the keys of all waiting executions of these traces
	ofDue   map[string]bool       // traces with due executions, as opposed to those read for partners only
	members []*member             // one for each span, and for each due execution without one
	byID    map[[2]string]*member
	deltas  execution.Deltas
	revived []execution.Execution
}

// member is a span of a view with its execution.
type member struct {
	span   storedSpan
	stored *execution.Row   // the stored row; nil if it has none
	again  []*execution.Row // other rows of the same execution
	joined *joinedExecution // the execution before it was merged; nil if it was not
	waits  bool             // it waits and metrics have not counted it
	waited float64          // in seconds; 0 if it does not wait

	now      *execution.Row // the row that should be stored; nil if it should have none
	user     string         // its user, with or without a row
	missing  string
	merged   bool
	unripe   bool    // its own share of the usage is not stored yet
	into     *member // the execution of the same call that it is merged into
	by       string
	members  []*member // the executions merged into it
	heard    bool      // metrics have counted it
	reported bool      // it is reported as final
	owner    string    // the user of the existing row that replaces its own
	erased   bool      // with its user
	removed  bool      // its row is deleted, since the row that it would become exists
	touched  bool      // the decision about it is applied
}

func (v *view) of(w dbgen.TakeUnsettledRow) *member { return v.byID[[2]string{w.TraceID, w.SpanID}] }

// id returns the id of a span's execution.
func (s *storedSpan) id() string { return s.TraceID + "-" + s.SpanID }

// ripe reports whether the calls in a run had time to arrive, so that usage that none of them accounts
// for is the run's own.
func (m *member) ripe() bool {
	return m.waited == 0 || m.waited >= restAfter.Seconds() || m.stored != nil && m.stored.Tokens.Used > 0
}

// origin returns an execution as received or, if no original is kept, its stored row. It returns
// nil if there is neither.
func (m *member) origin() *execution.Execution {
	switch {
	case m.joined != nil && m.joined.ID != "":
		return &m.joined.Execution
	case m.stored != nil:
		return &m.stored.Execution
	}
	return nil
}

// cappedAfter returns which names of a changed row count as execution.Other. Names that did
// not change keep their state.
func (n *names) cappedAfter(was, now *execution.Row) execution.Capped {
	fresh := n.capped(&now.Execution)
	if now.AgentName == was.AgentName {
		fresh = fresh&^execution.CappedAgent | was.Capped&execution.CappedAgent
	}
	if now.Model == was.Model {
		fresh = fresh&^execution.CappedModel | was.Capped&execution.CappedModel
	}
	return fresh
}
