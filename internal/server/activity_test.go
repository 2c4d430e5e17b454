package server

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/server/executions"
)

// seed records n executions of a user, one per second, the last a minute ago.
func (a *api) seed(t testing.TB, n int, user string, more func(i int) string) {
	t.Helper()
	var lines strings.Builder
	for i := range n {
		fmt.Fprintf(&lines, `{"execution_id":"e%d","created_at":%q,"user_id":%q,"agent_name":"a","execution_time_ms":1.5%s}`+"\n",
			i, at().Add(time.Duration(i-n)*time.Second).Format(time.RFC3339Nano), user, more(i))
	}
	a.recordLines(t, lines.String()).want(http.StatusCreated)
}

func (a *api) admin(t testing.TB, path string) response {
	t.Helper()
	return a.send(t, request{method: "GET", path: path, token: adminToken})
}

func TestExecutionErrors(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	a.seed(t, 36, "u", func(i int) string { return `,"status":"` + []string{"success", "failure", "timeout"}[i%3] + `"` })
	var list openapi.ExecutionErrorList
	a.admin(t, "/api/admin/errors").want(http.StatusOK).decode(&list)
	if len(list.Errors) != 10 || list.Status != "success" || list.NextCursor == "" || list.Errors[0].ExecutionID != "e35" {
		t.Errorf("got %d, %+v", len(list.Errors), list)
	}
	var want []string
	for i := 35; i >= 0; i-- {
		if i%3 != 0 {
			want = append(want, fmt.Sprint("e", i))
		}
	}
	for _, limit := range []int{1, 7, 24, 500} {
		got := pages(t, func(cursor string) (ids []string, next string) {
			var page openapi.ExecutionErrorList
			a.admin(t, fmt.Sprintf("/api/admin/errors?limit=%d%s", limit, cursor)).want(http.StatusOK).decode(&page)
			for _, e := range page.Errors {
				ids = append(ids, e.ExecutionID)
			}
			return ids, page.NextCursor
		})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("limit %d (-want +got):\n%s", limit, diff)
		}
	}
}

func TestUserActivity(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	const user = "a/b?c%d é ..'"
	a.seed(t, 120, user, func(int) string { return `,"status":"success"` })
	a.seed(t, 3, "another", func(int) string { return `,"status":"failure"` })
	path := "/api/admin/user-activity/" + url.PathEscape(user)
	var list openapi.UserActivityList
	a.admin(t, path).want(http.StatusOK).decode(&list)
	if len(list.Activity) != 20 || list.Status != "success" || list.UserID != user || list.NextCursor == "" {
		t.Errorf("got %+v", list)
	}
	for _, limit := range []int{50, 51, 60, 119, 120} {
		got := pages(t, func(cursor string) (ids []string, next string) {
			var page openapi.UserActivityList
			a.admin(t, fmt.Sprintf("%s?limit=%d%s", path, limit, cursor)).want(http.StatusOK).decode(&page)
			if len(page.Activity) > limit {
				t.Errorf("limit %d: the page has %d", limit, len(page.Activity))
			}
			for _, e := range page.Activity {
				ids = append(ids, e.ExecutionID)
			}
			return ids, page.NextCursor
		})
		if len(got) != 120 || got[0] != "e119" || got[119] != "e0" {
			t.Errorf("limit %d: got %d: %v", limit, len(got), got)
		}
	}
	if p := a.admin(t, "/api/admin/user-activity/another?cursor="+list.NextCursor).want(http.StatusBadRequest).problem(); p.Field != "cursor" {
		t.Errorf("another's cursor: got %+v", p)
	}
	a.admin(t, "/api/admin/user-activity/nobody").want(http.StatusOK).decode(&list)
	if len(list.Activity) != 0 {
		t.Errorf("got %+v of nobody", list)
	}
}

// With large executions, pages have fewer of them, so that the size of responses stays limited.
func TestPagesAreBounded(t *testing.T) {
	t.Parallel()
	counted := countedExecutions{}
	for i := range 20 {
		counted.rows = append(counted.rows, execution.Execution{
			ID: fmt.Sprint(i), CreatedAt: at(), UserID: "u", AgentName: "a", Kind: execution.Agent, Status: execution.Failure,
			Input: []byte(`"` + strings.Repeat("x", 700_000) + `"`),
		})
	}
	a := newAPI(t, func(o *Options) { o.Executions = counted })
	count, longest := 0, 0
	pages(t, func(cursor string) (ids []string, next string) {
		var page openapi.ExecutionErrorList
		got := a.admin(t, "/api/admin/errors?limit=500"+cursor).want(http.StatusOK)
		got.decode(&page)
		count, longest = count+len(page.Errors), max(longest, got.Body.Len())
		return nil, page.NextCursor
	})
	if count != 20 || longest > executions.MaxPage+1<<20 {
		t.Errorf("got %d executions, %d bytes in the longest page", count, longest)
	}
}

// A response includes all recorded fields, under the names that clients expect.
func TestEveryResponseField(t *testing.T) {
	t.Parallel()
	begun := time.Date(2026, 1, 15, 9, 30, 0, 125_000_000, time.UTC)
	tests := map[string]struct {
		e    execution.Execution
		want string
	}{
		"all": {
			execution.Execution{
				ID: "e1", CreatedAt: begun, UserID: "u", SessionID: "s", RequestID: "r", AgentName: "main", Kind: execution.Inference, Variant: "b",
				Status: execution.Timeout, ErrorMessage: "no answer", Duration: 2_500_125 * time.Microsecond, Provider: "openai", Model: "gpt-4o",
				Tokens: execution.Tokens{Input: 1000, Output: 500, CacheRead: 200, CacheWrite: 100, Reasoning: 50, Used: 1500},
				Cost:   new(int64(1_234_567_891)), PriceVersion: "2026-01-01", Input: []byte(`{"b": 1}`), Output: []byte(`null`),
				TraceID: "4bf92f3577b34da6a3ce929d0e0e4736", SpanID: "00f067aa0ba902b7", ParentSpanID: "53995c3f42cd8ad8",
			},
			`{"user_id":"u","session_id":"s","request_id":"r","agent_name":"main","input_data":{"b":1},"output_data":null,"execution_time_ms":2500.125,` +
				`"tokens_used":1500,"model_used":"gpt-4o","status":"timeout","error_message":"no answer","created_at":"2026-01-15T09:30:00.125Z",` +
				`"cache_read_tokens":200,"cache_write_tokens":100,"cost_usd":1.234567891,"execution_id":"e1","input_tokens":1000,"kind":"inference","output_tokens":500,` +
				`"parent_span_id":"53995c3f42cd8ad8","price_version":"2026-01-01","provider":"openai","reasoning_tokens":50,"span_id":"00f067aa0ba902b7",` +
				`"trace_id":"4bf92f3577b34da6a3ce929d0e0e4736","variant":"b"}`,
		},
		"the least": {
			execution.Execution{ID: "e2", CreatedAt: begun, UserID: "u", AgentName: "main", Kind: execution.Agent, Status: execution.Failure},
			`{"user_id":"u","session_id":null,"request_id":null,"agent_name":"main","input_data":null,"output_data":null,"execution_time_ms":0,` +
				`"tokens_used":0,"model_used":null,"status":"failure","error_message":null,"created_at":"2026-01-15T09:30:00.125Z",` +
				`"cache_read_tokens":0,"cache_write_tokens":0,"cost_usd":null,"execution_id":"e2","input_tokens":0,"kind":"agent","output_tokens":0,"reasoning_tokens":0}`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t, func(o *Options) { o.Executions = countedExecutions{rows: []execution.Execution{tt.e}} })
			got := a.admin(t, "/api/admin/errors").want(http.StatusOK)
			if want := `{"status":"success","errors":[` + tt.want + `]}` + "\n"; got.Body.String() != want {
				t.Errorf("got  %s\nwant %s", got.Body, want)
			}
		})
	}
}

func TestEraseUser(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	a.seed(t, 3, "u/1", func(int) string { return `,"status":"failure"` })
	a.seed(t, 2, "v", func(int) string { return `,"status":"failure"` })
	for _, want := range []int64{3, 0} {
		var erased openapi.ErasedUser
		a.send(t, request{method: "DELETE", path: "/api/admin/users/u%2F1", token: adminToken}).want(http.StatusOK).decode(&erased)
		if erased.Status != "success" || erased.UserID != "u/1" || erased.Deleted.Executions != want {
			t.Errorf("got %+v, want %d deleted", erased, want)
		}
	}
	var list openapi.ExecutionErrorList
	a.admin(t, "/api/admin/errors").want(http.StatusOK).decode(&list)
	if len(list.Errors) != 2 {
		t.Errorf("got %+v, want the other's", list)
	}
}
