package postgres

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/store/postgres/dbgen"
)

// repriceAtOnce is the maximum number of rows repriced or recounted in one transaction.
const repriceAtOnce = 2000

// Repriced is the result of Reprice, in numbers of executions.
type Repriced struct{ Seen, Changed int64 }

// Reprice recalculates the costs of the executions that began in a window, and changes the rollups accordingly. price
// sets an execution's cost and price version. What was committed before an error remains.
func (s *Executions) Reprice(ctx context.Context, w execution.Window, price func(*execution.Execution)) (Repriced, error) {
	var total Repriced
	if err := s.repriceJoined(ctx, w, price); err != nil {
		return total, err
	}
	err := s.changeWindow(ctx, w, "reprice executions", &total.Seen, &total.Changed,
		func(tx pgx.Tx, rows []dbgen.ExecutionFigure) (int64, error) { return s.saveCosts(ctx, tx, rows, price) })
	return total, err
}

// changeWindow calls change for all executions that began in a window, in transactions of at most repriceAtOnce rows.
// It adds the number of rows to seen and the results of change to changed. On error they count what was committed.
func (s *Executions) changeWindow(
	ctx context.Context, w execution.Window, doing string, seen, changed *int64, change func(pgx.Tx, []dbgen.ExecutionFigure) (int64, error),
) error {
	after := dbgen.EndOfPageRow{CreatedAt: w.From.Add(-execution.MinuteWide)} // before all rows of the window
	for {
		var read, done int64
		var until dbgen.EndOfPageRow
		last := false
		err := s.db.inTxAs(ctx, admin, doing, func(tx pgx.Tx) (err error) {
			q := s.db.queries.WithTx(tx)
			read, done, last = 0, 0, false
			until, err = q.EndOfPage(ctx, dbgen.EndOfPageParams{
				WindowFrom: w.From, WindowTo: w.To, MaxRows: repriceAtOnce,
				After: after.CreatedAt, AfterUser: after.UserID, AfterID: after.ExecutionID,
			})
			if errors.Is(err, pgx.ErrNoRows) { // fewer than repriceAtOnce remain
				until, last, err = dbgen.EndOfPageRow{CreatedAt: w.To}, true, nil
			}
			if err != nil {
				return err
			}
			rows, err := q.ExecutionsToReprice(ctx, dbgen.ExecutionsToRepriceParams{
				WindowFrom: w.From, WindowTo: w.To,
				After: after.CreatedAt, AfterUser: after.UserID, AfterID: after.ExecutionID,
				Until: until.CreatedAt, UntilUser: until.UserID, UntilID: until.ExecutionID,
			})
			if read = int64(len(rows)); err != nil || read == 0 {
				return err
			}
			done, err = change(tx, rows)
			return err
		})
		if err != nil {
			return err
		}
		*seen += read
		*changed += done
		if last {
			return nil
		}
		after = until
	}
}

func (s *Executions) saveCosts(ctx context.Context, tx pgx.Tx, rows []dbgen.ExecutionFigure, price func(*execution.Execution)) (changed int64, err error) {
	const none = -1 // represents NULL, which []int64 cannot hold
	var save dbgen.SavePricesParams
	deltas := execution.NewDeltas()
	for _, stored := range rows {
		row := rowOf(stored)
		was := row.Cost
		price(&row.Execution)
		if same(was, row.Cost) && row.PriceVersion == stored.PriceVersion {
			continue
		}
		if !same(was, row.Cost) {
			changed++
			deltas.Reprice(&row, was)
		}
		cost := int64(none)
		if row.Cost != nil {
			cost = *row.Cost
		}
		save.Users, save.Times, save.Ids = append(save.Users, row.UserID), append(save.Times, row.CreatedAt), append(save.Ids, row.ID)
		save.Costs, save.Versions = append(save.Costs, cost), append(save.Versions, row.PriceVersion)
	}
	if err := s.db.queries.WithTx(tx).SavePrices(ctx, save); err != nil {
		return 0, err
	}
	return changed, s.appendDeltas(ctx, tx, deltas)
}

func same(a, b *int64) bool {
	return a == b || a != nil && b != nil && *a == *b
}

// repriceJoined reprices executions as they were before they were merged, since later decisions start from those. It
// runs before the rows are repriced, so that none is settled with an old price after it was repriced.
func (s *Executions) repriceJoined(ctx context.Context, w execution.Window, price func(*execution.Execution)) error {
	at, id := w.From, ""
	for {
		read := 0
		var last joinedExecution
		err := s.db.inTxAs(ctx, admin, "reprice joined executions", func(tx pgx.Tx) error {
			rows, err := tx.Query(ctx, `-- name: JoinedToReprice :many
SELECT execution_id, figures FROM joined_executions
WHERE created_at >= $1 AND created_at < $2 AND (created_at, execution_id) > ($1, $3)
ORDER BY created_at, execution_id LIMIT $4 FOR NO KEY UPDATE`, at, w.To, id, repriceAtOnce)
			if err != nil {
				return err
			}
			read = 0
			var ids, changed []string
			var key string
			var figures json.RawMessage
			if _, err := pgx.ForEachRow(rows, []any{&key, &figures}, func() error {
				read++
				one := joinedOf("", "", "", false, figures)
				last, last.ID = one, key
				was, version := one.Cost, one.PriceVersion
				if price(&one.Execution); !same(was, one.Cost) || version != one.PriceVersion {
					ids, changed = append(ids, key), append(changed, string(mustMarshal(one.Execution)))
				}
				return nil
			}); err != nil || len(ids) == 0 {
				return err
			}
			_, err = tx.Exec(ctx, `-- name: SaveJoinedFigures :exec
UPDATE joined_executions j SET figures = k.figures
FROM unnest($1::text[], $2::jsonb[]) AS k (execution_id, figures) WHERE j.execution_id = k.execution_id`, ids, changed)
			return err
		})
		if err != nil {
			return err
		}
		if read < repriceAtOnce {
			return nil
		}
		at, id = last.CreatedAt, last.ID
	}
}
