package server

import (
	"context"
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/server/executions"
)

const aTrace = "4bf92f3577b34da6a3ce929d0e0e4736"

// seedSearch records 60 executions: e0 to e39 of ada and e0 to e19 of bob.
func seedSearch(t testing.TB, a *api) {
	t.Helper()
	a.seed(t, 40, "ada", func(i int) string {
		more := fmt.Sprintf(`,"session_id":"s%d","model_used":"m%d","kind":%q`, i%4, i%3, []string{"agent", "inference", "tool"}[i%3])
		if i%5 == 0 {
			return more + fmt.Sprintf(`,"status":"failure","error_message":"Broken pipe %d"`, i)
		}
		if i >= 36 {
			more += fmt.Sprintf(`,"trace_id":%q,"span_id":"00000000000000%02d"`, aTrace, i)
			if i > 36 {
				more += fmt.Sprintf(`,"parent_span_id":"00000000000000%02d"`, i-1)
			}
		}
		return more + `,"status":"success"`
	})
	a.seed(t, 20, "bob", func(_ int) string { return `,"status":"timeout"` })
}

func (a *api) search(t *testing.T, filters string) (ids []string) {
	t.Helper()
	return pages(t, func(cursor string) (ids []string, next string) {
		var page openapi.ExecutionSummaryList
		a.admin(t, "/api/admin/executions?limit=7&"+filters+cursor).want(http.StatusOK).decode(&page)
		for _, e := range page.Executions {
			ids = append(ids, e.UserID+"/"+e.ExecutionID)
		}
		return ids, page.NextCursor
	})
}

func TestSearchExecutions(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	seedSearch(t, a)
	ada := func(holds func(i int) bool) (ids []string) {
		for i := 39; i >= 0; i-- {
			if holds(i) {
				ids = append(ids, fmt.Sprintf("ada/e%d", i))
			}
		}
		return ids
	}
	var second openapi.ExecutionSummaryList
	a.admin(t, "/api/admin/executions?user_id=ada&execution_id=e1").want(http.StatusOK).decode(&second)
	failedOne := func(i int) bool { return i%5 == 0 }
	for filters, want := range map[string][]string{
		"user_id=ada":                         ada(func(int) bool { return true }),
		"session_id=s1":                       ada(func(i int) bool { return i%4 == 1 }),
		"model=m2":                            ada(func(i int) bool { return i%3 == 2 }),
		"model=m2&session_id=s1":              ada(func(i int) bool { return i%3 == 2 && i%4 == 1 }),
		"kind=tool&agent=a":                   ada(func(i int) bool { return i%3 == 2 }),
		"status=failure":                      ada(failedOne),
		"status=failed&user_id=ada":           ada(failedOne),
		"error=BROKEN+PIPE&user_id=ada":       ada(failedOne),
		"error=pipe%202":                      {"ada/e25", "ada/e20"},
		"error=%25":                           nil,
		"trace_id=" + strings.ToUpper(aTrace): {"ada/e39", "ada/e38", "ada/e37", "ada/e36"},
		"execution_id=e38":                    {"ada/e38"},
		"execution_id=e3&user_id=bob":         {"bob/e3"},
		"min_duration_ms=2":                   nil,
		"max_duration_ms=1.5&session_id=s0":   ada(func(i int) bool { return i%4 == 0 }),
		"min_cost_usd=0":                      nil,
		"agent=nobody":                        nil,
		"to=" + second.Executions[0].CreatedAt.Format(time.RFC3339Nano) + "&user_id=ada": {"ada/e0"},
	} {
		if diff := cmp.Diff(want, a.search(t, filters)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", filters, diff)
		}
	}
	if all := a.search(t, ""); len(all) != 60 || len(slices.Compact(slices.Sorted(slices.Values(all)))) != 60 {
		t.Errorf("without a filter: got %d executions, %v", len(all), all)
	}
}

func TestSearchRejectsNonsense(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	seedSearch(t, a)
	var page openapi.ExecutionSummaryList
	a.admin(t, "/api/admin/executions?limit=3&user_id=ada").want(http.StatusOK).decode(&page)
	for query, field := range map[string]string{
		"agent=": "agent", "agent=" + strings.Repeat("x", 129): "agent", "model=%00": "model", "model=%ff": "model", "session_id=a%0ab": "session_id",
		"user_id=": "user_id", "user_id=" + strings.Repeat("u", 257): "user_id", "trace_id=4bf9": "trace_id", "trace_id=" + strings.Repeat("g", 32): "trace_id",
		"execution_id=%1b[31m": "execution_id", "status=ok": "status", "status=success&status=failure": "status", "kind=": "kind",
		"error=": "error", "error=" + strings.Repeat("e", 257): "error",
		"min_duration_ms=-1": "min_duration_ms", "min_duration_ms=NaN": "min_duration_ms", "min_duration_ms=Inf": "min_duration_ms", "max_duration_ms=1e99": "max_duration_ms",
		"min_duration_ms=5&max_duration_ms=4": "max_duration_ms", "min_cost_usd=1e9": "min_cost_usd", "min_cost_usd=1/0": "min_cost_usd", "min_cost_usd=-0.1": "min_cost_usd",
		"min_cost_usd=free": "min_cost_usd", "max_cost_usd=1000000.1": "max_cost_usd", "min_cost_usd=2&max_cost_usd=1": "max_cost_usd",
		"from=yesterday": "from", "from=1969-12-31T23:59:59Z": "from", "to=2026-02-30T00:00:00Z": "to", "from=2999-01-01T00:00:00Z": "from",
		"from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z": "to", "limit=0": "limit", "limit=501": "limit", "limit=1000001&format=csv": "limit",
		"format=xml": "format", "cursor=AAAA": "cursor", "colour=red": "colour", "cursor=" + page.NextCursor: "cursor", "user_id=bob&cursor=" + page.NextCursor: "cursor",
		"format=csv&user_id=ada&cursor=" + page.NextCursor: "cursor",
	} {
		if p := a.admin(t, "/api/admin/executions?"+query).want(http.StatusBadRequest).problem(); p.Field != field {
			t.Errorf("%s: want a 400 about %s, got %+v", query, field, p)
		}
	}
	for path, status := range map[string]int{
		"/api/admin/executions/nothing": 404, "/api/admin/executions/" + strings.Repeat("x", 129): 400, "/api/admin/executions/%ff": 400,
		"/api/admin/executions/e1?created_at=x": 400, "/api/admin/executions/e1?user_id=": 400, "/api/admin/executions/e1?depth=3": 400,
		"/api/admin/executions/" + url.PathEscape("a/b?c"): 404,
	} {
		a.admin(t, path).want(status)
	}
}

func TestGetExecution(t *testing.T) {
	t.Parallel()
	a := newAPI(t, func(o *Options) {
		o.PriceOf = func(e *execution.Execution) (execution.AppliedPrice, bool) {
			return execution.AppliedPrice{Version: "v", Model: e.Model, Rates: map[string]float64{"input": 2.5}}, e.Model != ""
		}
	})
	seedSearch(t, a)
	var got openapi.ExecutionAnswer
	a.admin(t, "/api/admin/executions/e39").want(http.StatusOK).decode(&got)
	if got.Execution.UserID != "ada" || got.Price == nil || got.Price.USDPerMillionTokens["input"] != 2.5 || got.Price.InForce {
		t.Errorf("got %+v, price %+v", got.Execution, got.Price)
	}
	var path []string
	for nodes := got.Trace.Roots; len(nodes) == 1; nodes = nodes[0].Children {
		path = append(path, nodes[0].Execution.ExecutionID)
	}
	if want := []string{"e36", "e37", "e38", "e39"}; !slices.Equal(path, want) || !got.Trace.Complete || got.Trace.Executions != 4 {
		t.Errorf("want the tree %v, got %v of %+v", want, path, got.Trace)
	}
	a.admin(t, "/api/admin/executions/e3?user_id=bob").want(http.StatusOK).decode(&got)
	if got.Execution.UserID != "bob" {
		t.Errorf("got %+v", got.Execution)
	}
}

func TestExports(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	a.seed(t, 3, "=HYPERLINK(\"http://x\")", func(i int) string {
		return `,"status":"failure","error_message":` + []string{`"+1\n-2,\"q\""`, `" @SUM(A1)"`, `"plain"`}[i]
	})
	seedSearch(t, a)
	got := a.admin(t, "/api/admin/executions?format=csv").want(http.StatusOK)
	rows, err := csv.NewReader(strings.NewReader(got.Body.String())).ReadAll()
	if err != nil || len(rows) != 64 || rows[0][0] != "created_at" {
		t.Fatalf("got %d rows, %v", len(rows), err)
	}
	for _, row := range rows {
		for _, field := range row {
			if strings.IndexAny(strings.TrimSpace(field), "=+-@") == 0 {
				t.Errorf("a spreadsheet takes %q for a formula", field)
			}
		}
	}
	lines := a.send(t, request{method: "GET", path: "/api/admin/executions?user_id=ada&limit=5", token: adminToken, header: map[string]string{"Accept": "application/x-ndjson"}}).
		want(http.StatusOK).Body.String()
	if strings.Count(lines, "\n") != 5 || !strings.HasPrefix(lines, `{"created_at":`) {
		t.Errorf("got %s", lines)
	}
}

func TestExportsAreLogged(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	a.seed(t, 3, "ada", func(int) string { return `,"status":"success"` })
	a.admin(t, "/api/admin/executions?format=csv&agent=none").want(http.StatusOK)
	a.admin(t, "/api/admin/executions?format=csv&limit=2").want(http.StatusOK)
	var got []map[string]any
	for _, event := range a.securityEvents(t) {
		if event["event"] == "executions.exported" {
			got = append(got, event)
		}
	}
	if len(got) != 1 || got[0]["executions"] != 2.0 || got[0]["format"] != "csv" || got[0]["actor"] != "admin" {
		t.Errorf("want one export of 2 executions, got %v", got)
	}
}

// TestExportsReadNothingForHEAD checks that an export without a body reads one batch.
func TestExportsReadNothingForHEAD(t *testing.T) {
	t.Parallel()
	pages := make(chan int, 100)
	a := newAPI(t, func(o *Options) { o.Executions = endlessSearch{o.Executions, pages} })
	got := a.send(t, request{method: "HEAD", path: "/api/admin/executions?format=csv&limit=1000000", token: adminToken}).want(http.StatusOK)
	if len(pages) != 1 || !strings.HasPrefix(got.Header().Get("Content-Type"), "text/csv") {
		t.Errorf("%d batches were read for %v", len(pages), got.Header())
	}
}

// endlessSearch returns pages without end until its context is done.
type endlessSearch struct {
	executions.Store
	pages chan int
}

func (s endlessSearch) Search(ctx context.Context, _ execution.Search, _ execution.Position, limit, _ int) (execution.Found, error) {
	select {
	case s.pages <- limit:
	case <-ctx.Done():
		return execution.Found{}, ctx.Err()
	}
	found := execution.Found{End: execution.Position{CreatedAt: 1, UserID: "u", ID: "e"}}
	for range limit {
		found.Executions = append(found.Executions, execution.Execution{ID: "e", UserID: "u", CreatedAt: at()})
	}
	return found, nil
}

// TestAbandonedExportsEnd checks that an export ends, and frees its slot and the read's turn, once its client is gone.
func TestAbandonedExportsEnd(t *testing.T) {
	t.Parallel()
	pages := make(chan int)
	a := newAPI(t, func(o *Options) { o.Executions = endlessSearch{o.Executions, pages} })
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = recover() }() // the connection is aborted
		serve(a, request{method: "GET", path: "/api/admin/executions?format=ndjson&limit=1000000", token: adminToken}.http().WithContext(ctx))
	}()
	for range 3 {
		<-pages
	}
	cancel()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		t.Fatal("the export goes on")
	}
	if len(a.executions.Exporting) != 0 || len(a.adminReads) != 0 {
		t.Errorf("slots are kept: %d exports, %d reads", len(a.executions.Exporting), len(a.adminReads))
	}
}
