package postgres

import (
	"context"
	"reflect"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/store/postgres/dbgen"
)

// apply applies the decisions: it changes the rows that remain, then moves contents to them,
// and then deletes the others.
func (v *view) apply(ctx context.Context) error {
	for _, m := range v.members {
		if m.touched && m.now != nil {
			v.setCounted(m)
			if err := v.keep(ctx, m); err != nil {
				return err
			}
		}
	}
	if err := v.handOver(ctx); err != nil {
		return err
	}
	if err := v.remove(ctx); err != nil {
		return err
	}
	if err := v.saveJoined(ctx); err != nil {
		return err
	}
	return v.savePlaces(ctx)
}

// setCounted sets m.heard if metrics have counted an execution or another span of the same call.
func (v *view) setCounted(m *member) {
	m.heard = m.stored != nil && !m.waits || m.joined != nil && m.joined.heard
	for _, other := range m.members {
		m.heard = m.heard || other.stored != nil && !other.waits || other.joined != nil && other.joined.heard
	}
}

// keep stores m.now. If the row that an execution would become exists, the execution was received again after its
// ancestors were known; its present row is then a duplicate and is deleted.
func (v *view) keep(ctx context.Context, m *member) error {
	now := m.now
	if err := v.keepOne(ctx, m); err != nil {
		return err
	}
	if m.stored == nil {
		now.Capped = v.s.names.capped(&now.Execution)
		inserted, err := v.store(ctx, m)
		if err != nil || !inserted {
			return err
		}
		v.deltas.Add(now, 1)
		if !m.heard && m.missing == "" {
			v.revived, m.reported = append(v.revived, now.Execution), true
		}
		return nil
	}
	now.Capped = v.s.names.cappedAfter(m.stored, now)
	now.Input, now.Output = m.stored.Input, m.stored.Output
	if sameRow(m.stored, now) {
		return nil
	}
	moved, err := v.move(ctx, m.stored, now)
	if err != nil {
		return err
	}
	v.deltas.Add(m.stored, -1)
	if !moved {
		m.now, m.removed, m.owner = nil, true, now.UserID
		return v.delete(ctx, m.stored)
	}
	v.deltas.Add(now, 1)
	return nil
}

// keepOne deletes all rows of an execution except one: the one with the decided user, if it exists.
func (v *view) keepOne(ctx context.Context, m *member) error {
	for i, again := range m.again {
		if again.UserID == m.now.UserID {
			m.stored, m.again[i] = again, m.stored
		}
	}
	for _, again := range m.again {
		v.deltas.Add(again, -1)
		if err := v.delete(ctx, again); err != nil {
			return err
		}
	}
	return nil
}

// sameRow reports whether a row does not change.
func sameRow(was, now *execution.Row) bool { return reflect.DeepEqual(*was, *now) }

func (v *view) delete(ctx context.Context, row *execution.Row) error {
	_, err := v.s.db.queries.WithTx(v.tx).DeleteExecution(ctx, dbgen.DeleteExecutionParams{UserID: row.UserID, CreatedAt: row.CreatedAt, ExecutionID: row.ID})
	return err
}

// figuresOf returns the values of figureColumns, which settling may change.
func figuresOf(r *execution.Row) []any {
	return []any{
		r.UserID, r.AgentName, r.SessionID, r.RequestID, string(r.Kind), r.Request, int16(r.Capped), r.Variant, string(r.Status), r.ErrorMessage,
		milliseconds(r.Duration), r.Provider, r.Model, r.Tokens.Used, r.Tokens.Input, r.Tokens.Output, r.Tokens.CacheRead, r.Tokens.CacheWrite,
		r.Tokens.Reasoning, r.Cost, r.PriceVersion, string(r.Usage), encodeBilling(r.Billing), r.ProviderCost, encodeJoined(r.Joined),
	}
}

const figureColumns = `user_id, agent_name, session_id, request_id, kind, request, capped, variant, status, error_message,
	execution_time_ms, provider, model_used, tokens_used, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens,
	reasoning_tokens, cost_nano_usd, price_version, usage, billing, provider_cost_nano_usd, joined`

const figureValues = `$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25`

// move changes a row unless a row with the new key exists.
func (v *view) move(ctx context.Context, was, now *execution.Row) (moved bool, err error) {
	err = pgx.BeginFunc(ctx, v.tx, func(savepoint pgx.Tx) error {
		tag, err := savepoint.Exec(ctx, `-- name: MoveExecution :execrows
UPDATE agent_executions moved SET (`+figureColumns+`) = (`+figureValues+`)
WHERE moved.user_id = $26 AND moved.created_at = $27 AND moved.execution_id = $28
	AND ($1 = $26 OR NOT EXISTS (SELECT FROM agent_executions there WHERE there.user_id = $1 AND there.created_at = $27 AND there.execution_id = $28))`,
			append(figuresOf(now), was.UserID, was.CreatedAt, was.ID)...)
		moved = tag.RowsAffected() > 0
		return err
	})
	if sqlstate(err) == uniqueViolation { // it was stored concurrently
		return false, nil
	}
	return moved, err
}

// store inserts the row of an execution that had none.
func (v *view) store(ctx context.Context, m *member) (inserted bool, err error) {
	now := m.now
	err = pgx.BeginFunc(ctx, v.tx, func(savepoint pgx.Tx) error {
		tag, err := savepoint.Exec(ctx, `-- name: RestoreExecution :execrows
INSERT INTO agent_executions (`+figureColumns+`, created_at, execution_id, trace_id, span_id, parent_span_id)
VALUES (`+figureValues+`, $26, $27, $28, $29, $30) ON CONFLICT DO NOTHING`,
			append(figuresOf(now), now.CreatedAt, now.ID, now.TraceID, now.SpanID, now.ParentSpanID)...)
		inserted = tag.RowsAffected() > 0
		return err
	})
	if sqlstate(err) == checkViolation { // its day was dropped
		m.now = nil
		return false, nil
	}
	return inserted, err
}

// handOver copies contents that an execution lacks from the rows merged into it, before those are deleted.
func (v *view) handOver(ctx context.Context) error {
	var users, ids, fromUsers, fromIDs []string
	var times, fromTimes []time.Time
	for _, m := range v.members {
		if !m.touched || m.now == nil {
			continue
		}
		for _, other := range m.members {
			if other.stored == nil {
				continue
			}
			users, times, ids = append(users, m.now.UserID), append(times, m.now.CreatedAt), append(ids, m.now.ID)
			fromUsers, fromTimes, fromIDs = append(fromUsers, other.stored.UserID), append(fromTimes, other.stored.CreatedAt), append(fromIDs, other.stored.ID)
		}
	}
	if len(users) == 0 {
		return nil
	}
	const lacking = `(num_nonnulls(e.input_json, e.input_data) = 0 AND num_nonnulls(o.input_json, o.input_data) > 0
	OR num_nonnulls(e.output_json, e.output_data) = 0 AND num_nonnulls(o.output_json, o.output_data) > 0)`
	rows, err := v.tx.Query(ctx, `-- name: ContentsToHandOver :many
SELECT k.n FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[], $5::timestamptz[], $6::text[])
	WITH ORDINALITY AS k (user_id, created_at, execution_id, from_user, from_time, from_id, n)
JOIN agent_executions e ON e.user_id = k.user_id AND e.created_at = k.created_at AND e.execution_id = k.execution_id
JOIN agent_executions o ON o.user_id = k.from_user AND o.created_at = k.from_time AND o.execution_id = k.from_id
WHERE `+lacking+` ORDER BY k.n`, users, times, ids, fromUsers, fromTimes, fromIDs)
	if err != nil {
		return err
	}
	some, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		return err
	}
	for _, n := range some { // one at a time, since several may have contents for the same execution
		i := n - 1
		if _, err := v.tx.Exec(ctx, `-- name: HandOverContents :exec
UPDATE agent_executions e SET input_json = CASE WHEN num_nonnulls(e.input_json, e.input_data) > 0 THEN e.input_json ELSE COALESCE(o.input_json, o.input_data::text) END,
	output_json = CASE WHEN num_nonnulls(e.output_json, e.output_data) > 0 THEN e.output_json ELSE COALESCE(o.output_json, o.output_data::text) END
FROM agent_executions o
WHERE e.user_id = $1 AND e.created_at = $2 AND e.execution_id = $3 AND o.user_id = $4 AND o.created_at = $5 AND o.execution_id = $6
	AND `+lacking, users[i], times[i], ids[i], fromUsers[i], fromTimes[i], fromIDs[i]); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes the rows of executions that should have none.
func (v *view) remove(ctx context.Context) error {
	var gone dbgen.DeleteExecutionsParams
	for _, m := range v.members {
		if !m.touched || m.now != nil || m.stored == nil || m.removed {
			continue
		}
		for _, row := range append(m.again, m.stored) {
			v.deltas.Add(row, -1)
			gone.Users, gone.Times, gone.Ids = append(gone.Users, row.UserID), append(gone.Times, row.CreatedAt), append(gone.Ids, row.ID)
		}
	}
	if len(gone.Ids) == 0 {
		return nil
	}
	return v.s.db.queries.WithTx(v.tx).DeleteExecutions(ctx, gone)
}
