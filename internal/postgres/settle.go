package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/postgres/dbgen"
)

// settleAtOnce is how many waiting executions are looked at in one transaction.
const settleAtOnce = 500

// Settle looks at executions that wait for ancestors: what these say moves a row, and what it adds to the rollups, in one
// transaction. It returns those that nothing will change any more, and whether there may be more to look at now.
// Replicas may do it at the same time.
func (s *Executions) Settle(ctx context.Context) (settled []execution.Execution, more bool, err error) {
	err = s.db.inTxAs(ctx, admin, "settle executions", func(tx pgx.Tx) error {
		settled, more = nil, false
		q := s.db.queries.WithTx(tx)
		due, err := q.TakeUnsettled(ctx, settleAtOnce)
		if err != nil || len(due) == 0 {
			return err
		}
		more = len(due) == settleAtOnce
		rows, err := s.attributed(ctx, tx, due)
		if err != nil {
			return err
		}
		deltas := execution.NewDeltas()
		var done []dbgen.TakeUnsettledRow
		var waiting []waitingRow
		for _, w := range due {
			row, found := rows[executionKey{w.UserID, w.CreatedAt.UnixMicro(), w.ExecutionID}]
			if !found { // erased, or dropped with its day
				done = append(done, w)
				continue
			}
			kept, err := s.move(ctx, tx, row, deltas)
			switch {
			case err != nil:
				return err
			case !kept: // the other one, which is there, is told of, or waits itself
				done = append(done, w)
			case row.complete || w.WaitedSeconds >= settleWithin.Seconds():
				done, settled = append(done, w), append(settled, row.now.Execution)
			default:
				waiting = append(waiting, waitingRow{w, row.now.UserID})
			}
		}
		if err := postpone(ctx, q, done, waiting); err != nil {
			return err
		}
		return s.appendDeltas(ctx, tx, deltas)
	})
	if err != nil {
		return nil, false, err // what a transaction settled that was not committed is not settled
	}
	return settled, more, nil
}

// waitingRow is one some of whose ancestors are still missing, and the user that it has by now.
type waitingRow struct {
	dbgen.TakeUnsettledRow
	user string
}

// attributedRow is a row as it is stored, and as its ancestors say it should be.
type attributedRow struct {
	was, now execution.Row
	complete bool // no ancestor is missing
	erased   bool // it is a user's who was erased after it began
}

// attributed reads rows and asks their ancestors.
func (s *Executions) attributed(ctx context.Context, tx pgx.Tx, due []dbgen.TakeUnsettledRow) (map[executionKey]*attributedRow, error) {
	users, times, ids := make([]string, len(due)), make([]time.Time, len(due)), make([]string, len(due))
	for i, w := range due {
		users[i], times[i], ids[i] = w.UserID, w.CreatedAt, w.ExecutionID
	}
	stored, err := s.db.queries.WithTx(tx).ExecutionsByKey(ctx, dbgen.ExecutionsByKeyParams{Users: users, Times: times, Ids: ids})
	if err != nil {
		return nil, err
	}
	rows := make(map[executionKey]*attributedRow, len(stored))
	executions := make([]*execution.Execution, len(stored))
	for i, one := range stored {
		row := rowOf(one)
		rows[keyOf(&row.Execution)] = &attributedRow{was: row, now: row}
		executions[i] = &row.Execution
	}
	ancestry := execution.Ancestry{}
	if err := extend(ctx, tx, ancestry, executions); err != nil {
		return nil, err
	}
	var inherited []string
	for _, row := range rows {
		if row.complete, _ = ancestry.Attribute(&row.now.Execution); row.now.AgentName != row.was.AgentName {
			inherited = append(inherited, row.now.AgentName)
		}
	}
	if err := s.names.lookUp(ctx, tx, inherited); err != nil {
		return nil, err
	}
	erased, err := erasuresAmong(ctx, tx, len(executions), func(i int) string {
		return rows[keyOf(executions[i])].now.UserID
	})
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		row.now.Capped = s.names.cappedAfter(row)
		row.erased = erased.cover(&row.now.Execution)
	}
	return rows, nil
}

// cappedAfter says which names of a row are not told apart any more. One that did not change stays as it is.
func (n *names) cappedAfter(row *attributedRow) execution.Capped {
	if row.now.AgentName == row.was.AgentName {
		return row.was.Capped
	}
	return row.was.Capped&execution.CappedModel | n.capped(&row.now.Execution)&execution.CappedAgent
}

// move writes a row as it should be, and notes how that changes the rollups. Where the row that it would become is there
// already, it came again after its ancestors were known: then it is a duplicate, and is not kept.
func (s *Executions) move(ctx context.Context, tx pgx.Tx, row *attributedRow, deltas execution.Deltas) (kept bool, err error) {
	was, now := &row.was, &row.now
	if row.erased {
		deltas.Add(was, -1)
		_, err := s.db.queries.WithTx(tx).DeleteExecution(ctx, dbgen.DeleteExecutionParams{UserID: was.UserID, CreatedAt: was.CreatedAt, ExecutionID: was.ID})
		return false, err
	}
	if was.AgentName == now.AgentName && was.UserID == now.UserID && was.SessionID == now.SessionID && was.Request == now.Request {
		return true, nil
	}
	var moved int64
	err = pgx.BeginFunc(ctx, tx, func(savepoint pgx.Tx) (err error) {
		moved, err = s.db.queries.WithTx(savepoint).MoveExecution(ctx, dbgen.MoveExecutionParams{
			UserID: was.UserID, CreatedAt: was.CreatedAt, ExecutionID: was.ID,
			NewUser: now.UserID, AgentName: now.AgentName, SessionID: now.SessionID, Request: now.Request, Capped: int16(now.Capped),
		})
		return err
	})
	if sqlstate(err) == uniqueViolation { // it was being stored while this looked
		moved, err = 0, nil
	}
	if err != nil {
		return false, err
	}
	deltas.Add(was, -1)
	if moved == 0 {
		_, err := s.db.queries.WithTx(tx).DeleteExecution(ctx, dbgen.DeleteExecutionParams{UserID: was.UserID, CreatedAt: was.CreatedAt, ExecutionID: was.ID})
		return false, err
	}
	deltas.Add(now, 1)
	return true, nil
}

// postpone forgets those that are done, and has the others looked at again after as long as they have waited, or when they
// have waited long enough.
func postpone(ctx context.Context, q *dbgen.Queries, done []dbgen.TakeUnsettledRow, waiting []waitingRow) error {
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
		later.NewUsers = append(later.NewUsers, w.user)
		later.Users, later.Times, later.Ids = append(later.Users, w.UserID), append(later.Times, w.CreatedAt), append(later.Ids, w.ExecutionID)
	}
	return q.PostponeUnsettled(ctx, later)
}
