package postgres

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/store/postgres/dbgen"
)

// look reads the traces of due executions, and those of other calls that may be the same.
func (s *Executions) look(ctx context.Context, tx pgx.Tx, due []dbgen.TakeUnsettledRow) (*view, error) {
	v := &view{
		s: s, tx: tx, due: due, busy: map[string]bool{}, cut: map[string]bool{}, large: map[string]bool{}, ofDue: map[string]bool{}, known: map[string]bool{}, waiting: map[executionKey]bool{},
		byID: map[[2]string]*member{}, deltas: execution.NewDeltas(),
	}
	traces := make([]string, len(due))
	for i, w := range due {
		traces[i] = w.TraceID
	}
	if err := v.read(ctx, traces, true); err != nil {
		return nil, err
	}
	others, err := v.partners(ctx)
	if err != nil {
		return nil, err
	}
	if err := v.readOthers(ctx, others); err != nil {
		return nil, err
	}
	if others, err = v.joinedWith(ctx, others); err != nil {
		return nil, err
	}
	if err := v.readOthers(ctx, others); err != nil {
		return nil, err
	}
	if err := v.readWays(ctx); err != nil {
		return nil, err
	}
	for i := range v.spans {
		span := &v.spans[i]
		m := &member{span: *span}
		v.members = append(v.members, m)
		v.byID[[2]string{span.TraceID, span.SpanID}] = m
	}
	return v, v.readExecutions(ctx)
}

// read reads the spans of traces and locks the traces against other replicas until the transaction ends. It skips
// traces that another replica has locked.
func (v *view) read(ctx context.Context, traces []string, due bool) error {
	slices.Sort(traces)
	traces = slices.Compact(traces)
	if len(traces) == 0 {
		return nil
	}
	rows, err := v.tx.Query(ctx, `-- name: LockTraces :many
SELECT t.trace_id, pg_try_advisory_xact_lock(hashtextextended('watchbill trace ' || t.trace_id, 0)) FROM unnest($1::text[]) AS t (trace_id)`, traces)
	if err != nil {
		return err
	}
	var trace string
	var locked bool
	var ours []string
	if _, err := pgx.ForEachRow(rows, []any{&trace, &locked}, func() error {
		if locked {
			ours = append(ours, trace)
		} else {
			v.busy[trace] = true
		}
		return nil
	}); err != nil {
		return err
	}
	if rows, err = v.tx.Query(ctx, `-- name: TraceSpans :many
SELECT `+spanColumns+` FROM unnest($1::text[]) AS t (trace_id)
CROSS JOIN LATERAL (SELECT * FROM span_ancestors b WHERE b.trace_id = t.trace_id LIMIT $2) AS a LIMIT $3`, ours, maxTraceSpans+1, maxSettledSpans+1); err != nil {
		return err
	}
	counts := map[string]int{}
	began := len(v.spans)
	last := ""
	if err := collectSpans(rows, func(span storedSpan) {
		v.spans = append(v.spans, span)
		counts[span.TraceID]++
		last = span.TraceID
	}); err != nil {
		return err
	}
	full := len(v.spans)-began > maxSettledSpans
	for _, trace := range ours {
		v.known[trace] = true
		switch {
		case counts[trace] > maxTraceSpans:
			v.large[trace] = true
		case full && (trace == last || counts[trace] == 0): // may be incomplete
			v.cut[trace], v.left = true, true
		case due:
			v.ofDue[trace] = true
		}
	}
	v.spans = slices.DeleteFunc(v.spans, func(span storedSpan) bool { return v.cut[span.TraceID] || v.large[span.TraceID] })
	return nil
}

// partner is a pair of traces: one with due executions, and another with a call that may be, or was found to be, the
// same as one in it.
type partner struct{ due, other string }

// readOthers reads the other traces of partners. If one cannot be read now, the executions of the
// due trace continue to wait.
func (v *view) readOthers(ctx context.Context, partners []partner) error {
	others := map[string]bool{}
	for _, p := range partners {
		if !v.known[p.other] && len(others) < maxPartners {
			others[p.other] = true
		}
	}
	if err := v.read(ctx, slices.Collect(maps.Keys(others)), false); err != nil {
		return err
	}
	for _, p := range partners {
		if !v.known[p.other] || v.busy[p.other] || v.cut[p.other] || v.large[p.other] {
			v.busy[p.due] = true
		}
	}
	for trace := range v.busy {
		delete(v.ofDue, trace)
	}
	return nil
}

// partners returns the traces of other calls that may be, or were found to be, the same as calls of the view.
func (v *view) partners(ctx context.Context) (all []partner, err error) {
	var ids []string
	seen := map[int64]map[int64]bool{}
	for i := range v.spans {
		span := &v.spans[i]
		if span.Role != execution.RoleCall {
			continue
		}
		ids = append(ids, span.id())
		if span.keys.process != 0 {
			seen[span.keys.process] = map[int64]bool{}
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	sources, err := v.s.scopes.sourcesOf(ctx, v.tx, v.s.now(), seen)
	if err != nil {
		return nil, err
	}
	var l lookups
	for i := range v.spans {
		span := &v.spans[i]
		if span.Role == execution.RoleCall {
			l.response(i, &span.Span, span.keys)
			l.similar(i, &span.Span, span.keys, sources[span.keys.process])
		}
	}
	found := map[partner]bool{}
	add := func(due, other string) {
		if p := (partner{due, other}); due != other && !found[p] {
			found[p] = true
			all = append(all, p)
		}
	}
	if err := l.find(ctx, v.tx, func(i int, span spanID) { add(v.spans[i].TraceID, span.trace) }); err != nil {
		return nil, err
	}
	return v.joinedTraces(ctx, all, ids)
}

// joinedWith returns the traces of calls that were found to be the same as calls of the view's other traces. These
// calls cannot also be the same as different ones.
func (v *view) joinedWith(ctx context.Context, partners []partner) (all []partner, err error) {
	dueOf := map[string]string{}
	for _, p := range partners {
		dueOf[p.other] = p.due
	}
	var ids []string
	for i := range v.spans {
		if span := &v.spans[i]; span.Role == execution.RoleCall && dueOf[span.TraceID] != "" && !v.ofDue[span.TraceID] {
			ids = append(ids, span.id())
		}
	}
	if all, err = v.joinedTraces(ctx, nil, ids); err != nil {
		return nil, err
	}
	for i := range all {
		all[i].due = dueOf[all[i].due]
	}
	return all, nil
}

// joinedTraces appends the traces of calls that were found to be the same as those with the given ids.
func (v *view) joinedTraces(ctx context.Context, all []partner, ids []string) ([]partner, error) {
	if len(ids) == 0 {
		return all, nil
	}
	rows, err := v.tx.Query(ctx, `-- name: JoinedTraces :many
SELECT DISTINCT own.trace_id, j.trace_id FROM joined_executions own
JOIN joined_executions j ON j.into_id = own.into_id
WHERE own.execution_id = ANY ($1::text[]) AND own.into_id <> '' AND j.trace_id <> own.trace_id`, ids)
	if err != nil {
		return nil, err
	}
	var due, other string
	_, err = pgx.ForEachRow(rows, []any{&due, &other}, func() error {
		all = append(all, partner{due, other})
		return nil
	})
	return all, err
}

// readWays reads the spans above the due executions in traces that are too large to be decided as a whole.
func (v *view) readWays(ctx context.Context) error {
	var traces, spans []string
	for _, w := range v.due {
		if v.large[w.TraceID] {
			traces, spans = append(traces, w.TraceID), append(spans, w.SpanID)
		}
	}
	if len(traces) == 0 {
		return nil
	}
	v.s.tooLarge.Add(1)
	rows, err := v.tx.Query(ctx, walkUp, traces, spans, maxAbove+len(spans)*64)
	if err != nil {
		return err
	}
	return collectSpans(rows, func(span storedSpan) {
		if span.Role != execution.RoleNone {
			span.Role, span.Execution = execution.RoleNone, true // only its names are inherited
		}
		v.spans = append(v.spans, span)
	})
}

// readExecutions reads the rows of the view's executions, their originals if they were merged, and which of them wait.
func (v *view) readExecutions(ctx context.Context) error {
	var users, ids, all []string
	var times []time.Time
	byKey := map[executionKey]*member{}
	want := func(m *member, user string, at time.Time, id string) {
		key := executionKey{user, at.UnixMicro(), id}
		if byKey[key] == nil {
			byKey[key] = m
			users, times, ids = append(users, user), append(times, at), append(ids, id)
		}
	}
	traces := map[string]bool{}
	for _, m := range v.members {
		traces[m.span.TraceID] = true
		if m.span.owner != "" {
			want(m, m.span.owner, m.span.StartedAt, m.span.id())
		}
		if role := m.span.Role; role == execution.RoleCall || role == execution.RoleRun || role == execution.RoleStep || m.span.gone {
			all = append(all, m.span.id())
		}
	}
	for _, w := range v.due { // those whose span has no role or is no longer stored
		if v.busy[w.TraceID] || v.cut[w.TraceID] {
			continue
		}
		m := v.of(w)
		if m == nil {
			m = &member{span: storedSpan{Span: execution.Span{TraceID: w.TraceID, SpanID: w.SpanID, Execution: true}}}
			v.members = append(v.members, m)
			v.byID[[2]string{w.TraceID, w.SpanID}] = m
		}
		m.waits = !w.Heard
		if m.span.owner != w.UserID { // it may have been received again while its row was moved or deleted
			want(m, w.UserID, w.CreatedAt, w.ExecutionID)
		}
	}
	stored, err := v.s.db.queries.WithTx(v.tx).ExecutionsByKey(ctx, dbgen.ExecutionsByKeyParams{Users: users, Times: times, Ids: ids})
	if err != nil {
		return err
	}
	for _, one := range stored {
		row := rowOf(one)
		m := byKey[keyOf(&row.Execution)]
		if m.stored != nil { // it was received again and stored under another user
			m.again = append(m.again, &row)
			continue
		}
		if m.stored = &row; m.span.ParentSpanID == "" { // the span is no longer stored
			m.span.ParentSpanID = row.ParentSpanID
		}
	}
	if err := v.readWaiting(ctx, traces); err != nil {
		return err
	}
	return v.readJoined(ctx, all)
}

func (v *view) readWaiting(ctx context.Context, traces map[string]bool) error {
	names := make([]string, 0, len(traces))
	for trace := range traces {
		names = append(names, trace)
	}
	rows, err := v.tx.Query(ctx, `-- name: WaitingInTraces :many
SELECT trace_id, span_id, user_id, created_at, execution_id, heard, EXTRACT(EPOCH FROM now() - since)::float8
FROM unsettled_executions WHERE trace_id = ANY ($1::text[])`, names)
	if err != nil {
		return err
	}
	var trace, span string
	var key executionKey
	var at time.Time
	var heard bool
	var waited float64
	_, err = pgx.ForEachRow(rows, []any{&trace, &span, &key.user, &at, &key.id, &heard, &waited}, func() error {
		key.at = at.UnixMicro()
		v.waiting[key] = true
		if m := v.byID[[2]string{trace, span}]; m != nil {
			m.waits, m.waited = m.waits || !heard, max(m.waited, waited)
		}
		return nil
	})
	return err
}

func (v *view) readJoined(ctx context.Context, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	rows, err := v.tx.Query(ctx, `-- name: JoinedExecutions :many
SELECT trace_id, execution_id, into_id, reason, user_id, heard, figures FROM joined_executions WHERE execution_id = ANY ($1::text[])`, ids)
	if err != nil {
		return err
	}
	var trace, id, into, reason, user string
	var heard bool
	var figures json.RawMessage
	_, err = pgx.ForEachRow(rows, []any{&trace, &id, &into, &reason, &user, &heard, &figures}, func() error {
		if len(id) <= len(trace) {
			return nil
		}
		if m := v.byID[[2]string{trace, id[len(trace)+1:]}]; m != nil {
			joined := joinedOf(into, reason, user, heard, figures)
			m.joined = &joined
		}
		return nil
	})
	return err
}
