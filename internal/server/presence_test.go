package server

import (
	"net/http"
	"testing"

	"github.com/watchbill/watchbill/api/openapi"
)

// TestAgentThatJustPolledIsOnline lists an agent right after its first poll, before the time of the poll is written to
// the database.
func TestAgentThatJustPolledIsOnline(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	token := a.enroll(t, "a1")
	states := func(query string) (all []openapi.AgentState) {
		t.Helper()
		var page openapi.AgentList
		a.send(t, request{method: "GET", path: "/api/agents" + query, token: adminToken}).want(http.StatusOK).decode(&page)
		for _, agent := range page.Agents {
			all = append(all, agent.State)
			if (agent.State == openapi.AgentStateOnline) == agent.LastSeenAt.IsZero() {
				t.Errorf("%s, but last seen at %s", agent.State, agent.LastSeenAt)
			}
		}
		return all
	}
	if got := states(""); len(got) != 1 || got[0] != openapi.AgentStateOffline {
		t.Fatalf("before the first poll: got %q", got)
	}
	a.send(t, request{method: "GET", path: "/api/deployments/pending/a1", token: token}).want(http.StatusOK)
	if got := states(""); len(got) != 1 || got[0] != openapi.AgentStateOnline {
		t.Errorf("after the first poll: got %q", got)
	}
	if got := states("?state=online"); len(got) != 1 {
		t.Errorf("of those online: got %q", got)
	}
	if got := states("?state=offline"); len(got) != 0 {
		t.Errorf("of those offline: got %q", got)
	}
	var one openapi.Agent
	a.send(t, request{method: "GET", path: "/api/agents/a1", token: adminToken}).want(http.StatusOK).decode(&one)
	if one.State != openapi.AgentStateOnline || one.LastSeenAt.IsZero() {
		t.Errorf("got %s, last seen at %s", one.State, one.LastSeenAt)
	}
}
