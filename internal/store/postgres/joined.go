package postgres

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
)

// joinedExecution is the original of an execution that was merged: one that is a step of another or the same call as
// another, or one that others were merged into.
type joinedExecution struct {
	execution.Execution // as received, without its payloads
	into, reason        string
	user                string
	heard               bool
}

func mergedExecution(into, user, reason string, e *execution.Execution) joinedExecution {
	j := joinedExecution{Execution: *e, into: into, reason: reason, user: user}
	j.Input, j.Output = nil, nil
	return j
}

// keepJoined stores executions as they were before they were merged.
func (s *Executions) keepJoined(ctx context.Context, tx pgx.Tx, all []joinedExecution) error {
	if len(all) == 0 {
		return nil
	}
	n := len(all)
	ids, intos, reasons, users, traces := make([]string, n), make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	times, heard, figures := make([]time.Time, n), make([]bool, n), make([]string, n)
	for i := range all {
		j := &all[i]
		ids[i], intos[i], reasons[i], users[i], traces[i] = j.ID, j.into, j.reason, j.user, j.TraceID
		times[i], heard[i], figures[i] = j.CreatedAt, j.heard, string(mustMarshal(j.Execution))
	}
	_, err := tx.Exec(ctx, `-- name: InsertJoined :exec
INSERT INTO joined_executions (execution_id, into_id, reason, user_id, created_at, trace_id, heard, figures)
SELECT DISTINCT ON (1) j.* FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::text[], $7::boolean[], $8::jsonb[]) AS j (id)
ORDER BY 1
ON CONFLICT (execution_id) DO NOTHING`, ids, intos, reasons, users, times, traces, heard, figures)
	return err
}

// dropJoined removes from in what was received before and since merged into another execution or moved to another user.
// It is recognized by its span or, after spansKept, by its id. Other executions received before are marked in in.again,
// since their rows may be moved to another user at the moment. fresh means that none of the batch's spans was stored
// before. Nearly always this is so, and no execution is older than spansKept; then dropJoined runs no query.
func (s *Executions) dropJoined(ctx context.Context, tx pgx.Tx, f *family, in *intake, fresh bool) error {
	forgotten := s.now().Add(-spansKept)
	var traces, spans, ids, users []string
	for i := range in.rows {
		r := &in.rows[i]
		if at := f.at[in.from[i]]; at < 0 || f.nodes[at].Role == execution.RoleNone || fresh && r.CreatedAt.Add(r.Duration).After(forgotten) {
			continue
		}
		ids = append(ids, r.ID)
		if !fresh {
			traces, spans, users = append(traces, r.TraceID), append(spans, r.SpanID), append(users, r.UserID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	var rows pgx.Rows
	var err error
	if fresh {
		rows, err = tx.Query(ctx, `-- name: JoinedLongBefore :many
SELECT execution_id, true FROM joined_executions WHERE execution_id = ANY ($1::text[]) AND into_id <> execution_id`, ids)
	} else {
		rows, err = tx.Query(ctx, `-- name: JoinedBefore :many
SELECT w.id, COALESCE(a.gone OR a.owner <> '' AND a.owner <> w.user_id, false)
	OR EXISTS (SELECT FROM joined_executions j WHERE j.execution_id = w.id AND j.into_id <> w.id)
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS w (trace_id, span_id, id, user_id)
LEFT JOIN span_ancestors a ON a.trace_id = w.trace_id AND a.span_id = w.span_id
WHERE a.trace_id IS NULL OR a.xmin <> pg_current_xact_id()::xid`, traces, spans, ids, users)
	}
	if err != nil {
		return err
	}
	dropped := map[string]bool{} // executions received before
	var id string
	var drop bool
	if _, err := pgx.ForEachRow(rows, []any{&id, &drop}, func() error {
		dropped[id] = drop
		return nil
	}); err != nil || len(dropped) == 0 {
		return err
	}
	kept := 0
	for i := range in.rows {
		drop, before := dropped[in.rows[i].ID]
		if drop {
			continue
		}
		if before {
			in.again[in.from[i]] = true
		}
		in.rows[kept], in.from[kept] = in.rows[i], in.from[i]
		kept++
	}
	in.rows, in.from = in.rows[:kept], in.from[:kept]
	// Otherwise Settle would store them again.
	in.joined = slices.DeleteFunc(in.joined, func(j joinedExecution) bool { return dropped[j.ID] || dropped[j.into] })
	return nil
}

// joinedOf decodes a joined execution.
func joinedOf(into, reason, user string, heard bool, figures json.RawMessage) joinedExecution {
	return joinedExecution{Execution: decoded[execution.Execution](figures), into: into, reason: reason, user: user, heard: heard}
}
