package postgres

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
)

// skip returns the position from which a search goes on: after the executions that cannot match, since their rollups have
// none of the agent, model and status. It returns the zero value if no others match. Without it, a search for a rare or
// unknown model would read all executions, a page at a time.
func (s *Executions) skip(ctx context.Context, tx pgx.Tx, search execution.Search, end execution.Position) (execution.Position, error) {
	if search.Agent == "" && search.Model == "" && len(search.Statuses) == 0 || s.kept.Days < s.kept.Executions {
		return end, nil
	}
	from, to := search.From, time.UnixMicro(end.CreatedAt)
	next, found, err := newestRollup(ctx, tx, search, "execution_rollups WHERE seconds = 86400 AND", from.Truncate(execution.DayWide), to)
	if err != nil {
		return end, err
	}
	if found {
		day := next
		next = day.Add(execution.DayWide)
		quarter, found, err := newestRollup(ctx, tx, search, "execution_rollups WHERE seconds = 900 AND", day, earlier(to, next.Add(-1)))
		if err != nil {
			return end, err
		}
		if found { // they are kept for less time than days
			next = quarter.Add(execution.QuarterWide)
		}
	}
	unfolded, waits, err := newestRollup(ctx, tx, search, "execution_deltas WHERE", from.Truncate(execution.MinuteWide), to)
	if err != nil {
		return end, err
	}
	if waits {
		next = later(next, unfolded.Add(execution.MinuteWide))
	}
	switch {
	case !found && !waits:
		return execution.Position{}, nil
	case next.After(to):
		return end, nil
	}
	return execution.Position{CreatedAt: next.UnixMicro()}, nil
}

// newestRollup returns the newest bucket up to a time that counts executions of a search's agent, model and status.
func newestRollup(ctx context.Context, tx pgx.Tx, search execution.Search, source string, from, to time.Time) (bucket time.Time, ok bool, err error) {
	var st statement
	conditions := []string{"bucket >= " + st.arg(from), "bucket <= " + st.arg(to), "count <> 0"}
	for _, one := range []struct{ column, name string }{{"agent", search.Agent}, {"model", search.Model}} {
		if one.name != "" { // names beyond the limit are counted together
			conditions = append(conditions, one.column+" IN ("+st.arg(one.name)+", "+st.arg(execution.Other)+")")
		}
	}
	if len(search.Statuses) > 0 {
		conditions = append(conditions, "status = ANY ("+st.arg(search.Statuses)+"::text[])")
	}
	sql := "-- name: NewestRollup :one\nSELECT bucket FROM " + source + " " + strings.Join(conditions, " AND ") + " ORDER BY bucket DESC LIMIT 1"
	err = tx.QueryRow(ctx, sql, st.args...).Scan(&bucket)
	if errors.Is(err, pgx.ErrNoRows) {
		return bucket, false, nil
	}
	return bucket, err == nil, err
}
