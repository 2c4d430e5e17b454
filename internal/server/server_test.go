package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/observe/metrics"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/server/endpoint"
)

// fakeMeasurements is a Measurements that calls the function instead of reading.
type fakeMeasurements func(context.Context) error

func (f fakeMeasurements) Facts(ctx context.Context, w report.Window, _ report.Parts) (report.Facts, error) {
	return report.Facts{Window: w}, f(ctx)
}

// line is a decoded line of the log.
type line struct {
	Message    string  `json:"msg"`
	Route      string  `json:"route"`
	Method     string  `json:"method"`
	Path       string  `json:"path"`
	Status     int     `json:"status"`
	RequestID  string  `json:"request_id"`
	AgentID    string  `json:"agent_id"`
	BytesIn    int64   `json:"bytes_in"`
	DurationMs float64 `json:"duration_ms"`
	Error      string  `json:"error"`
	Panic      string  `json:"panic"`
	Stack      string  `json:"stack"`
}

// logged returns the log lines with the message.
func (a *api) logged(t *testing.T, message string) []line {
	t.Helper()
	var found []line
	for text := range strings.Lines(a.log.String()) {
		var l line
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatalf("the log has a line that is not JSON: %s", text)
		}
		if l.Message == message {
			found = append(found, l)
		}
	}
	return found
}

func TestErrorMapping(t *testing.T) {
	t.Parallel()
	const secret = "wba_secret"
	tests := map[string]struct {
		fails  func(context.Context) error
		status int
		code   string
		log    string // message of the line that logs the defect
	}{
		"the deadline": {func(context.Context) error { return context.DeadlineExceeded }, 503, "unavailable", ""},
		"a defect":     {func(context.Context) error { return errors.New("boom " + secret) }, 500, "internal", "request failed"},
		"a panic":      {func(context.Context) error { panic("boom " + secret) }, 500, "internal", "panic"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAPI(t, func(o *Options) { o.Measurements = fakeMeasurements(tt.fails) })
			got := response{serve(a, request{method: "GET", path: "/api/metrics", token: adminToken}.http()), t}.want(tt.status)
			if p := got.problem(); p.Code != tt.code || strings.Contains(p.Detail, "boom") {
				t.Errorf("got %+v, want %s and nothing of the cause", p, tt.code)
			}
			if (got.Header().Get("Retry-After") != "") != (tt.status == 503) {
				t.Errorf("Retry-After is %q", got.Header().Get("Retry-After"))
			}
			requests := a.logged(t, "request")
			if len(requests) != 1 || requests[0].Status != tt.status || requests[0].RequestID != got.Header().Get("X-Request-Id") {
				t.Errorf("the log has %+v", requests)
			}
			if tt.log == "" {
				return
			}
			line := a.logged(t, tt.log)
			if len(line) != 1 || line[0].RequestID != got.Header().Get("X-Request-Id") || !strings.Contains(line[0].Error+line[0].Panic, "boom") ||
				(tt.log == "panic") != strings.Contains(line[0].Stack, "fakeMeasurements") {
				t.Errorf("the log tells %+v", line)
			}
			if strings.Contains(a.log.String(), secret) {
				t.Error("the log tells a token")
			}
			if total := a.recorder.Totals(); total.ServerErrors != 1 {
				t.Errorf("recorded are %+v", total)
			}
		})
	}
}

func TestClientGone(t *testing.T) {
	t.Parallel()
	a := newAPI(t, func(o *Options) {
		o.Measurements = fakeMeasurements(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	})
	ctx, leave := context.WithCancel(t.Context())
	leave()
	recorder := httptest.NewRecorder()
	aborted := func() (cause error) {
		defer func() { cause, _ = recover().(error) }()
		a.ServeHTTP(recorder, request{method: "GET", path: "/api/metrics"}.http().WithContext(ctx))
		return nil
	}()
	if !errors.Is(aborted, http.ErrAbortHandler) || recorder.Body.Len() > 0 {
		t.Errorf("got %v and %q, want the connection aborted", aborted, recorder.Body)
	}
	if requests := a.logged(t, "request"); len(requests) != 1 || requests[0].Status != 499 {
		t.Errorf("the log has %+v, want 499", requests)
	}
}

// While the database is unavailable, routes that need it return 503 with Retry-After. The others keep working.
func TestDatabaseOutage(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	if err := w.mailbox.Sync(t.Context()); err != nil { // otherwise polls of new agents query the database
		t.Fatal(err)
	}
	w.db.Close()
	for _, r := range routes {
		want := http.StatusServiceUnavailable
		switch r.Pattern {
		case "/livez", "/readyz", "/api/openapi.yaml", report.PendingRoute, "/api/ai/process-stream", "/api/admin/alerts", "/api/admin/prices":
			want = http.StatusOK
		case "/api/live":
			continue // needs no database, and does not end
		case "/api/session":
			if r.Method == http.MethodPost { // the key is known
				want = http.StatusOK
			}
		case "/v1/metrics":
			want = http.StatusBadRequest
		}
		t.Run(r.Method+" "+r.Pattern, func(t *testing.T) {
			if r.Pattern == report.PendingRoute { // of the agent without pending deployments, which needs no query
				w.send(t, request{method: "GET", path: "/api/deployments/pending/a2", token: w.tokens["a2"]}).want(want)
				return
			}
			got := w.send(t, w.sample(t, r)).want(want)
			if want == http.StatusServiceUnavailable && r.Pattern != "/api/health" && got.Header().Get("Retry-After") == "" {
				t.Error("it does not say when to come again")
			}
		})
	}
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	minted := map[string]bool{}
	for given, taken := range map[string]bool{
		"": false, "abc-DEF_1.2:3": true, strings.Repeat("x", 128): true, strings.Repeat("x", 129): false, "a b": false, "a\"b": false, "ключ": false, "a\nb": false,
	} {
		got := serve(a, request{method: "GET", path: "/livez", header: map[string]string{"X-Request-Id": given}}.http()).Header().Get("X-Request-Id")
		if (got == given) != taken || got == "" {
			t.Errorf("%q: got %q", given, got)
		}
		if !taken && minted[got] {
			t.Errorf("%q was minted twice", got)
		}
		minted[got] = true
	}
}

func TestResponseHeaders(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	agent := a.enroll(t, "a1")
	for _, test := range []struct{ method, path, token, referrer string }{
		{"GET", "/livez", "", "no-referrer"},
		{"GET", "/api/metrics", "", "no-referrer"},
		{"GET", "/nothing", "", "no-referrer"},
		{"PUT", "/livez", "", "no-referrer"},
		{"GET", "/api/agents", "", "no-referrer"},
		{"GET", "/api/agents", adminToken, "no-referrer"},
		{"GET", "/api/agents", agent, "no-referrer"}, // rejected
		{"GET", "/api/deployments/pending/a1", agent, ""},
		{"GET", "/api/deployments/pending/a1?admin_token=" + adminToken, "", "no-referrer"},
		{"GET", "/api/deployments/pending/a1?admin_token=" + adminToken, agent, "no-referrer"},
	} {
		header := serve(a, request{method: test.method, path: test.path, token: test.token}.http()).Header()
		if header.Get("X-Content-Type-Options") != "nosniff" || header.Get("Cache-Control") != "no-store" || header.Get("X-Request-Id") == "" ||
			header.Get("Referrer-Policy") != test.referrer {
			t.Errorf("%s %s: got %v", test.method, test.path, header)
		}
	}
}

// Requests are recorded and logged by their route's pattern; all requests without a route have the same one.
func TestRecording(t *testing.T) {
	t.Parallel()
	w := newFixture(t)
	before := w.recorder.Totals().Requests
	w.send(t, w.sample(t, routes[slices.IndexFunc(routes, func(r endpoint.Route) bool { return strings.HasSuffix(r.Pattern, "/status") })])).want(http.StatusOK)
	w.send(t, request{method: "GET", path: "/secret/path?admin_token=t0p", token: adminToken}).want(http.StatusNotFound)
	w.send(t, request{method: "DELETE", path: "/livez", token: w.tokens["a2"]}).want(http.StatusMethodNotAllowed)
	if after := w.recorder.Totals().Requests; after != before+3 {
		t.Errorf("%d requests are recorded, want 3", after-before)
	}
	lines := w.logged(t, "request")
	lines = lines[len(lines)-3:]
	if l := lines[0]; l.Route != "/api/deployments/{deployment_id}/status" || l.AgentID != "a1" || l.BytesIn != int64(len(`{"attempt":1,"claim":"c","status":"running"}`)) {
		t.Errorf("got %+v", l)
	}
	for _, l := range lines[1:] {
		if l.Route != metrics.UnmatchedRoute || strings.Contains(l.Path, "t0p") {
			t.Errorf("got %+v", l)
		}
	}
}

// After a panic a partial response must not look complete to the client.
func TestPartialResponse(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	place, _ := a.root.find("/livez")
	place.methods["GET"].Serve = func(x *endpoint.Exchange) error {
		_, _ = x.Write([]byte("half"))
		panic("boom")
	}
	server := httptest.NewServer(a)
	defer server.Close()
	resp, err := server.Client().Get(server.URL + "/livez")
	if err == nil {
		defer resp.Body.Close()
		var problem openapi.Problem
		err = json.NewDecoder(resp.Body).Decode(&problem)
	}
	if err == nil {
		t.Error("the answer ended as if it were whole")
	}
}
