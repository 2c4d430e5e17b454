package server

import (
	"net/http"
	"strings"
	"testing"
)

// A caller with a valid token of another kind is shown which token the route needs.
func TestRefusalsNameTheTokenThatIsNeeded(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	for _, tt := range []struct{ method, path, token, want string }{
		{"POST", "/api/executions", adminToken, "this needs the ingest token (INGEST_TOKEN of the server), not the admin token"},
		{"POST", "/api/agents", ingestToken, "this needs an enrollment token (ENROLLMENT_TOKEN of the server) or the admin token, not the ingest token"},
	} {
		got := a.send(t, request{method: tt.method, path: tt.path, token: tt.token, body: "{}"})
		if got.Code != http.StatusForbidden || !strings.Contains(got.Body.String(), tt.want) {
			t.Errorf("%s %s: want 403 and %q, got %d %s", tt.method, tt.path, tt.want, got.Code, got.Body)
		}
	}
}

// Responses of open routes do not include the database's queries and their durations.
func TestQueriesAreForAdministrators(t *testing.T) {
	t.Parallel()
	a := newAPI(t, func(o *Options) { o.Measurements = measured{} })
	for _, path := range []string{"/api/metrics", "/api/metrics/pending-deployments"} {
		for _, token := range []string{"", ingestToken} {
			got := a.send(t, request{method: "GET", path: path, token: token})
			if got.Code != http.StatusOK || !strings.Contains(got.Body.String(), `"queries":[]`) {
				t.Errorf("%s with token %q: want no queries, got %d %s", path, token, got.Code, got.Body)
			}
		}
	}
}
