package postgres

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/trace"
)

const (
	// maxAlike is the maximum number of spans with its response id that a call is compared with:
	// the latest in the period.
	maxAlike = 16
	// alikeEach is the maximum number of spans read per call when looking for similar ones, and alikeAtOnce for all
	// calls that look in one period.
	alikeEach   = 256
	alikeAtOnce = 8192
)

// lookups are searches among stored spans for other spans of the same calls.
type lookups struct {
	responses []responseLook
	alike     []alikeLook
	unsure    bool // a concurrent transaction may have stored spans with the response ids
}

// spanID identifies a span.
type spanID struct{ trace, span string }

// responseLook is a search for spans with a response id.
type responseLook struct {
	n        int // the number of the call
	response int64
	from, to time.Time
}

// alikeLook is a search for spans that began in a period and may be of the same call.
type alikeLook struct {
	n              int // the number of the call
	alike          int64
	from, to       time.Time
	started, ended time.Time
}

// response adds a search for spans with the same response id as call n.
func (l *lookups) response(n int, s *execution.Span, k spanKeys) {
	if k.response == 0 {
		return
	}
	to := s.StartedAt.Add(trace.BeganWithin)
	if trace.Reports(s) || s.EndedAt.After(to) {
		to = s.EndedAt.Add(trace.Slack)
	}
	l.responses = append(l.responses, responseLook{n, k.response, s.StartedAt.Add(-trace.ResponseWithin), to})
}

// similar adds searches for spans of other sources that may be of the same call as n.
func (l *lookups) similar(n int, s *execution.Span, k spanKeys, sources []int64) {
	if k.similar == 0 {
		return
	}
	report := trace.Reports(s)
	own, reported := k.source(report), k.source(true)
	for _, other := range sources {
		if other == own {
			continue
		}
		from, to := s.StartedAt.Add(-trace.BeganWithin), s.StartedAt.Add(trace.BeganWithin)
		switch {
		case other == reported:
			to = s.EndedAt.Add(trace.ReportedWithin)
		case report && other == k.source(false):
			from, to = s.StartedAt.Add(-trace.ReportedWithin), s.StartedAt
		}
		l.alike = append(l.alike, alikeLook{n, k.alike(own, other), from, to, s.StartedAt, s.EndedAt})
	}
}

// find runs the searches and calls found with each span and the number of the call that it was found for. A call may
// find its own span.
func (l *lookups) find(ctx context.Context, tx pgx.Tx, found func(n int, span spanID)) error {
	if err := l.findResponses(ctx, tx, found); err != nil {
		return err
	}
	return l.findAlike(ctx, tx, found)
}

func (l *lookups) findResponses(ctx context.Context, tx pgx.Tx, found func(n int, span spanID)) error {
	all := len(l.responses)
	if all == 0 {
		return nil
	}
	responses, from, to := make([]int64, all), make([]time.Time, all), make([]time.Time, all)
	for i, look := range l.responses {
		responses[i], from[i], to[i] = look.response, look.from, look.to
	}
	rows, err := tx.Query(ctx, `-- name: CallsOfResponses :many
SELECT w.n, a.trace_id, a.span_id FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[]) WITH ORDINALITY AS w (response, began, ended, n)
CROSS JOIN LATERAL (
	SELECT b.trace_id, b.span_id FROM span_ancestors b
	WHERE b.response = w.response AND b.response <> 0 AND b.started_at BETWEEN w.began AND w.ended
	ORDER BY b.started_at DESC LIMIT $4
) AS a
UNION ALL
SELECT 0, '', '' WHERE EXISTS (SELECT FROM pg_snapshot_xip(pg_current_snapshot()))
	OR pg_snapshot_xmax(pg_current_snapshot()) < pg_current_xact_id() -- the list ends at the latest that is over`, responses, from, to, maxAlike)
	if err != nil {
		return err
	}
	var n int
	var of spanID
	_, err = pgx.ForEachRow(rows, []any{&n, &of.trace, &of.span}, func() error {
		if n == 0 {
			l.unsure = true
		} else {
			found(l.responses[n-1].n, of)
		}
		return nil
	})
	return err
}

// findAlike merges overlapping periods and reads the spans of each period once, for all calls that look there.
func (l *lookups) findAlike(ctx context.Context, tx pgx.Tx, found func(n int, span spanID)) error {
	if len(l.alike) == 0 {
		return nil
	}
	slices.SortFunc(l.alike, func(a, b alikeLook) int { return cmp.Or(cmp.Compare(a.alike, b.alike), a.from.Compare(b.from)) })
	var first []int // the index in l.alike of each period's first search
	var alike []int64
	var from, to []time.Time
	var limit []int32
	for i, look := range l.alike {
		last := len(first) - 1
		if last < 0 || alike[last] != look.alike || look.from.After(to[last]) {
			first, alike, from, to, limit = append(first, i), append(alike, look.alike), append(from, look.from), append(to, look.to), append(limit, alikeEach)
			continue
		}
		limit[last] = min(limit[last]+alikeEach, alikeAtOnce)
		if look.to.After(to[last]) {
			to[last] = look.to
		}
	}
	first = append(first, len(l.alike))
	rows, err := tx.Query(ctx, `-- name: SimilarCalls :many
SELECT w.n, a.trace_id, a.span_id, a.started_at, a.ended_at
FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[], $4::int[]) WITH ORDINALITY AS w (similar_to, began, ended, most, n)
CROSS JOIN LATERAL (
	SELECT b.trace_id, b.span_id, b.started_at, COALESCE(b.ended_at, b.started_at) AS ended_at FROM span_ancestors b
	WHERE b.similar_to = w.similar_to AND b.similar_to <> 0 AND b.started_at BETWEEN w.began AND w.ended
	ORDER BY b.started_at DESC LIMIT w.most
) AS a`, alike, from, to, limit)
	if err != nil {
		return err
	}
	var n int
	var of spanID
	var started, ended time.Time
	_, err = pgx.ForEachRow(rows, []any{&n, &of.trace, &of.span, &started, &ended}, func() error {
		for _, look := range l.alike[first[n-1]:first[n]] {
			if look.from.After(started) {
				break // later searches begin later still
			}
			if look.fits(started, ended) {
				found(look.n, of)
			}
		}
		return nil
	})
	return err
}

// fits reports whether a span may be of the same call: one of the two lies within the other, or one is a report, which
// has no duration.
func (l *alikeLook) fits(started, ended time.Time) bool {
	switch {
	case started.Before(l.from), started.After(l.to):
		return false
	case started.Equal(ended), l.started.Equal(l.ended):
		return true
	case started.Before(l.started):
		return !ended.Before(l.ended.Add(-trace.Slack)) || !started.Before(l.started.Add(-trace.Slack)) && !ended.After(l.ended.Add(trace.Slack))
	}
	return !ended.After(l.ended.Add(trace.Slack)) || !started.After(l.started.Add(trace.Slack)) && !ended.Before(l.ended.Add(-trace.Slack))
}
