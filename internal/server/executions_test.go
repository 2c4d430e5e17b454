package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/ratelimit"
	"github.com/watchbill/watchbill/internal/server/ingest"
	"github.com/watchbill/watchbill/internal/server/problem"
)

// record sends executions as JSON.
func (a *api) record(t testing.TB, body string) response {
	t.Helper()
	return a.send(t, request{method: "POST", path: "/api/executions", token: ingestToken, body: body})
}

// recordLines sends executions as NDJSON.
func (a *api) recordLines(t testing.TB, body string) response {
	t.Helper()
	return a.send(t, request{method: "POST", path: "/api/executions", token: ingestToken, body: body, contentType: ingest.NDJSON})
}

func (r response) recorded() openapi.RecordedExecutions {
	r.t.Helper()
	var answer openapi.RecordedExecutions
	r.decode(&answer)
	return answer
}

// at returns a start time that is always accepted: a minute ago.
func at() time.Time { return time.Now().Add(-time.Minute).UTC().Truncate(time.Microsecond) }

func TestEveryFieldOfAnExecution(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	begun := at()
	body := fmt.Sprintf(`{
		"execution_id":"e1","created_at":%q,"user_id":"u/1","session_id":"s","request_id":"r","agent_name":"main","kind":"inference",
		"input_data":{"b":[1,2.50,"x\u00e9"],"a":null},"output_data":"text","execution_time_ms":2500.1254,
		"tokens_used":1600,"input_tokens":1000,"output_tokens":500,"cache_read_tokens":200,"cache_write_tokens":100,"reasoning_tokens":50,
		"model_used":"gpt-4o","provider":"openai","status":"failure","error_message":"line\nbreak",
		"trace_id":"4BF92F3577B34DA6A3CE929D0E0E4736","span_id":"00F067AA0BA902B7","parent_span_id":"53995c3f42cd8ad8","vari\u0061nt":"b"}`,
		begun.In(time.FixedZone("", -5*3600-1800)).Format("2006-01-02T15:04:05.000000789Z07:00"))
	if got := a.record(t, body).want(http.StatusCreated).recorded(); got.Accepted != 1 || got.Duplicates != 0 || len(got.Rejected) != 0 {
		t.Fatalf("got %+v", got)
	}
	want := execution.Execution{
		ID: "e1", CreatedAt: begun.Truncate(time.Second), UserID: "u/1", SessionID: "s", RequestID: "r", AgentName: "main",
		Kind: execution.Inference, Variant: "b", Status: execution.Failure, ErrorMessage: "line\nbreak", Duration: 2_500_125 * time.Microsecond,
		Provider: "openai", Model: "gpt-4o",
		Tokens: execution.Tokens{Input: 1000, Output: 500, CacheRead: 200, CacheWrite: 100, Reasoning: 50, Used: 1600}, Usage: execution.UsageReported,
		Input: json.RawMessage(`{"b":[1,2.50,"x\u00e9"],"a":null}`), Output: json.RawMessage(`"text"`),
		TraceID: "4bf92f3577b34da6a3ce929d0e0e4736", SpanID: "00f067aa0ba902b7", ParentSpanID: "53995c3f42cd8ad8", Request: true,
	}
	got := a.of(t, "u/1")
	if got[0].Cost == nil || got[0].PriceVersion == "" {
		t.Errorf("got %+v, want a price", got[0])
	}
	want.Cost, want.PriceVersion = got[0].Cost, got[0].PriceVersion
	if diff := cmp.Diff([]execution.Execution{want}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Executions of one trace are related and counted as one request, in whatever order and requests they are sent.
func TestExecutionsBecomeSpans(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	line := func(span, parent, more string) string {
		if parent != "" {
			parent = `,"parent_span_id":"` + parent + `"`
		}
		return `{"user_id":"u","agent_name":"main","status":"success","trace_id":"` + trace + `","span_id":"` + span + `"` + parent + more + "}\n"
	}
	a.recordLines(t, line("000000000000000c", "000000000000000b", `,"kind":"inference","tokens_used":5`)).want(http.StatusCreated)
	a.recordLines(t, line("000000000000000b", "000000000000000a", `,"kind":"tool"`)+line("000000000000000a", "", "")).want(http.StatusCreated)
	if _, _, err := a.rows.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	var m openapi.ExecutionMetricsAnswer
	a.admin(t, "/api/admin/metrics").want(http.StatusOK).decode(&m)
	if got := m.Metrics; got.TotalRequests != 1 || got.TotalTokensUsed != 5 || a.stored(t) != 3 {
		t.Errorf("got %+v, want one request", got)
	}
	// A rejected one leaves no span.
	a.recordLines(t, line("000000000000000d", "", `,"session_id":"`+strings.Repeat("x", 1000)+`"`)).want(http.StatusUnprocessableEntity)
	a.recordLines(t, line("000000000000000e", "000000000000000d", "")).want(http.StatusCreated)
	if _, _, err := a.rows.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.admin(t, "/api/admin/metrics").want(http.StatusOK).decode(&m)
	if got := m.Metrics; got.TotalRequests != 2 {
		t.Errorf("got %+v, want two requests", got)
	}
}

func TestExecutionDefaults(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	nulls := ""
	for _, field := range ingest.Fields {
		if field != "user_id" && field != "agent_name" && field != "status" {
			nulls += `,"` + field + `":null`
		}
	}
	tests := map[string]struct {
		more string
		want execution.Execution
	}{
		"all":                          {"", execution.Execution{Kind: execution.Agent, Request: true}},
		"all, as null":                 {nulls, execution.Execution{Kind: execution.Agent, Request: true}},
		"the total":                    {`,"input_tokens":3,"output_tokens":4`, execution.Execution{Kind: execution.Agent, Request: true, Tokens: execution.Tokens{Input: 3, Output: 4, Used: 7}, Usage: execution.UsageReported}},
		"all but the total":            {`,"tokens_used":9`, execution.Execution{Kind: execution.Agent, Request: true, Tokens: execution.Tokens{Used: 9}, Usage: execution.UsageReported}},
		"a tool's request":             {`,"kind":"tool"`, execution.Execution{Kind: execution.Tool}},
		"half a pair in the payload":   {`,"input_data":"a \ud83d"`, execution.Execution{Kind: execution.Agent, Request: true, Input: json.RawMessage("\"a \uFFFD\"")}},
		"a NUL in the payload":         {`,"input_data":["\u0000"]`, execution.Execution{Kind: execution.Agent, Request: true, Input: json.RawMessage("[\"\uFFFD\"]")}},
		"bad UTF-8 in the payload":     {",\"input_data\":[\"\xc3\x28\"]", execution.Execution{Kind: execution.Agent, Request: true, Input: json.RawMessage("[\"\uFFFD(\"]")}},
		"members twice in the payload": {`,"input_data":{"a":1,"a":2}`, execution.Execution{Kind: execution.Agent, Request: true, Input: json.RawMessage(`{"a":1,"a":2}`)}},
		"a huge number in the payload": {`,"input_data":[1e999]`, execution.Execution{Kind: execution.Agent, Request: true, Input: json.RawMessage(`["1e999"]`)}},
		"too deep a payload":           {`,"input_data":` + strings.Repeat("[", 65) + strings.Repeat("]", 65), execution.Execution{Kind: execution.Agent, Request: true, Input: json.RawMessage(`"` + strings.Repeat("[", 65) + strings.Repeat("]", 65) + `"`)}},
		"half a pair in the error":     {`,"error_message":"a\u0000\ud83d"`, execution.Execution{Kind: execution.Agent, Request: true, ErrorMessage: "a\uFFFD\uFFFD"}},
		"counts with a fraction of 0":  {`,"input_tokens":10.0`, execution.Execution{Kind: execution.Agent, Request: true, Tokens: execution.Tokens{Input: 10, Used: 10}, Usage: execution.UsageReported}},
		"counts with an exponent":      {`,"input_tokens":1e1,"output_tokens":50e-1`, execution.Execution{Kind: execution.Agent, Request: true, Tokens: execution.Tokens{Input: 10, Output: 5, Used: 15}, Usage: execution.UsageReported}},
		"a payload of nothing":         {`,"input_data":{},"output_data":""`, execution.Execution{Kind: execution.Agent, Request: true, Input: json.RawMessage(`{}`), Output: json.RawMessage(`""`)}},
		"all of a microsecond":         {`,"execution_time_ms":0.0004`, execution.Execution{Kind: execution.Agent, Request: true}},
		"half of a microsecond":        {`,"execution_time_ms":5e-4`, execution.Execution{Kind: execution.Agent, Request: true, Duration: time.Microsecond}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			from := time.Now().Truncate(time.Microsecond)
			a.record(t, fmt.Sprintf(`{"user_id":%q,"agent_name":"a","status":"success"%s}`, name, tt.more)).want(http.StatusCreated)
			got := a.of(t, name)[0]
			if id, err := uuid.Parse(got.ID); err != nil || id.Version() != 7 || got.RequestID != got.ID {
				t.Errorf("got id %q and request %q, want a UUIDv7 for both", got.ID, got.RequestID)
			}
			if got.CreatedAt.Before(from) || got.CreatedAt.After(time.Now()) || got.CreatedAt.Location() != time.UTC {
				t.Errorf("got %v, want now, in UTC", got.CreatedAt)
			}
			tt.want.ID, tt.want.RequestID, tt.want.CreatedAt = got.ID, got.ID, got.CreatedAt
			tt.want.UserID, tt.want.AgentName, tt.want.Status = name, "a", execution.Success
			tt.want.PriceVersion = got.PriceVersion
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	given := at()
	a.record(t, fmt.Sprintf(`{"user_id":"u","agent_name":"a","status":"success","created_at":%q}`, given.Format(time.RFC3339Nano))).want(http.StatusCreated)
	if got := a.of(t, "u"); len(got) != 1 || !got[0].CreatedAt.Equal(given) || got[0].ID == "" {
		t.Errorf("got %+v, want the time that was given, and a minted id", got)
	}
}

// A line that is not JSON is rejected alone. In a JSON body, invalid JSON fails the whole request.
func TestBadLines(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	good := `{"user_id":"u","agent_name":"a","status":"success"}`
	tests := map[string]struct{ line, code string }{
		"truncated":       {good[:len(good)-1], "malformed_json"},
		"in a string":     {good[:len(good)-4], "malformed_json"},
		"words":           {"nonsense", "malformed_json"},
		"NaN":             {`{"user_id":"u","agent_name":"a","status":"success","tokens_used":NaN}`, "malformed_json"},
		"an open array":   {"[1", "invalid_type"},
		"an open name":    {`["user_id"`, "invalid_type"},
		"two in one line": {good + good, "trailing_data"},
		"an envelope":     {`{"executions":[` + good + `]}`, "unknown_field"},
		"a raw NUL":       {"{\"user_id\":\"\x00\"}", "malformed_json"},
		"absurdly deep":   {`{"input_data":` + strings.Repeat("[", 100_000), "too_deep"},
		"a byte order":    {"\ufeff" + good, "malformed_json"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := a.recordLines(t, good+"\n"+tt.line).want(http.StatusCreated).recorded()
			if got.Accepted != 1 || len(got.Rejected) != 1 || got.Rejected[0].Index != 1 || got.Rejected[0].Code != tt.code {
				t.Errorf("got %+v, want %s of the second", got, tt.code)
			}
		})
	}
}

func TestBadBatches(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	good := `{"user_id":"u","agent_name":"a","status":"success"}`
	many := func(n int, separator string) string {
		return strings.TrimSuffix(strings.Repeat(good+separator, n), separator)
	}
	tests := map[string]struct {
		body        string
		lines       bool
		status      int
		code, field string
	}{
		"no executions":       {`{"executions":[]}`, false, 400, "no_executions", "executions"},
		"no lines":            {"\n \r\n\t\n", true, 400, "no_executions", ""},
		"no list":             {`{"executions":` + good + `}`, false, 400, "invalid_type", "executions"},
		"null":                {`{"executions":null}`, false, 400, "invalid_type", "executions"},
		"two lists":           {`{"executions":[` + good + `],"executions":[` + good + `]}`, false, 400, "duplicate_field", "executions"},
		"a list, and more":    {`{"user_id":"u","executions":[` + good + `]}`, false, 400, "unknown_field", "user_id"},
		"more behind it":      {`{"executions":[` + good + `]}{}`, false, 400, "trailing_data", ""},
		"a list that is cut":  {`{"executions":[` + good, false, 400, "malformed_json", "executions"},
		"an item that is cut": {`{"executions":[` + good[:20], false, 400, "malformed_json", "executions[0]"},
		"NaN":                 {`{"executions":[{"tokens_used":NaN}]}`, false, 400, "malformed_json", "executions[0].tokens_used"},
		"absurdly deep":       {`{"executions":` + strings.Repeat("[", 100_000), false, 400, "malformed_json", problem.Clip("executions" + strings.Repeat("[0]", 100))},
		"one too many":        {`{"executions":[` + many(ingest.MaxExecutions+1, ",") + `]}`, false, 413, "too_many_executions", ""},
		"a line too many":     {many(ingest.MaxExecutions+1, "\n"), true, 413, "too_many_executions", ""},
		"more than the limit": {strings.Repeat(" ", ingest.MaxBody) + good, true, 413, "body_too_large", ""},
		"a parameter":         {good, false, 400, "unknown_parameter", "x"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			before := a.stored(t)
			r := request{method: "POST", path: "/api/executions", token: ingestToken, body: tt.body}
			if tt.lines {
				r.contentType = ingest.NDJSON + "; charset=utf-8"
			}
			if tt.code == "unknown_parameter" {
				r.path += "?x=1"
			}
			got := a.send(t, r).want(tt.status)
			if p := got.problem(); p.Code != tt.code || p.Field != tt.field {
				t.Errorf("got %+v, want %s of %q", p, tt.code, tt.field)
			}
			if now := a.stored(t); now != before {
				t.Errorf("%d executions were stored", now-before)
			}
		})
	}
	if got := a.record(t, `{"executions":[`+many(ingest.MaxExecutions, ",")+`]}`).want(http.StatusCreated).recorded(); got.Accepted != ingest.MaxExecutions {
		t.Errorf("got %+v of a full request", got)
	}
}

func TestRepeatedExecutions(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	begun := at().Format(time.RFC3339Nano)
	line := func(user, id, more string) string {
		return fmt.Sprintf(`{"user_id":%q,"execution_id":%q,"created_at":%q,"agent_name":"a","status":"success"%s}`, user, id, begun, more) + "\n"
	}
	first := line("u", "1", "") + line("u", "2", "") + line("v", "1", "")
	if got := a.recordLines(t, first+line("u", "1", `,"tokens_used":5`)).want(http.StatusCreated).recorded(); got.Accepted != 3 || got.Duplicates != 1 {
		t.Errorf("got %+v, want 3 and a duplicate", got)
	}
	if got := a.recordLines(t, first).want(http.StatusCreated).recorded(); got.Accepted != 0 || got.Duplicates != 3 {
		t.Errorf("repeated: got %+v, want 3 duplicates", got)
	}
}

// Rejections by the reader and by the ledger are listed together, ordered by their indexes in the request.
func TestRejectionsAreInOrder(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	good, late, unread := `{"user_id":"u","agent_name":"a","status":"success"}`,
		`{"user_id":"u","agent_name":"a","status":"success","created_at":"9999-01-01T00:00:00Z"}`, `{"x":1}`
	got := a.recordLines(t, strings.Join([]string{late, unread, good, late, good, unread, late}, "\n")).want(http.StatusCreated).recorded()
	var all []string
	for _, r := range got.Rejected {
		all = append(all, fmt.Sprint(r.Index, " ", r.Code))
	}
	if want := "0 too_far_ahead,1 unknown_field,3 too_far_ahead,5 unknown_field,6 too_far_ahead"; strings.Join(all, ",") != want || got.Accepted != 2 {
		t.Errorf("got %v, want %s", all, want)
	}
}

func TestLedgerOutage(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	a.db.Close()
	got := a.record(t, `{"user_id":"u","agent_name":"a","status":"success"}`).want(http.StatusServiceUnavailable)
	if got.Header().Get("Retry-After") == "" {
		t.Error("it does not say when to come again")
	}
	a.record(t, `{"user_id":"u"}`).want(http.StatusUnprocessableEntity) // rejected without the ledger
}

// The rate limits count executions, not requests, and a request is admitted as a whole or not at all.
func TestExecutionsAreLimited(t *testing.T) {
	t.Parallel()
	rules, err := ratelimit.Parse([]string{"ingest/user=3/d", "ingest/token=6/d"})
	if err != nil {
		t.Fatal(err)
	}
	a := newAPI(t, func(o *Options) { o.Limiter = ratelimit.New(ratelimit.Options{Limits: rules, Now: time.Now}) })
	line := func(user string) string {
		return `{"user_id":"` + user + `","agent_name":"a","status":"success"}` + "\n"
	}
	a.recordLines(t, line("u")+line("u")+line("v")).want(http.StatusCreated)
	got := a.recordLines(t, line("v")+line("u")+line("u")).want(http.StatusTooManyRequests)
	if got.Header().Get("Retry-After") == "" || got.Header().Get("RateLimit") == "" || a.stored(t) != 3 {
		t.Errorf("got %v, and %d are stored", got.Header(), a.stored(t))
	}
	a.recordLines(t, line("w")+"nonsense\n"+line("u")).want(http.StatusCreated)
	a.recordLines(t, line("w")).want(http.StatusTooManyRequests)
}
