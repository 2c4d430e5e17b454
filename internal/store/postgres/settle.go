package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/store/postgres/dbgen"
)

const (
	// settleAtOnce is how many waiting executions are looked at in one transaction.
	settleAtOnce = 500
	// maxTraceSpans is how many spans of a trace are looked at together. Of one that has more, names go on going down.
	maxTraceSpans = 5000
	// maxSettledSpans is how many spans are looked at in one transaction.
	maxSettledSpans = 25_000
	// maxPartners is how many other traces are looked at because they have calls that may be the same, and again because they have calls
	// that were joined. Each trace takes a lock, of which a server has some 6,400 for all its sessions unless it is told otherwise.
	maxPartners = 300
)

// Settle looks at executions that wait for spans above them or for others of the same call, and at all of their traces: what these
// say moves rows, and what they add to the rollups, in one transaction. It returns those that nothing will change any more, and
// whether there may be more to look at now. Replicas may do it at the same time: each trace is looked at by one.
func (s *Executions) Settle(ctx context.Context) (settled []execution.Execution, more bool, err error) {
	recent := s.recent.take() // here, since a transaction may be run again
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
		return nil, false, err // what a transaction settled that was not committed is not settled
	}
	s.recent.looked(recent, runs)
	return settled, more, nil
}

// TraceBounds returns how often the spans above executions were more than are looked at, and how often a trace was too large to look
// at whole.
func (s *Executions) TraceBounds() (deep, large int64) { return s.tooDeep.Load(), s.tooLarge.Load() }

// settle forgets which executions wait no longer, and returns those that are final and that nobody heard of.
func (v *view) settle(ctx context.Context, q *dbgen.Queries) (settled []execution.Execution, err error) {
	settled = v.revived
	var done []dbgen.TakeUnsettledRow
	var later []waitingRow
	for _, w := range v.due {
		one := v.of(w)
		switch {
		case v.cut[w.TraceID], v.busy[w.TraceID] && w.WaitedSeconds < 2*settleWithin.Seconds():
			later = append(later, waitingRow{w, w.UserID})
		case v.busy[w.TraceID]: // as it is
			done = append(done, w)
			if one != nil && one.stored != nil {
				settled = append(settled, one.stored.Execution)
			}
		case one != nil && one.now == nil && one.into != nil && one.missing != "" && w.WaitedSeconds < settleWithin.Seconds():
			later = append(later, waitingRow{w, w.UserID}) // that it is the same call as another may change
		case one == nil || one.now == nil || one.told: // erased, dropped with its day, or a part of another
			done = append(done, w)
		case one.missing == "" && !one.unripe || w.WaitedSeconds >= settleWithin.Seconds():
			done = append(done, w)
			one.told = true
			if !one.heard {
				settled = append(settled, one.now.Execution)
			}
		case w.UserID != one.now.UserID && v.waiting[executionKey{one.now.UserID, w.CreatedAt.UnixMicro(), w.ExecutionID}]:
			done = append(done, w) // it waits under the key that it has now as well
		default:
			later = append(later, waitingRow{w, one.now.UserID})
		}
	}
	return settled, v.postpone(ctx, q, done, later)
}

// waitingRow is one some of whose ancestors are still missing, and the user that it has by now.
type waitingRow struct {
	dbgen.TakeUnsettledRow
	user string
}

// postpone forgets those that are done, and has the others looked at again after as long as they have waited, or when they have
// waited long enough; soon, where another replica is looking at their traces.
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
			continue // it stays due
		}
		later.NewUsers, later.Soon = append(later.NewUsers, w.user), append(later.Soon, v.busy[w.TraceID])
		later.Users, later.Times, later.Ids = append(later.Users, w.UserID), append(later.Times, w.CreatedAt), append(later.Ids, w.ExecutionID)
	}
	return q.PostponeUnsettled(ctx, later)
}

// view is what is known of the traces that executions are settled in.
type view struct {
	s   *Executions
	tx  pgx.Tx
	due []dbgen.TakeUnsettledRow

	busy  map[string]bool // traces that another replica looks at
	cut   map[string]bool // traces that are left for the next time
	large map[string]bool // traces of which names alone go down
	left  bool

	spans   []storedSpan
	known   map[string]bool       // traces whose spans were read
	waiting map[executionKey]bool // under which keys executions of these traces wait
	ofDue   map[string]bool       // traces that executions wait in, unlike those that only have partners
	members []*member             // the spans' executions, as far as they have some
	byID    map[[2]string]*member
	deltas  execution.Deltas
	revived []execution.Execution
}

// member is an execution of a view.
type member struct {
	span   storedSpan
	stored *execution.Row   // as it is stored; nil: it has no row
	again  []*execution.Row // other rows of it
	joined *joinedExecution // what it was before it was merged; nil: it never was
	waits  bool             // and metrics have not counted it
	waited float64          // seconds; 0: it does not wait

	now     *execution.Row // as it should be stored; nil: it should not be
	user    string         // whose it is, with or without a row
	missing string
	merged  bool
	unripe  bool    // what it used itself is not stored yet
	into    *member // that it is the same call as
	by      string
	members []*member // that are the same call
	heard   bool
	told    bool   // as one that is final
	owner   string // of the row that is there in place of its own
	erased  bool   // with its user
	removed bool   // its row is deleted: another is what it would become
	touched bool   // what was decided about it counts
}

func (v *view) of(w dbgen.TakeUnsettledRow) *member { return v.byID[[2]string{w.TraceID, w.SpanID}] }

// id is the id of a span's execution.
func (s *storedSpan) id() string { return s.TraceID + "-" + s.SpanID }

// ripe reports whether the calls in a run had the time to come, so that what none of them accounts for is the run's own.
func (m *member) ripe() bool {
	return m.waited == 0 || m.waited >= restAfter.Seconds() || m.stored != nil && m.stored.Tokens.Used > 0
}

// origin is an execution as it came, as far as that is still known.
func (m *member) origin() *execution.Execution {
	switch {
	case m.joined != nil && m.joined.ID != "":
		return &m.joined.Execution
	case m.stored != nil:
		return &m.stored.Execution
	}
	return nil
}

// cappedAfter says which names of a row are not told apart any more. One that did not change stays as it is.
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
