package server

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/server/endpoint"
)

// A caller that may not use a route is rejected before anything else in the request is checked.
func TestAccess(t *testing.T) {
	eachRoute(t, func(t *testing.T, w *fixture, r endpoint.Route) {
		const none, unknown, agentLike, another = "-", "nobody's", "wba_nobody's", "a2"
		want := map[endpoint.Access]map[string]int{
			endpoint.Admin:        {none: 403, unknown: 403, agentLike: 403, another: 403, enrollmentToken: 403, ingestToken: 403},
			endpoint.Reporter:     {none: 403, unknown: 403, agentLike: 403, another: 403, enrollmentToken: 403, ingestToken: 403},
			endpoint.TokenIssuer:  {none: 403, unknown: 403, agentLike: 403, another: 403, enrollmentToken: 403, ingestToken: 403},
			endpoint.SignedIn:     {none: 401, unknown: 401, agentLike: 401, another: 401, enrollmentToken: 401, ingestToken: 401, adminToken: 401},
			endpoint.LogReader:    {none: 401, unknown: 401, agentLike: 401, enrollmentToken: 403, another: 403, ingestToken: 403},
			endpoint.Enroller:     {none: 401, unknown: 401, agentLike: 401, another: 403, ingestToken: 403},
			endpoint.AgentOnly:    {none: 401, unknown: 401, agentLike: 401, enrollmentToken: 403, adminToken: 403, another: 403, ingestToken: 403},
			endpoint.AgentOrAdmin: {none: 401, unknown: 401, agentLike: 401, enrollmentToken: 403, another: 403, ingestToken: 403},
			endpoint.Ingester:     {none: 401, unknown: 401, agentLike: 401, enrollmentToken: 403, adminToken: 403, another: 403},
			endpoint.Exporter:     {none: 401, unknown: 401, agentLike: 401, enrollmentToken: 403, adminToken: 403, another: 403},
		}[r.Access]
		for token, status := range want {
			bad := w.sample(t, r)
			bad.token, bad.header = token, nil
			if token == another {
				bad.token = w.tokens["a2"]
			}
			before := w.recorder.Totals().Requests
			got := w.send(t, bad).want(status)
			counted := map[bool]uint64{true: 1}[token != none && token != unknown && token != agentLike]
			if after := w.recorder.Totals().Requests; after != before+counted {
				t.Errorf("%s: %d requests count as a known caller's, want %d", token, after-before, counted)
			}
			if challenge := got.Header().Get("WWW-Authenticate"); (challenge != "") != (status == http.StatusUnauthorized) {
				t.Errorf("%s: WWW-Authenticate is %q", token, challenge)
			}
			if token == another {
				continue // may be detected only after the request was read
			}
			bad.path, _, _ = strings.Cut(bad.path, "?")
			bad.path, bad.body, bad.contentType = bad.path+"?nonsense=1", "nonsense", "nonsense"
			w.send(t, bad).want(status)
		}
	})
}

func TestAdminTokens(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	tests := map[string]struct {
		path   string
		header map[string]string
		want   int
	}{
		"bearer":             {"/api/agents", map[string]string{"Authorization": "Bearer " + adminToken}, 200},
		"another case":       {"/api/agents", map[string]string{"Authorization": "bearer  " + adminToken + " "}, 200},
		"an older token":     {"/api/agents", map[string]string{"Authorization": "Bearer an older one"}, 200},
		"both at once":       {"/api/agents", map[string]string{"Authorization": "Bearer an older one, " + adminToken}, 403},
		"basic":              {"/api/agents", map[string]string{"Authorization": "Basic " + adminToken}, 403},
		"no scheme":          {"/api/agents", map[string]string{"Authorization": adminToken}, 403},
		"header":             {"/api/agents", map[string]string{"X-Admin-Token": adminToken}, 200},
		"a wrong header":     {"/api/agents", map[string]string{"X-Admin-Token": adminToken + "x"}, 403},
		"an empty header":    {"/api/agents", map[string]string{"X-Admin-Token": ""}, 403},
		"query":              {"/api/agents?admin_token=" + url.QueryEscape(adminToken), nil, 200},
		"query and others":   {"/api/agents?limit=5&admin_token=" + url.QueryEscape(adminToken), nil, 200},
		"a wrong query":      {"/api/agents?admin_token=x", nil, 403},
		"an empty query":     {"/api/agents?admin_token=", nil, 403},
		"one right of three": {"/api/agents?admin_token=x", map[string]string{"Authorization": "Bearer x", "X-Admin-Token": adminToken}, 200},
		"where none is due":  {"/api/metrics?admin_token=x", nil, 200},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a.send(t, request{method: "GET", path: tt.path, header: tt.header}).want(tt.want)
		})
	}
	if log := a.log.String(); strings.Contains(log, url.QueryEscape(adminToken)) || strings.Contains(log, adminToken) {
		t.Errorf("a token is in the log:\n%s", log)
	}
}

// If the parameter is turned off, admin endpoints accept the token only in headers. The token is still not logged.
func TestAdminTokenParameterTurnedOff(t *testing.T) {
	t.Parallel()
	a := newAPI(t, func(o *Options) { o.NoAdminTokenParameter = true })
	query := "?admin_token=" + url.QueryEscape(adminToken)
	for name, tt := range map[string]struct {
		path   string
		header map[string]string
		want   int
	}{
		"query":             {"/api/agents" + query, nil, 403},
		"bearer":            {"/api/agents", map[string]string{"Authorization": "Bearer " + adminToken}, 200},
		"header":            {"/api/agents", map[string]string{"X-Admin-Token": adminToken}, 200},
		"header and query":  {"/api/agents" + query, map[string]string{"X-Admin-Token": adminToken}, 200},
		"where none is due": {"/api/metrics" + query, nil, 200},
	} {
		t.Run(name, func(t *testing.T) {
			a.send(t, request{method: "GET", path: tt.path, header: tt.header}).want(tt.want)
		})
	}
	if log := a.log.String(); strings.Contains(log, url.QueryEscape(adminToken)) || strings.Contains(log, adminToken) {
		t.Errorf("a token is in the log:\n%s", log)
	}
}

func TestUnsetTokensDisableTheirEndpoints(t *testing.T) {
	t.Parallel()
	a := newAPI(t, func(o *Options) { o.AdminTokens, o.Grants, o.IngestTokens = " , ", grants(t, ""), "," })
	for _, token := range []string{"-", "", ",", "x"} {
		a.send(t, request{method: "GET", path: "/api/agents", token: token}).want(http.StatusForbidden)
		a.send(t, request{method: "GET", path: "/api/agents?admin_token=" + token}).want(http.StatusForbidden)
		a.send(t, request{method: "POST", path: "/api/agents", token: token, body: `{"name":"n"}`}).want(http.StatusUnauthorized)
		a.send(t, request{method: "POST", path: "/api/executions", token: token, body: `{}`}).want(http.StatusUnauthorized)
		a.send(t, request{method: "POST", path: "/v1/traces", token: token, body: `{}`}).want(http.StatusUnauthorized)
	}
	closed := a.Closed()
	if len(closed) != 3 || closed[0].Variable != "ADMIN_TOKEN" || !slices.Contains(closed[0].Routes, "POST /api/reports") ||
		closed[1].Variable != "ENROLLMENT_TOKEN" || !slices.Equal(closed[1].Routes, []string{"POST /api/agents"}) ||
		closed[2].Variable != "INGEST_TOKEN" || !slices.Contains(closed[2].Routes, "POST /api/executions") || !slices.Contains(closed[2].Routes, "POST /v1/traces") {
		t.Errorf("got %+v", closed)
	}
	if open := newAPI(t, nil).Closed(); len(open) != 0 {
		t.Errorf("with all tokens set, closed are %+v", open)
	}
}
