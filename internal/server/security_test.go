package server

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/observe/logging"
	"github.com/watchbill/watchbill/internal/server/connections"
)

// securityEvents returns the lines of the security log.
func (a *api) securityEvents(t *testing.T) []map[string]any {
	t.Helper()
	var events []map[string]any
	for text := range strings.Lines(a.log.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("the log has a line that is not JSON: %s", text)
		}
		if line["logger"] == "watchbill.security" {
			events = append(events, line)
		}
	}
	return events
}

func TestSecurityEvents(t *testing.T) {
	t.Parallel()
	a := newAPI(t, func(o *Options) {
		var err error
		if o.TrustedProxies, err = connections.ParseTrustedProxies([]string{"192.0.2.0/24"}); err != nil { // httptest's clients
			t.Fatal(err)
		}
	})
	forwarded := map[string]string{"X-Forwarded-For": "203.0.113.7", "X-Request-Id": "the-request"}
	send := func(method, path, token, body string, want int) response {
		return a.send(t, request{method: method, path: path, token: token, body: body, header: forwarded}).want(want)
	}
	send("POST", "/api/agents", enrollmentToken, `{"id":"edge-1","name":"Edge"}`, http.StatusCreated)
	send("POST", "/api/agents", enrollmentToken, `{"id":"edge-1","name":"Edge"}`, http.StatusConflict)
	send("POST", "/api/agents", adminToken, `{"id":"edge-2","name":"Edge"}`, http.StatusCreated)
	send("POST", "/api/agents/edge-1/token", adminToken, "", http.StatusOK)

	var created openapi.CreatedDeployments
	for range 2 { // the second request receives the first one's response
		forwarded["Idempotency-Key"] = "once"
		send("POST", "/api/deployments", adminToken, `{"agent_ids":["edge-1","edge-2"],"name":"app","spec":{}}`, http.StatusCreated).decode(&created)
		delete(forwarded, "Idempotency-Key")
	}
	deployment := created.Deployments[0].ID
	send("POST", "/api/deployments/"+deployment+"/cancel", adminToken, "", http.StatusOK)
	send("POST", "/api/deployment-groups/"+created.GroupID+"/cancel", adminToken, "", http.StatusOK)
	send("GET", "/api/admin/user-activity/ada", adminToken, "", http.StatusOK)
	send("DELETE", "/api/admin/users/ada", adminToken, "", http.StatusOK)
	send("POST", "/api/reports", adminToken, `{"hours":1}`, http.StatusCreated)
	send("DELETE", "/api/agents/edge-2", adminToken, "", http.StatusNoContent)
	send("DELETE", "/api/agents/edge-2", adminToken, "", http.StatusNotFound)
	send("DELETE", "/api/agents/edge-1", "wrong", "", http.StatusForbidden)

	admin, user := "admin", logging.Fingerprint("ada")
	want := []map[string]any{
		{"event": "agent.enrolled", "actor": "enrollment", "actor_id": logging.Fingerprint(enrollmentToken), "agent_id": "edge-1"},
		{"event": "agent.enrolled", "actor": admin, "agent_id": "edge-2"},
		{"event": "agent.token_rotated", "actor": admin, "agent_id": "edge-1"},
		{"event": "deployment.created", "actor": admin, "group_id": created.GroupID, "deployments": 2.0},
		{"event": "deployment.cancelled", "actor": admin, "deployment_id": deployment},
		{"event": "deployment_group.cancelled", "actor": admin, "group_id": created.GroupID, "cancelled": 2.0},
		{"event": "user_data.read", "actor": admin, "user_fingerprint": user},
		{"event": "user.erased", "actor": admin, "user_fingerprint": user, "executions": 0.0},
		{"event": "report.created", "actor": admin, "namespace": nil},
		{"event": "agent.deleted", "actor": admin, "agent_id": "edge-2"},
	}
	got := a.securityEvents(t)
	if len(got) != len(want) {
		t.Fatalf("%d events, want %d: %v", len(got), len(want), got)
	}
	for i, fields := range want {
		fields["remote"], fields["request_id"] = "203.0.113.7", "the-request"
		for name, value := range fields {
			if got[i][name] != value {
				t.Errorf("event %d: %s is %v, want %v: %v", i, name, got[i][name], value, got[i])
			}
		}
	}
}

// A flood of enrollments by one client writes a limited number of lines.
func TestEnrolmentFlood(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	for range 200 {
		a.send(t, request{method: "POST", path: "/api/agents", token: enrollmentToken, body: `{"name":"Edge"}`}).want(http.StatusCreated)
	}
	if got := len(a.securityEvents(t)); got < 60 || got > 120 { // a minute may have ended in between
		t.Errorf("%d events of 200 enrolments, want 60 a minute", got)
	}
}

// Rejected requests without a token are sampled in the log; those of an agent each have a line.
func TestRefusedRequestsAreSampled(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	token := a.enroll(t, "edge-1")
	const each, ofAgent = 300, 40 // 40 is few enough to have a line each
	for range each {
		for _, r := range []request{
			{method: "GET", path: "/api/agents"},
			{method: "GET", path: "/nowhere"},
			{method: "PUT", path: "/livez"},
			{method: "GET", path: "/livez"},
			{method: "GET", path: "/api/deployments/pending/edge-1"},
			{method: "POST", path: "/api/executions", body: "{}"},
		} {
			a.send(t, r)
		}
	}
	for range ofAgent {
		a.send(t, request{method: "GET", path: "/api/deployments/pending/edge-2", token: token}).want(http.StatusForbidden)
	}
	lines := map[string]int{}
	for _, l := range a.logged(t, "request") {
		lines[l.Route+" "+http.StatusText(l.Status)]++
	}
	if got := lines["/api/deployments/pending/{agent_id} Forbidden"]; got != ofAgent {
		t.Errorf("%d lines for %d requests of an authenticated agent", got, ofAgent)
	}
	delete(lines, "/api/deployments/pending/{agent_id} Forbidden")
	total := 0
	for _, n := range lines {
		total += n
	}
	if total > 6*each/4 {
		t.Errorf("%d lines for %d requests without a token: %v", total, 6*each, lines)
	}
}

// No line of the log contains a user's id, whatever the request.
func TestLogsHideUsers(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		pseudonym func(string) string
		user      string // as shown in the log
	}{
		"fingerprints": {nil, logging.Fingerprint("ada")},
		"pseudonyms":   {func(id string) string { return "p_" + strings.ToUpper(id)[:1] }, "p_A"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newAPI(t, func(o *Options) { o.Pseudonym = tt.pseudonym })
			a.send(t, request{method: "GET", path: "/api/admin/user-activity/ada?limit=2", token: adminToken}).want(http.StatusOK)
			a.send(t, request{method: "DELETE", path: "/api/admin/users/ada", token: adminToken}).want(http.StatusOK)
			a.send(t, request{method: "DELETE", path: "/api/admin/users/ada", token: "wrong"}).want(http.StatusForbidden)
			if tt.pseudonym != nil {
				a.send(t, request{method: "GET", path: "/api/admin/errors?user_id=ada", token: adminToken}).want(http.StatusBadRequest)
				a.send(t, request{method: "GET", path: "/api/admin/user/ada", token: adminToken}).want(http.StatusNotFound)
			}
			log := a.log.String()
			if strings.Contains(log, "ada") {
				t.Errorf("the log names the user: %s", log)
			}
			for _, want := range []string{`"path":"/api/admin/user-activity/` + tt.user + `"`, `"path":"/api/admin/users/` + tt.user + `"`, `"user_fingerprint":"` + tt.user + `"`} {
				if !strings.Contains(log, want) {
					t.Errorf("want %s in the log, got %s", want, log)
				}
			}
		})
	}
}
