package postgres_test

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

const defaultSearchRows = 60_000

var searchRows = flag.Int("search-rows", defaultSearchRows, "number of executions to search")

// history stores rows executions on each of the last days days, by SQL. Of the n-th of a day, the user, session, agent,
// model, trace and status follow from n.
func history(t testing.TB, db database, s *postgres.Executions, days, rows int) {
	t.Helper()
	now := time.Now()
	for i := range days {
		if err := s.EnsureDays(t.Context(), now.AddDate(0, 0, -i)); err != nil {
			t.Fatal(err)
		}
		db.execAsAdmin(t, fmt.Sprintf(`INSERT INTO agent_executions (%s)
			SELECT 'user-' || n %% 1000, d + (86400.0 * n / %[2]d) * interval '1 s', md5('trace' || %[4]d || '/' || n / 4) || '-' || lpad(to_hex(n), 16, '0'),
				CASE WHEN n %% 3 = 0 THEN 'session-' || %[4]d || '-' || n / 30 ELSE '' END, 'r' || n, 'agent-' || n %% 40,
				CASE WHEN n %% 4 = 0 THEN 'agent' ELSE 'inference' END, n %% 4 = 0, '', CASE WHEN n %% 50 = 0 THEN 'failure' WHEN n %% 501 = 0 THEN 'timeout' ELSE 'success' END,
				CASE WHEN n %% 50 = 0 OR n %% 501 = 0 THEN 'error number ' || n ELSE '' END, n %% 9000, 'openai', 'model-' || n %% 7, 150, 100, 50, 0, 0, 0, n %% 100000, 'v',
				md5('trace' || %[4]d || '/' || n / 4), lpad(to_hex(n), 16, '0'), CASE WHEN n %% 4 = 0 THEN '' ELSE lpad(to_hex(n - n %% 4), 16, '0') END, 0
			FROM generate_series(0, %[2]d - 1) n, (SELECT date_trunc('day', now(), 'UTC') - %[4]d * interval '1 day' AS d) AS day WHERE d + (86400.0 * n / %[2]d) * interval '1 s' < now()`,
			historyColumns, rows, "", i))
	}
	db.exec(t, `VACUUM (ANALYZE) agent_executions`)
}

const historyColumns = `user_id, created_at, execution_id, session_id, request_id, agent_name, kind, request, variant, status,
	error_message, execution_time_ms, provider, model_used, tokens_used, input_tokens, output_tokens, cache_read_tokens,
	cache_write_tokens, reasoning_tokens, cost_nano_usd, price_version, trace_id, span_id, parent_span_id, capped`

// filters are the filters of a search, each with a value that the history has.
func filters() map[string]func(*execution.Search) {
	ms := func(n int) *time.Duration { return new(time.Duration(n) * time.Millisecond) }
	yesterday := time.Now().UTC().Truncate(day).Add(-day)
	return map[string]func(*execution.Search){
		"none":         func(*execution.Search) {},
		"agent":        func(q *execution.Search) { q.Agent = "agent-7" },
		"model":        func(q *execution.Search) { q.Model = "model-3" },
		"user":         func(q *execution.Search) { q.UserIDs = []string{"user-77"} },
		"session":      func(q *execution.Search) { q.SessionIDs = []string{"session-1-3"} },
		"status":       func(q *execution.Search) { q.Statuses = []execution.Status{execution.Failure, execution.Timeout} },
		"kind":         func(q *execution.Search) { q.Kind = execution.Agent },
		"trace":        func(q *execution.Search) { q.TraceID = traceOf(1, 30) },
		"id":           func(q *execution.Search) { q.ID = traceOf(1, 30) + fmt.Sprintf("-%016x", 122) },
		"error":        func(q *execution.Search) { q.Error = "Number 1" },
		"min_duration": func(q *execution.Search) { q.MinDuration = ms(8990) },
		"max_duration": func(q *execution.Search) { q.MaxDuration = ms(3) },
		"min_cost":     func(q *execution.Search) { q.MinCost = new(int64(99_990)) },
		"max_cost":     func(q *execution.Search) { q.MaxCost = new(int64(20)) },
		"window":       func(q *execution.Search) { q.From, q.To = yesterday, yesterday.Add(time.Hour) },
		"unknown":      func(q *execution.Search) { q.Model = "no such model" },
	}
}

// traceOf returns the id of a trace of the history.
func traceOf(day, n int) string { return postgres.MD5(fmt.Sprintf("trace%d/%d", day, n)) }

// TestSearchesReadByIndex checks that every filter alone, and every pair, is read by an index and never by a scan of
// a partition. With -search-rows it has as many executions, and logs how long searches take:
//
//	bin/withpostgres -- go test ./internal/store/postgres -run TestSearchesReadByIndex -v -search-rows 1000000
func TestSearchesReadByIndex(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	s := newExecutions(t, db)
	history(t, db, s, 4, *searchRows/4)
	all := filters()
	index := map[string]string{
		"user": "pkey", "session": "idx_execution_session_created_at",
		"trace": "idx_execution_id", "id": "idx_execution_id",
	}
	for one, first := range all {
		for other, second := range all {
			var q execution.Search
			first(&q)
			second(&q)
			plan, err := s.ExplainSearch(t.Context(), q, 50, execution.MaxCandidates)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(plan) { // a partition of the next days is empty
				if strings.Contains(line, "Seq Scan") && !strings.Contains(line, "actual rows=0") {
					t.Errorf("%s and %s: a table is scanned:\n%s", one, other, plan)
				}
			}
			if one != other {
				continue
			}
			want := index[one]
			if want == "" {
				want = "status_created_at_idx"
			}
			// The index of a partition is named after its columns, or after the parent's if it was built later.
			named := strings.NewReplacer("idx_execution_id", "execution_id_idx",
				"idx_execution_session_created_at", "session_id_created_at_idx").Replace(want)
			if !strings.Contains(plan, named) && !strings.Contains(plan, want) {
				t.Errorf("%s: want the index %s, got\n%s", one, want, plan)
			}
		}
	}
	for filter, want := range map[string]int{"trace": 4, "id": 1, "session": 10, "user": *searchRows / 4 / 1000, "window": *searchRows / 4 / 24} {
		var q execution.Search
		all[filter](&q)
		found, err := s.Search(t.Context(), q, execution.Position{}, 500, execution.MaxCandidates)
		if n := len(found.Executions); err != nil || n < min(want, 500) || filter != "user" && n > want+1 && n != 500 {
			t.Errorf("%s: want %d executions, got %d, %v", filter, want, n, err)
		}
	}
	if trace, err := s.Trace(t.Context(), traceOf(1, 30), 3); err != nil || len(trace.Executions) != 3 || trace.Complete {
		t.Errorf("want three of a trace of four, got %d, %v", len(trace.Executions), err)
	}
	if *searchRows > defaultSearchRows {
		figures(t, s, all)
	}
}

// figures logs how long searches take.
func figures(t *testing.T, s *postgres.Executions, all map[string]func(*execution.Search)) {
	t.Helper()
	search := func(q execution.Search) time.Duration {
		var took []time.Duration
		for range 5 {
			start := time.Now()
			if _, err := s.Search(t.Context(), q, execution.Position{}, 50, execution.MaxCandidates); err != nil {
				t.Fatal(err)
			}
			took = append(took, time.Since(start))
		}
		slices.Sort(took)
		return took[len(took)/2]
	}
	var slowest time.Duration
	for one, first := range all {
		for other, second := range all {
			var q execution.Search
			first(&q)
			second(&q)
			took := search(q)
			if one == other {
				t.Logf("admin_executions_list_ms %s %.1f", one, took.Seconds()*1e3)
			}
			if took > slowest {
				slowest = took
				t.Logf("slowest so far: %s and %s, %s", one, other, took)
			}
		}
	}
}
