package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/store/postgres/dbgen"
)

// Recounted is the result of Recount, in numbers of executions.
type Recounted struct{ Seen, Changed int64 }

// Recount moves executions of a window that count as execution.Other to their own names, if these have a slot or get
// one. Free slots go to the names with the most executions. What was committed before an error remains.
func (s *Executions) Recount(ctx context.Context, w execution.Window) (Recounted, error) {
	if _, err := s.SampleNames(ctx); err != nil {
		return Recounted{}, err
	}
	waiting, err := s.cappedNames(ctx, w)
	if err != nil {
		return Recounted{}, err
	}
	if err := s.names.learn(ctx, s.db, waiting); err != nil {
		return Recounted{}, err
	}
	var total Recounted
	err = s.changeWindow(ctx, w, "recount executions", &total.Seen, &total.Changed,
		func(tx pgx.Tx, rows []dbgen.ExecutionFigure) (int64, error) { return s.restoreNames(ctx, tx, rows) })
	return total, err
}

// cappedNames returns a batch with the names of a window's executions that count as execution.Other, most frequent
// first.
func (s *Executions) cappedNames(ctx context.Context, w execution.Window) (batch execution.Batch, err error) {
	err = s.db.inTxAs(ctx, admin, "find names that count as other", func(tx pgx.Tx) error {
		batch = execution.Batch{}
		rows, err := tx.Query(ctx, `-- name: CappedNames :many
(SELECT agent_name, '' FROM agent_executions WHERE capped & 1 <> 0 AND created_at >= $1 AND created_at < $2
 GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT $3)
UNION ALL
(SELECT '', model_used FROM agent_executions WHERE capped & 2 <> 0 AND created_at >= $1 AND created_at < $2
 GROUP BY 2 ORDER BY count(*) DESC, 2 LIMIT $3)`, w.From, w.To, maxNames)
		if err != nil {
			return err
		}
		var e execution.Execution
		_, err = pgx.ForEachRow(rows, []any{&e.AgentName, &e.Model}, func() error {
			batch.Executions = append(batch.Executions, e)
			return nil
		})
		return err
	})
	return batch, err
}

// restoreNames moves rows to their own names if these have a slot now.
func (s *Executions) restoreNames(ctx context.Context, tx pgx.Tx, rows []dbgen.ExecutionFigure) (changed int64, err error) {
	var users, ids []string
	var times []time.Time
	var capped []int16
	deltas := execution.NewDeltas()
	for _, stored := range rows {
		was := rowOf(stored)
		now := was
		if now.Capped &= s.names.capped(&now.Execution); now.Capped == was.Capped {
			continue
		}
		deltas.Add(&was, -1)
		deltas.Add(&now, 1)
		users, times, ids = append(users, was.UserID), append(times, was.CreatedAt), append(ids, was.ID)
		capped = append(capped, int16(now.Capped))
	}
	if len(users) == 0 {
		return 0, nil
	}
	if _, err := tx.Exec(ctx, `-- name: SaveCapped :exec
UPDATE agent_executions e SET capped = k.capped
FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::smallint[]) AS k (user_id, created_at, execution_id, capped)
WHERE e.user_id = k.user_id AND e.created_at = k.created_at AND e.execution_id = k.execution_id`, users, times, ids, capped); err != nil {
		return 0, err
	}
	return int64(len(users)), s.appendDeltas(ctx, tx, deltas)
}
