package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
)

const (
	// spansKept is for how long a span waits for those above and below it, and spansKeptBriefly for how long where it names
	// nothing and nothing of its trace is known to be executed: that may still be under way.
	spansKept        = time.Hour
	spansKeptBriefly = 5 * time.Minute
	// settleWithin is how long an execution waits for its ancestors; what it knows then is what it is.
	settleWithin = 10 * time.Minute
	// firstCheck is when ancestors are looked for again if nothing hints at their coming; the next times, after as long as
	// the execution has waited already.
	firstCheck = 2 * time.Second
	// wakeAtOnce is how many executions are looked at sooner because more of their traces came. A trace may have any
	// number, and come in any number of pieces; the others are looked at in their own time.
	wakeAtOnce = 5000
)

// walkUp finds spans and all that is known above them.
const walkUp = `-- name: Ancestors :many
WITH RECURSIVE up AS (
	SELECT a.trace_id, a.span_id, a.parent_span_id, a.agent, a.user_id, a.session_id, a.execution, 1 AS depth
	FROM unnest($1::text[], $2::text[]) AS wanted (trace_id, span_id) JOIN span_ancestors a USING (trace_id, span_id)
	UNION
	SELECT a.trace_id, a.span_id, a.parent_span_id, a.agent, a.user_id, a.session_id, a.execution, up.depth + 1
	FROM up JOIN span_ancestors a ON a.trace_id = up.trace_id AND a.span_id = up.parent_span_id
	WHERE up.parent_span_id <> '' AND up.depth < 64
)
SELECT DISTINCT trace_id, span_id, parent_span_id, agent, user_id, session_id, execution FROM up`

// ancestryOf is what is known of the spans above a batch's executions: those in the batch, and those that came before.
func ancestryOf(ctx context.Context, tx pgx.Tx, batch execution.Batch) (execution.Ancestry, error) {
	ancestry := make(execution.Ancestry, len(batch.Spans))
	for _, s := range batch.Spans {
		ancestry.Put(s)
	}
	rows := make([]*execution.Execution, len(batch.Executions))
	for i := range batch.Executions {
		rows[i] = &batch.Executions[i]
	}
	return ancestry, extend(ctx, tx, ancestry, rows)
}

// extend reads into the ancestry what is missing for these executions.
func extend(ctx context.Context, tx pgx.Tx, ancestry execution.Ancestry, executions []*execution.Execution) error {
	var traces, spans []string
	asked := map[[2]string]bool{}
	for _, e := range executions {
		probe := *e
		if settled, missing := ancestry.Attribute(&probe); !settled && !asked[[2]string{e.TraceID, missing}] {
			asked[[2]string{e.TraceID, missing}] = true
			traces, spans = append(traces, e.TraceID), append(spans, missing)
		}
	}
	if len(traces) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, walkUp, traces, spans)
	if err != nil {
		return err
	}
	var s execution.Span
	_, err = pgx.ForEachRow(rows, []any{&s.TraceID, &s.SpanID, &s.ParentSpanID, &s.Agent, &s.User, &s.Session, &s.Execution}, func() error {
		ancestry.Put(s)
		return nil
	})
	return err
}

// keepSpans keeps a batch's spans for what is still to come, notes which rows wait for spans above them, and has those
// looked at again that may have waited for these.
func keepSpans(ctx context.Context, tx pgx.Tx, batch execution.Batch, unsettled []*execution.Row) error {
	if len(batch.Spans) > 0 {
		if err := insertSpans(ctx, tx, batch); err != nil {
			return err
		}
	}
	if len(unsettled) == 0 {
		return nil
	}
	var users, ids, traces, spans []string
	var times []time.Time
	for _, r := range unsettled {
		users, times, ids = append(users, r.UserID), append(times, r.CreatedAt), append(ids, r.ID)
		traces, spans = append(traces, r.TraceID), append(spans, r.SpanID)
	}
	_, err := tx.Exec(ctx, `-- name: InsertUnsettled :exec
INSERT INTO unsettled_executions (user_id, created_at, execution_id, trace_id, span_id, check_at)
SELECT w.user_id, w.created_at, w.execution_id, w.trace_id, w.span_id, now() + $6::float8 * interval '1 second'
FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[], $5::text[]) AS w (user_id, created_at, execution_id, trace_id, span_id)
ORDER BY 1, 2, 3
ON CONFLICT DO NOTHING`, users, times, ids, traces, spans, firstCheck.Seconds())
	return err
}

func insertSpans(ctx context.Context, tx pgx.Tx, batch execution.Batch) error {
	executed := map[string]bool{} // traces
	for i := range batch.Executions {
		executed[batch.Executions[i].TraceID] = true
	}
	n := len(batch.Spans)
	traces, ids, parents := make([]string, n), make([]string, n), make([]string, n)
	agents, users, sessions := make([]string, n), make([]string, n), make([]string, n)
	executions, wanted := make([]bool, n), make([]bool, n)
	started := make([]time.Time, n)
	for i, s := range batch.Spans {
		traces[i], ids[i], parents[i] = s.TraceID, s.SpanID, s.ParentSpanID
		agents[i], users[i], sessions[i] = s.Agent, s.User, s.Session
		executions[i], started[i] = s.Execution, s.StartedAt
		wanted[i] = executed[s.TraceID] || s.Agent != "" || s.User != "" || s.Session != ""
	}
	_, err := tx.Exec(ctx, `-- name: InsertSpans :exec
INSERT INTO span_ancestors (trace_id, span_id, parent_span_id, agent, user_id, session_id, execution, started_at, seen_at)
SELECT s.trace_id, s.span_id, s.parent_span_id, s.agent, s.user_id, s.session_id, s.execution, s.started_at,
	CASE WHEN s.wanted OR EXISTS (SELECT FROM unsettled_executions u WHERE u.trace_id = s.trace_id) THEN now()
		ELSE now() - $10::float8 * interval '1 second' END
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::boolean[], $8::boolean[], $9::timestamptz[])
	AS s (trace_id, span_id, parent_span_id, agent, user_id, session_id, execution, wanted, started_at)
ORDER BY 1, 2
ON CONFLICT DO NOTHING`, traces, ids, parents, agents, users, sessions, executions, wanted, started, (spansKept - spansKeptBriefly).Seconds())
	if err != nil {
		return err
	}
	slices.Sort(traces)
	_, err = tx.Exec(ctx, `-- name: WakeUnsettled :exec
UPDATE unsettled_executions SET check_at = now()
WHERE (user_id, created_at, execution_id) IN (
	SELECT user_id, created_at, execution_id FROM unsettled_executions
	WHERE trace_id = ANY ($1::text[]) AND check_at > now()
	ORDER BY 1, 2, 3 LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
)`, slices.Compact(traces), wakeAtOnce)
	return err
}
