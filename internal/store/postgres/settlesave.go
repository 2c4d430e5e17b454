package postgres

import (
	"context"
)

// saveJoined stores merged executions as they were before, and deletes those records of
// executions that are separate again.
func (v *view) saveJoined(ctx context.Context) error {
	var keep []joinedExecution
	var forget []string
	for _, m := range v.members {
		origin := m.origin()
		if !m.touched || origin == nil {
			continue
		}
		var j joinedExecution
		switch {
		case m.now != nil && m.merged:
			j = mergedExecution(origin.ID, m.now.UserID, "", origin)
			j.heard = m.joined != nil && m.joined.heard
		case m.now == nil && m.by != "" && !m.removed:
			j = mergedExecution("", m.user, m.by, origin)
			j.heard = m.stored != nil && !m.waits || m.joined != nil && m.joined.heard
			if m.into != nil && m.into.now != nil {
				j.into, j.user = m.into.now.ID, m.into.now.UserID
			}
		default:
			if m.joined != nil {
				forget = append(forget, origin.ID)
			}
			continue
		}
		if m.joined == nil || m.joined.into != j.into || m.joined.reason != j.reason || m.joined.user != j.user || m.joined.heard != j.heard {
			forget, keep = append(forget, j.ID), append(keep, j)
		}
	}
	if len(forget) > 0 {
		if _, err := v.tx.Exec(ctx, `-- name: ForgetJoined :exec
DELETE FROM joined_executions WHERE execution_id = ANY ($1::text[])`, forget); err != nil {
			return err
		}
	}
	return v.s.keepJoined(ctx, v.tx, keep)
}

// savePlaces stores with each span the user of its execution's row, and whether the execution has none.
func (v *view) savePlaces(ctx context.Context) error {
	var traces, spans, owners []string
	var gone []bool
	for _, m := range v.members {
		if !m.touched || m.span.owner == "" && !m.span.gone {
			continue
		}
		owner, left := m.owner, m.now == nil && (m.by != "" || m.erased)
		if m.now != nil {
			owner = m.now.UserID
		}
		if owner != m.span.owner || left != m.span.gone && (m.origin() != nil || m.erased) {
			traces, spans = append(traces, m.span.TraceID), append(spans, m.span.SpanID)
			owners, gone = append(owners, owner), append(gone, left)
		}
	}
	if len(traces) == 0 {
		return nil
	}
	_, err := v.tx.Exec(ctx, `-- name: SavePlaces :exec
UPDATE span_ancestors a SET owner = k.owner, gone = k.gone
FROM unnest($1::text[], $2::text[], $3::text[], $4::boolean[]) AS k (trace_id, span_id, owner, gone)
WHERE a.trace_id = k.trace_id AND a.span_id = k.span_id`, traces, spans, owners, gone)
	return err
}
