package server

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/server/input"
	"github.com/watchbill/watchbill/internal/server/problem"
)

// The tests in this file and in badbody_test.go are driven by the table of routes and by the OpenAPI document: a new
// route, parameter or field is tested without a change here, except that each route needs a sample of a valid request.

// fixture is an API with some data, and a valid request for each route.
type fixture struct {
	*api
	tokens  map[string]string // of agents a1 and a2
	samples map[string]request
	session map[string]string // headers of a request with a session
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	w := &fixture{api: newAPI(t, nil), tokens: map[string]string{}}
	for _, agent := range []string{"a1", "a2"} {
		w.tokens[agent] = w.enroll(t, agent)
	}
	created := w.deploy(t, "a1")
	w.session = w.signIn(t, adminToken).header()
	deployment, group := "/api/deployments/"+created.Deployments[0].ID, "/api/deployment-groups/"+created.GroupID
	w.samples = map[string]request{
		"POST /api/agents":                              {path: "/api/agents", body: `{"name":"n","labels":{"k":"v"},"poll_interval_seconds":10}`},
		"GET /api/agents":                               {path: "/api/agents"},
		"GET /api/agents/{agent_id}":                    {path: "/api/agents/a1"},
		"DELETE /api/agents/{agent_id}":                 {path: "/api/agents/a1"},
		"POST /api/agents/{agent_id}/token":             {path: "/api/agents/a1/token"},
		"POST /api/deployments":                         {path: "/api/deployments", body: `{"agent_ids":["a1"],"name":"n","spec":{"k":"v"}}`},
		"GET /api/deployments":                          {path: "/api/deployments"},
		"GET /api/deployments/{deployment_id}":          {path: deployment},
		"POST /api/deployments/{deployment_id}/cancel":  {path: deployment + "/cancel"},
		"GET /api/deployment-groups/{group_id}":         {path: group},
		"POST /api/deployment-groups/{group_id}/cancel": {path: group + "/cancel"},
		"GET /api/deployments/pending/{agent_id}":       {path: "/api/deployments/pending/a1"},
		"POST /api/deployments/{deployment_id}/status":  {path: deployment + "/status", body: `{"attempt":1,"claim":"c","status":"running"}`},
		"POST /api/deployments/{deployment_id}/logs":    {path: deployment + "/logs?attempt=1&offset=0", body: "line\n", contentType: "text/plain"},
		"GET /api/deployments/{deployment_id}/logs":     {path: deployment + "/logs"},
		"GET /api/health":                               {path: "/api/health"},
		"GET /livez":                                    {path: "/livez"},
		"GET /readyz":                                   {path: "/readyz"},
		"GET /api/metrics":                              {path: "/api/metrics"},
		"GET /api/metrics/pending-deployments":          {path: "/api/metrics/pending-deployments"},
		"GET /api/openapi.yaml":                         {path: "/api/openapi.yaml"},
		"POST /api/session":                             {path: "/api/session", body: `{"token":"` + adminToken + `"}`},
		"GET /api/live":                                 {path: "/api/live"},
		"GET /api/session":                              {path: "/api/session"},
		"DELETE /api/session":                           {path: "/api/session"},
		"POST /api/reports":                             {path: "/api/reports", body: `{"name":"n","sections":["summary"],"objectives":[{"name":"x","errorRate":{"max":"0.1"}}]}`},
		"GET /api/reports":                              {path: "/api/reports"},
		"GET /api/reports/{report_id}":                  {path: "/api/reports/0197a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"},
		"POST /api/executions":                          {path: "/api/executions", body: `{"executions":[{"user_id":"u","agent_name":"a","status":"success"}]}`},
		"POST /api/ai/process-stream":                   {path: "/api/ai/process-stream", body: `{"type":"t","user_id":"u","message":"m","options":{"k":1}}`},
		"POST /v1/logs": {path: "/v1/logs", body: `{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"eventName":"gen_ai.choice","traceId":"4bf92f3577b34da6a3ce929d0e0e4736",` +
			`"spanId":"00f067aa0ba902b7","body":{"stringValue":"ho"}}]}]}]}`},
		"POST /v1/traces":                          {path: "/v1/traces", body: inference("s", time.Now())},
		"POST /v1/metrics":                         {path: "/v1/metrics"},
		"GET /api/admin/metrics":                   {path: "/api/admin/metrics"},
		"GET /api/admin/errors":                    {path: "/api/admin/errors"},
		"GET /api/admin/user-activity/{user_id}":   {path: "/api/admin/user-activity/u"},
		"GET /api/admin/users":                     {path: "/api/admin/users"},
		"GET /api/admin/adoption":                  {path: "/api/admin/adoption"},
		"GET /api/events":                          {path: "/api/events"},
		"GET /api/metrics/series":                  {path: "/api/metrics/series?hours=2"},
		"GET /api/admin/metrics/series":            {path: "/api/admin/metrics/series?group_by=agent"},
		"GET /api/admin/costs":                     {path: "/api/admin/costs"},
		"GET /api/admin/executions":                {path: "/api/admin/executions?agent=a"},
		"GET /api/admin/executions/{execution_id}": {path: "/api/admin/executions/e"},
		"DELETE /api/admin/users/{user_id}":        {path: "/api/admin/users/u"},
		"GET /api/admin/alerts":                    {path: "/api/admin/alerts"},
		"GET /api/admin/prices":                    {path: "/api/admin/prices?model=gpt-4o"},
		"GET /api/admin/replicas":                  {path: "/api/admin/replicas"},
		"GET /api/admin/database":                  {path: "/api/admin/database"},
		"GET /api/admin/names":                     {path: "/api/admin/names"},
		"DELETE /api/admin/names/agent/{name}":     {path: "/api/admin/names/agent/n"},
		"DELETE /api/admin/names/model/{name}":     {path: "/api/admin/names/model/n"},
	}
	return w
}

// sample returns a valid request for a route, with a token that may use it.
func (w *fixture) sample(t testing.TB, r endpoint.Route) request {
	t.Helper()
	good, ok := w.samples[r.Method+" "+r.Pattern]
	if !ok {
		t.Fatalf("no sample of a good request to %s %s: add one to newFixture", r.Method, r.Pattern)
	}
	good.method = r.Method
	switch r.Access {
	case endpoint.SignedIn:
		good.header = w.session
	case endpoint.Admin, endpoint.TokenIssuer, endpoint.Enroller, endpoint.Reporter:
		good.token = adminToken
	case endpoint.AgentOnly, endpoint.AgentOrAdmin, endpoint.LogReader:
		good.token = w.tokens["a1"]
	case endpoint.Ingester, endpoint.Exporter:
		good.token = ingestToken
	}
	return good
}

// contents returns a digest of everything in the database that a request could have changed.
func (w *fixture) contents(t testing.TB) string {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), w.url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	var all strings.Builder
	for _, table := range []string{"agents", "deployments", "deployment_attempts", "deployment_logs", "idempotency_keys", "reports"} {
		var sum string
		sql := fmt.Sprintf("SELECT count(*) || ' ' || COALESCE(md5(string_agg(r::text, ',' ORDER BY r::text)), '') FROM %s r", table)
		if err := conn.QueryRow(context.Background(), sql).Scan(&sum); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "%s %s\n", table, sum)
	}
	fmt.Fprintf(&all, "executions %d\n", w.stored(t))
	return all.String()
}

// eachRoute runs a test for each route against one fixture, whose data the test must not change.
func eachRoute(t *testing.T, test func(t *testing.T, w *fixture, r endpoint.Route)) {
	t.Parallel()
	w := newFixture(t)
	before := w.contents(t)
	for _, r := range routes {
		t.Run(r.Method+" "+r.Pattern, func(t *testing.T) { test(t, w, r) })
	}
	if after := w.contents(t); after != before {
		t.Errorf("a refused request changed something:\n%s\nbecame\n%s", before, after)
	}
}

// refused sends a request and fails the test unless it is rejected with the status and a problem that names the field.
func (w *fixture) refused(t *testing.T, r request, status int, field string) {
	t.Helper()
	p := w.send(t, r).want(status).problem()
	if p.Field != field {
		t.Errorf("%s %s %s: the field at fault is called %q, want %q (%s)", r.method, problem.Clip(r.path), problem.Clip(r.body), p.Field, field, p.Detail)
	}
}

func TestWrongMethods(t *testing.T) {
	eachRoute(t, func(t *testing.T, w *fixture, r endpoint.Route) {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "NONSENSE"} {
			if slices.ContainsFunc(routes, func(other endpoint.Route) bool { return other.Method == method && other.Pattern == r.Pattern }) {
				continue
			}
			bad := w.sample(t, r)
			bad.method = method
			got := w.send(t, bad).want(http.StatusMethodNotAllowed)
			if allow := got.Header().Get("Allow"); !strings.Contains(allow, r.Method) {
				t.Errorf("%s: Allow is %q", method, allow)
			}
		}
	})
}

func TestUnknownPaths(t *testing.T) {
	eachRoute(t, func(t *testing.T, w *fixture, r endpoint.Route) {
		good := w.sample(t, r)
		path, query, _ := strings.Cut(good.path, "?")
		for _, bad := range []string{
			path + "/", path + "//", "/" + path, strings.Replace(path, "/", "//", 2), path + "/.", path + "/../x", "/." + path,
			path + "/nothing/here", path + "%2F", path + "%2f..", strings.ToUpper(path), path + "%00", path + ";x=1",
			"/" + strings.Repeat("x", 10_000), path + "/" + strings.Repeat("y", 10_000),
		} {
			if strings.HasSuffix(r.Pattern, "{user_id}") && strings.HasPrefix(bad, path) && !strings.Contains(bad[len(path):], "/") && !strings.HasSuffix(bad, "%00") {
				continue // a valid user id
			}
			request := good
			request.path = bad + "?" + query
			got := w.send(t, request)
			if got.Code < 400 || got.Code >= 500 {
				t.Errorf("%s: got %d, want 4xx", problem.Clip(bad), got.Code)
			}
			if got.Header().Get("Location") != "" {
				t.Errorf("%s: redirected", problem.Clip(bad))
			}
		}
	})
}

func TestBadPathParameters(t *testing.T) {
	eachRoute(t, func(t *testing.T, w *fixture, r endpoint.Route) {
		before, rest, found := strings.Cut(r.Pattern, "{")
		if !found {
			return // the path has no parameter
		}
		name, after, _ := strings.Cut(rest, "}")
		bad := []string{"a\x00b", "a\xffb", "a\nb", strings.Repeat("x", 257), strings.Repeat("x", 10_000)}
		anything := name == "user_id" || name == "name" || name == "execution_id"
		if name == "name" || name == "execution_id" {
			bad = append(bad, strings.Repeat("x", 129))
		}
		if !anything {
			bad = append(bad, "a b", "a/b", "/", "..", ".", "ключ", "-a", "a%b", "*", "'; DROP TABLE agents; --", strings.Repeat("a", 129))
		}
		if name != "agent_id" && !anything {
			bad = append(bad, "1", "a1", "0197a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1", "0197a1b27c3d7e4f8a5b6c7d8e9f0a1b",
				"{0197a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b}", "urn:uuid:0197a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b", "0197a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1g")
		}
		_, query, _ := strings.Cut(w.sample(t, r).path, "?")
		for _, id := range bad {
			request := w.sample(t, r)
			request.path = before + url.PathEscape(id) + after + "?" + query
			w.refused(t, request, http.StatusBadRequest, name)
		}
		if name == "user_id" { // an unknown user is not an error
			return
		}
		request := w.sample(t, r)
		if r.Access == endpoint.AgentOrAdmin || r.Access == endpoint.LogReader {
			request.token = adminToken
		}
		request.path = before + "0197a1b2-0000-7e4f-8a5b-6c7d8e9f0a1b" + after + "?" + query
		w.send(t, request).want(http.StatusNotFound)
	})
}

func TestBadQueryParameters(t *testing.T) {
	eachRoute(t, func(t *testing.T, w *fixture, r endpoint.Route) {
		with := func(query string) request {
			bad := w.sample(t, r)
			path, own, _ := strings.Cut(bad.path, "?")
			bad.path = path + "?" + query
			if values, err := url.ParseQuery(query); err == nil { // add the sample's other parameters
				for _, pair := range strings.Split(own, "&") {
					if name, _, _ := strings.Cut(pair, "="); own != "" && !values.Has(name) {
						bad.path += "&" + pair
					}
				}
			}
			return bad
		}
		if r.Access == endpoint.Exporter {
			return // the protocol does not define query parameters
		}
		operation := contract().Paths.Value(r.Pattern).GetOperation(r.Method)
		if operation.Responses.Status(http.StatusBadRequest) == nil {
			w.send(t, with("nonsense=1")).want(http.StatusOK)
			return
		}
		w.refused(t, with("nonsense=1"), http.StatusBadRequest, "nonsense")
		w.refused(t, with("=1"), http.StatusBadRequest, "")
		for _, malformed := range []string{"a;b", "%zz=1", "x=%", "%00=1&%gg"} {
			w.send(t, with(malformed)).want(http.StatusBadRequest)
		}
		for _, p := range operation.Parameters {
			if p.Value.In != "query" {
				continue
			}
			name := p.Value.Name
			for _, value := range badValues(p.Value) {
				w.refused(t, with(name+"="+url.QueryEscape(value)), http.StatusBadRequest, name)
			}
			w.refused(t, with(name+"=1&"+name+"=1"), http.StatusBadRequest, name)
			if p.Value.Required {
				bad := with("")
				bad.path = strings.Replace(bad.path, name+"=", "x"+name+"=", 1)
				w.refused(t, bad, http.StatusBadRequest, name)
			}
		}
	})
}

// badValues returns values that a parameter's schema does not allow.
func badValues(p *openapi3.Parameter) []string {
	schema := p.Schema.Value
	bad := []string{"", "\x00", "\xff"}
	switch {
	case schema.Type.Is("integer"):
		bad = append(bad, "abc", "-1", "1.5", "1e9", "0x10", " 1", "1 ", "99999999999999999999", "-99999999999999999999", "NaN", "١")
		if schema.Min != nil {
			bad = append(bad, fmt.Sprintf("%.0f", *schema.Min-1))
		}
		if schema.Max != nil {
			bad = append(bad, fmt.Sprintf("%.0f", *schema.Max+1))
		}
	case len(schema.Enum) > 0:
		bad = append(bad, "nonsense", strings.ToUpper(fmt.Sprint(schema.Enum[0])), fmt.Sprint(schema.Enum[0])+" ")
	case p.Name == "cursor":
		good := input.NewList("agents", "", "").Cursor("a1")
		bad = append(bad, "x", "====", good[1:], good[:len(good)-1], "B"+good[1:], good+"A", strings.Repeat("A", 5000),
			input.NewList("others").Cursor("a1"), input.NewList("agents", "", "").Cursor("a b"))
	case p.Name == "wait":
		bad = append(bad, "61s", "2h", "-1s", "1", "soon", "9999999999h", "1e3s", "NaNs")
	case p.Name == "label":
		bad = append(bad, "=", "a=b=c", "a in", "a b", "-a=1", "a="+strings.Repeat("x", 64), strings.Repeat("a,", 4000))
	case p.Name == "time_zone":
		bad = append(bad, "Local", "localtime", "Mars/Olympus_Mons", "utc+1", "../../etc/passwd", "/etc/localtime", "Europe", "zone.tab", strings.Repeat("a/", 5000))
	case p.Name == "namespace":
		bad = append(bad, "-", "-a", "a-", "a.b", "a b", "A", "a/b", "ключ", strings.Repeat("a", 64))
	case p.Name == "name":
		bad = append(bad, "a\nb", "a\u202eb", strings.Repeat("é", 101))
	case p.Name == "agent_id":
		bad = append(bad, "a b", "a/b", "ключ", strings.Repeat("a", 129))
	}
	return bad
}
