package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
)

const (
	// spansKept is how long a span is kept for spans above and below it that arrive later. spansKeptBriefly applies if
	// it has no names and no execution of its trace is known, since one may still arrive.
	spansKept        = time.Hour
	spansKeptBriefly = 5 * time.Minute
	// settleWithin is how long an execution waits for its ancestors. Then it is final.
	settleWithin = 10 * time.Minute
	// firstCheck is the delay until ancestors are looked for again if no spans of the trace arrive. After that, the
	// delay is the time that the execution has already waited.
	firstCheck = 2 * time.Second
	// restAfter is how long a run waits for the calls in it before usage that none of them accounts for is its own.
	// Exporters hold spans back for five seconds by default.
	restAfter = 5 * time.Second
	// wakeAtOnce is the maximum number of executions made due when more spans of their traces arrive. A trace may have
	// any number of executions and arrive in any number of parts; the other executions keep their schedule.
	wakeAtOnce = 5000
)

// maxAbove is the maximum number of spans read above an execution. Agents that call agents do not nest that deep; a
// hostile trace may.
const maxAbove = 1024

// walkUp reads spans and all known spans above them. UNION removes duplicates, so cycles end.
const walkUp = `-- name: Ancestors :many
WITH RECURSIVE up AS (
	SELECT a.trace_id, a.span_id, a.parent_span_id
	FROM unnest($1::text[], $2::text[]) AS wanted (trace_id, span_id) JOIN span_ancestors a USING (trace_id, span_id)
	UNION
	SELECT a.trace_id, a.span_id, a.parent_span_id
	FROM up JOIN span_ancestors a ON a.trace_id = up.trace_id AND a.span_id = up.parent_span_id
	WHERE up.parent_span_id <> ''
)
SELECT ` + spanColumns + ` FROM (SELECT trace_id, span_id FROM up LIMIT $3) AS found JOIN span_ancestors a USING (trace_id, span_id)`

const spanColumns = `a.trace_id, a.span_id, a.parent_span_id, a.agent, a.user_id, a.session_id, a.execution,
	COALESCE(a.started_at, 'epoch'), COALESCE(a.ended_at, 'epoch'), a.facts,
	a.scope, a.process, a.response, a.similar_to, a.owner, a.gone`

// storedSpan is a span as stored. Fields that are stored as hashes contain the hashes as text.
type storedSpan struct {
	execution.Span
	keys  spanKeys
	owner string
	gone  bool
}

// collectSpans reads rows of spanColumns.
func collectSpans(rows pgx.Rows, each func(s storedSpan)) error {
	var s storedSpan
	var facts int16
	_, err := pgx.ForEachRow(rows, []any{
		&s.TraceID, &s.SpanID, &s.ParentSpanID, &s.Agent, &s.User, &s.Session, &s.Execution, &s.StartedAt, &s.EndedAt,
		&facts, &s.keys.scope, &s.keys.process, &s.keys.response, &s.keys.similar, &s.owner, &s.gone,
	}, func() error {
		s.StartedAt, s.EndedAt = s.StartedAt.UTC(), s.EndedAt.UTC()
		setFacts(&s.Span, facts)
		s.Scope, s.Process, s.ResponseID = keyText(s.keys.scope), keyText(s.keys.process), s.keys.responseText()
		each(s)
		return nil
	})
	return err
}

// ancestors returns spans and all known spans above them.
func (s *Executions) ancestors(ctx context.Context, tx pgx.Tx, traces, spans []string) (found []storedSpan, err error) {
	limit := maxAbove + len(spans)*64
	rows, err := tx.Query(ctx, walkUp, traces, spans, limit)
	if err != nil {
		return nil, err
	}
	err = collectSpans(rows, func(one storedSpan) { found = append(found, one) })
	if len(found) >= limit {
		s.tooDeep.Add(1)
	}
	return found, err
}

// waiting is a row that waits for spans above it, or is due immediately.
type waiting struct {
	row   *execution.Row
	now   bool
	heard bool // metrics have counted it
}

// keepUnsettled stores which rows wait for spans above them, and makes rows due that may have waited
// for the spans that came.
func keepUnsettled(ctx context.Context, tx pgx.Tx, came []execution.Span, unsettled []waiting) error {
	if len(came) > 0 {
		if err := wake(ctx, tx, came); err != nil {
			return err
		}
	}
	if len(unsettled) == 0 {
		return nil
	}
	var users, ids, traces, spans []string
	var times []time.Time
	var after []float64
	var heard []bool
	for _, w := range unsettled {
		r := w.row
		users, times, ids = append(users, r.UserID), append(times, r.CreatedAt), append(ids, r.ID)
		traces, spans = append(traces, r.TraceID), append(spans, r.SpanID)
		seconds := firstCheck.Seconds()
		if w.now {
			seconds = 0
		}
		after, heard = append(after, seconds), append(heard, w.heard)
	}
	_, err := tx.Exec(ctx, `-- name: InsertUnsettled :exec
INSERT INTO unsettled_executions (user_id, created_at, execution_id, trace_id, span_id, check_at, heard)
SELECT w.user_id, w.created_at, w.execution_id, w.trace_id, w.span_id, now() + w.after * interval '1 second', w.heard
FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::float8[], $7::boolean[])
	AS w (user_id, created_at, execution_id, trace_id, span_id, after, heard)
ORDER BY 1, 2, 3
ON CONFLICT DO NOTHING`, users, times, ids, traces, spans, after, heard)
	return err
}

// keepSpans stores a batch's spans for spans that arrive later, and reports whether none of them was stored before. If
// copied is set, it inserts only those that may be kept briefly and lists the others in in.copied.
func (s *Executions) keepSpans(ctx context.Context, tx pgx.Tx, batch execution.Batch, in *intake, copied bool) (fresh bool, err error) {
	if len(in.spans) == 0 {
		return true, nil
	}
	executed := map[string]bool{} // traces with executions in the batch
	last := ""
	for i := range batch.Executions {
		if trace := batch.Executions[i].TraceID; trace != last {
			executed[trace], last = true, trace
		}
	}
	var insert []int32
	wanted := make([]bool, len(in.spans))
	for i := range in.spans {
		s := &in.spans[i]
		wanted[i] = s.Agent != "" || s.User != "" || s.Session != "" || executed[s.TraceID]
		if copied && wanted[i] {
			in.copied = append(in.copied, int32(i))
		} else {
			insert = append(insert, int32(i))
		}
	}
	inserted, err := insertSpans(ctx, tx, in.spans, insert, wanted, in.places)
	return inserted == len(insert), err
}

// insertSpans inserts some of the spans unless they exist, and returns the number inserted.
func insertSpans(ctx context.Context, tx pgx.Tx, all []execution.Span, some []int32, kept []bool, p *places) (inserted int, err error) {
	if len(some) == 0 {
		return 0, nil
	}
	n := len(some)
	texts := make([]string, 6*n)
	column := func(i int) []string { return texts[i*n : (i+1)*n : (i+1)*n] }
	traces, ids, parents, agents := column(0), column(1), column(2), column(3)
	users, sessions := column(4), column(5)
	owners := make([]string, n)
	flags := make([]bool, 3*n)
	executions, wanted, gone := flags[:n:n], flags[n:2*n:2*n], flags[2*n:]
	facts := make([]int16, n)
	started, ended := make([]time.Time, n), make([]time.Time, n)
	numbers := make([]int64, 4*n)
	scopes, processes, responses, similar := numbers[:n:n], numbers[n:2*n:2*n], numbers[2*n:3*n:3*n], numbers[3*n:]
	for i, at := range some {
		s := &all[at]
		traces[i], ids[i], parents[i] = s.TraceID, s.SpanID, s.ParentSpanID
		agents[i], users[i], sessions[i] = s.Agent, s.User, s.Session
		facts[i] = spanFacts(s)
		executions[i], started[i], ended[i] = s.Execution, s.StartedAt, s.EndedAt
		wanted[i], owners[i], gone[i] = kept[at], p.owners[at], p.gone[at]
		k := p.keys[at]
		scopes[i], processes[i], responses[i], similar[i] = k.scope, k.process, k.response, k.similar
	}
	tag, err := tx.Exec(ctx, `-- name: InsertSpans :execrows
INSERT INTO span_ancestors (trace_id, span_id, parent_span_id, agent, user_id, session_id, execution, started_at, ended_at,
	facts, scope, process, response, similar_to, owner, gone, seen_at)
SELECT s.trace_id, s.span_id, s.parent_span_id, s.agent, s.user_id, s.session_id, s.execution, s.started_at, s.ended_at,
	s.facts, s.scope, s.process, s.response, s.similar_to, s.owner, s.gone,
	CASE WHEN s.wanted OR EXISTS (SELECT FROM unsettled_executions u WHERE u.trace_id = s.trace_id) THEN now()
		ELSE now() - $18::float8 * interval '1 second' END
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::boolean[], $8::timestamptz[], $9::timestamptz[],
	$10::smallint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::text[], $16::boolean[], $17::boolean[])
	AS s (trace_id, span_id, parent_span_id, agent, user_id, session_id, execution, started_at, ended_at,
		facts, scope, process, response, similar_to, owner, gone, wanted)
ORDER BY 1, 2
ON CONFLICT DO NOTHING`, traces, ids, parents, agents, users, sessions, executions, started, ended, facts,
		scopes, processes, responses, similar, owners, gone, wanted, (spansKept - spansKeptBriefly).Seconds())
	return int(tag.RowsAffected()), err
}

// wake makes executions due that may have waited for the spans that came.
func wake(ctx context.Context, tx pgx.Tx, came []execution.Span) error {
	traces := make([]string, 0, len(came))
	for _, s := range came {
		if len(traces) == 0 || traces[len(traces)-1] != s.TraceID {
			traces = append(traces, s.TraceID)
		}
	}
	slices.Sort(traces)
	_, err := tx.Exec(ctx, `-- name: WakeUnsettled :exec
UPDATE unsettled_executions SET check_at = now()
WHERE (user_id, created_at, execution_id) IN (
	SELECT user_id, created_at, execution_id FROM unsettled_executions
	WHERE trace_id = ANY ($1::text[]) AND check_at > now()
	ORDER BY 1, 2, 3 LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
)`, slices.Compact(traces), wakeAtOnce)
	return err
}
