package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/store/postgres/dbgen"
)

// searchWithin is the time after which PostgreSQL cancels a statement of a search.
const searchWithin = 8 * time.Second

// statement is a query with its arguments.
type statement struct {
	args []any
}

// arg adds an argument and returns its placeholder.
func (s *statement) arg(value any) string {
	s.args = append(s.args, value)
	return fmt.Sprintf("$%d", len(s.args))
}

// newestFirst is the order of lists of executions, and of their cursors.
const newestFirst = "ORDER BY created_at DESC, user_id DESC, execution_id DESC"

// Search returns up to limit executions after a position. It looks at the newest days first, and at older ones if these do
// not fill the page: planning a query takes PostgreSQL longer than running it if it may read every partition. It reads at
// most candidates executions: those that the most selective indexed filter finds, or all in the order of time. It compares
// them with the other filters.
func (s *Executions) Search(
	ctx context.Context, search execution.Search, after execution.Position, limit, candidates int,
) (execution.Found, error) {
	var found execution.Found
	err := s.inSearch(ctx, "search executions", func(tx pgx.Tx) error {
		found = execution.Found{}
		within, reached := search, after
		for i, from := range s.searchWindows(search, after) {
			share := max(candidates/5, 1)
			if i == 0 {
				share = max(candidates*3/5, 1)
			}
			within.From = from
			err := s.searchWindow(ctx, tx, within, reached, limit, share, &found)
			if err != nil {
				return err
			}
			if found.End != (execution.Position{}) {
				if len(found.Executions) < limit {
					found.End, err = s.skip(ctx, tx, search, found.End)
				}
				return err
			}
			reached = execution.Position{CreatedAt: within.From.UnixMicro()} // the next window ends before it
		}
		return nil
	})
	return found, err
}

// searchWindow adds the matches of one window to a page. It sets found.End if the page is full, or if there are more
// candidates.
func (s *Executions) searchWindow(
	ctx context.Context, tx pgx.Tx, search execution.Search, after execution.Position, limit, candidates int, found *execution.Found,
) error {
	sql, args := s.searchQuery(search, after, limit-len(found.Executions), candidates)
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	read, err := pgx.CollectRows(rows, pgx.RowToStructByPos[candidate])
	if err != nil {
		return err
	}
	for i := range read {
		one := rowOf(read[i].ExecutionFigure).Execution
		if read[i].Matches {
			if len(found.Executions) == limit {
				found.End = execution.PositionOf(found.Executions[limit-1])
				return nil
			}
			found.Executions = append(found.Executions, one)
		}
		if read[i].Place == int64(candidates) {
			found.End = execution.PositionOf(one)
		}
	}
	return nil
}

// candidate is a row of a search.
type candidate struct {
	dbgen.ExecutionFigure
	Place   int64 // among the candidates, from 1
	Matches bool
}

// searchWindows returns the beginnings of the windows in which a search after a position reads, the newest first: a day or
// two, about a week, and the rest. An id or a trace has few executions, which may be of any day.
func (s *Executions) searchWindows(search execution.Search, after execution.Position) []time.Time {
	if search.ID != "" || search.TraceID != "" {
		return []time.Time{search.From}
	}
	newest := s.now()
	if after != (execution.Position{}) {
		newest = earlier(newest, time.UnixMicro(after.CreatedAt))
	}
	if !search.To.IsZero() {
		newest = earlier(newest, search.To)
	}
	day := newest.UTC().Truncate(execution.DayWide)
	var windows []time.Time
	for _, days := range []int{1, 7} {
		if from := day.AddDate(0, 0, -days); from.After(search.From) {
			windows = append(windows, from)
		}
	}
	return append(windows, search.From)
}

// searchQuery returns the query of a window with its arguments: its matches, and the last one of as many candidates.
func (s *Executions) searchQuery(search execution.Search, after execution.Position, limit, candidates int) (sql string, args []any) {
	var st statement
	inner := s.candidates(&st, search, after, candidates)
	matches := st.rest(search)
	sql = "-- name: SearchExecutions :many\nSELECT *, COALESCE(" + matches + ", false) FROM (\nSELECT *, row_number() OVER () AS place FROM (" + inner + ") AS c) AS c\nWHERE " +
		matches + " OR place = " + st.arg(candidates) + "\n" + newestFirst + " LIMIT " + st.arg(limit+1)
	return sql, st.args
}

// inSearch runs do with the administrator's role, in one snapshot, and with a time limit for each statement.
func (s *Executions) inSearch(ctx context.Context, doing string, do func(tx pgx.Tx) error) error {
	return s.db.transact(ctx, doing, func(tx pgx.Tx) error {
		// The planner expects all candidates to be read, and would scan and sort them instead of following the index. A
		// plan for any arguments would be one for all partitions.
		begin := fmt.Sprintf(`-- name: BeginSearch :exec
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL ROLE %s; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_seqscan = off; SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL statement_timeout = %d`, admin, searchWithin.Milliseconds())
		if _, err := tx.Exec(ctx, begin); err != nil {
			return err
		}
		return do(tx)
	})
}

// candidates returns the query of a search's candidates. Each branch is in the order of its index, so that PostgreSQL
// reads only as many rows as the page takes.
func (s *Executions) candidates(st *statement, search execution.Search, after execution.Position, limit int) string {
	before, user, id := s.beforeOf(after)
	if after == (execution.Position{}) && !search.To.IsZero() {
		before = search.To // exclusive: no row at that time sorts before the empty user
	}
	at, most := st.arg(before), st.arg(limit)
	window := "created_at <= " + at + " AND (created_at, user_id, execution_id) < (" + at + ", " + st.arg(user) + ", " + st.arg(id) + ")"
	if !search.From.IsZero() {
		window = "created_at >= " + st.arg(search.From) + " AND " + window
	}
	var branches []string
	for _, indexed := range st.indexed(search) {
		branches = append(branches, "SELECT * FROM execution_figures WHERE "+indexed+" AND "+window+" "+newestFirst+" LIMIT "+most)
	}
	if len(branches) == 1 {
		return branches[0]
	}
	return "(" + strings.Join(branches, ")\nUNION ALL (") + ")\n" + newestFirst + " LIMIT " + most
}

// indexed returns the conditions of the branches, each on the columns of an index. The first filter of this order that
// is given is expected to be the most selective. Without any, the branches are the statuses.
func (s *statement) indexed(search execution.Search) []string {
	switch {
	case search.ID != "":
		return []string{"execution_id = " + s.arg(search.ID)}
	case search.TraceID != "":
		return s.ofTrace(search.TraceID)
	case len(search.SessionIDs) > 0:
		return s.anyOf("session_id <> '' AND session_id = ", search.SessionIDs)
	case len(search.UserIDs) > 0:
		return s.anyOf("user_id = ", search.UserIDs)
	}
	statuses := search.Statuses
	switch {
	case len(statuses) > 0:
	case search.Error != "": // which only these have
		statuses = []execution.Status{execution.Failure, execution.Timeout}
	default:
		statuses = []execution.Status{execution.Success, execution.Failure, execution.Timeout}
	}
	branches := make([]string, len(statuses))
	for i, status := range statuses {
		branches[i] = "status = '" + string(status) + "'"
	}
	return branches
}

// anyOf returns a condition for each of the values.
func (s *statement) anyOf(condition string, values []string) []string {
	branches := make([]string, len(values))
	for i, value := range values {
		branches[i] = condition + s.arg(value)
	}
	return branches
}

// ofTrace returns the conditions of a trace's executions: of those whose id begins with the trace's, and of others. See
// migration 00017. The trace id is hexadecimal, so its last digit has a successor.
func (s *statement) ofTrace(trace string) []string {
	last := len(trace) - 1
	id, from, to := s.arg(trace), s.arg(trace), s.arg(trace[:last]+string(trace[last]+1))
	return []string{
		"execution_id ~>=~ " + from + " AND execution_id ~<~ " + to + " AND trace_id = " + id + ` AND "left"(execution_id, 32) = trace_id`,
		`trace_id <> '' AND "left"(execution_id, 32) <> trace_id AND trace_id = ` + id,
	}
}

// rest returns the condition of all filters but the window.
func (s *statement) rest(search execution.Search) string {
	var all []string
	for _, equal := range []struct{ column, value string }{
		{"agent_name", search.Agent},
		{"model_used", search.Model},
		{"trace_id", search.TraceID},
		{"execution_id", search.ID},
		{"kind", string(search.Kind)},
	} {
		if equal.value != "" {
			all = append(all, equal.column+" = "+s.arg(equal.value))
		}
	}
	if len(search.SessionIDs) > 0 {
		all = append(all, "session_id = ANY ("+s.arg(search.SessionIDs)+"::text[])")
	}
	if len(search.UserIDs) > 0 {
		all = append(all, "user_id = ANY ("+s.arg(search.UserIDs)+"::text[])")
	}
	if len(search.Statuses) > 0 {
		all = append(all, "status = ANY ("+s.arg(search.Statuses)+"::text[])")
	}
	if search.Error != "" {
		all = append(all, "strpos(lower(error_message), lower("+s.arg(search.Error)+")) > 0")
	}
	if search.MinDuration != nil {
		all = append(all, "execution_time_ms >= "+s.arg(milliseconds(*search.MinDuration)))
	}
	if search.MaxDuration != nil {
		all = append(all, "execution_time_ms <= "+s.arg(milliseconds(*search.MaxDuration)))
	}
	if search.MinCost != nil {
		all = append(all, "cost_nano_usd >= "+s.arg(*search.MinCost))
	}
	if search.MaxCost != nil {
		all = append(all, "cost_nano_usd <= "+s.arg(*search.MaxCost))
	}
	if len(all) == 0 {
		return "true"
	}
	return "(" + strings.Join(all, " AND ") + ")"
}

// readFigures reads rows of execution_figures.
func readFigures(rows pgx.Rows) ([]execution.Execution, error) {
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (execution.Execution, error) {
		figures, err := pgx.RowToStructByPos[dbgen.ExecutionFigure](row)
		return rowOf(figures).Execution, err
	})
}

// Execution returns the newest execution with an id, with its payloads. userID and at select one of several unless they
// are zero. It is not ok if there is none.
func (s *Executions) Execution(ctx context.Context, id, userID string, at time.Time) (found execution.Execution, ok bool, err error) {
	err = s.inSearch(ctx, "look up an execution", func(tx pgx.Tx) error {
		st := statement{}
		where := "execution_id = " + st.arg(id)
		if userID != "" {
			where += " AND user_id = " + st.arg(userID)
		}
		if !at.IsZero() {
			where += " AND created_at = " + st.arg(at)
		}
		sql := "-- name: ExecutionByID :many\nSELECT * FROM agent_executions WHERE " + where + " " + newestFirst + " LIMIT 1"
		rows, err := tx.Query(ctx, sql, st.args...)
		if err != nil {
			return err
		}
		read, err := pgx.CollectRows(rows, pgx.RowToStructByName[dbgen.AgentExecution])
		if ok = len(read) > 0; ok {
			found = executionsOf(read)[0]
		}
		return err
	})
	return found, ok, err
}

// Trace returns up to limit executions of a trace, the earliest ones, and the spans between them that are still known.
func (s *Executions) Trace(ctx context.Context, traceID string, limit int) (execution.Trace, error) {
	var trace execution.Trace
	err := s.inSearch(ctx, "read a trace", func(tx pgx.Tx) error {
		var st statement
		most := st.arg(limit + 1)
		var branches []string
		const earliestFirst = "ORDER BY created_at, user_id, execution_id LIMIT "
		for _, indexed := range st.ofTrace(traceID) {
			branches = append(branches, "(SELECT * FROM execution_figures WHERE "+indexed+" "+earliestFirst+most+")")
		}
		sql := "-- name: ExecutionsOfTrace :many\n" + strings.Join(branches, "\nUNION ALL ") + "\n" + earliestFirst + most
		rows, err := tx.Query(ctx, sql, st.args...)
		if err != nil {
			return err
		}
		read, err := readFigures(rows)
		if err != nil {
			return err
		}
		trace = execution.Trace{Executions: read, Complete: len(read) <= limit, Parents: map[string]string{}}
		if !trace.Complete {
			trace.Executions = read[:limit]
		}
		const spans = `-- name: SpansOfTrace :many
SELECT span_id, parent_span_id FROM span_ancestors WHERE trace_id = $1 ORDER BY span_id LIMIT $2`
		if rows, err = tx.Query(ctx, spans, traceID, 4*limit); err != nil {
			return err
		}
		var span, parent string
		_, err = pgx.ForEachRow(rows, []any{&span, &parent}, func() error {
			trace.Parents[span] = parent
			return nil
		})
		return err
	})
	return trace, err
}
