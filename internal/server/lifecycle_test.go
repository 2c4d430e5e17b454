package server

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/fleet"
)

func TestAgents(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	enroll := func(token, body string) response {
		return a.send(t, request{method: "POST", path: "/api/agents", token: token, body: body})
	}

	var agent openapi.EnrolledAgent
	enroll(enrollmentToken, `{"id":"a1","name":"A 1","labels":{"region":"eu"},"poll_interval_seconds":30,"version":"1.2"}`).
		want(http.StatusCreated).decode(&agent)
	if agent.ID != "a1" || agent.PollIntervalSeconds != 30 || agent.Labels["region"] != "eu" || agent.State != "offline" ||
		agent.Version != "1.2" || !strings.HasPrefix(agent.Token, fleet.TokenPrefix) {
		t.Errorf("got %+v", agent)
	}
	if p := enroll(adminToken, `{"id":"a1","name":"again"}`).want(http.StatusConflict).problem(); p.Code != "agent_exists" || p.Field != "id" {
		t.Errorf("got %+v, want agent_exists of id", p)
	}
	var minted openapi.EnrolledAgent
	enroll("an older one", `{"name":"no id"}`).want(http.StatusCreated).decode(&minted)
	if _, err := uuid.Parse(minted.ID); err != nil || minted.PollIntervalSeconds != 10 {
		t.Errorf("got %+v, want a minted id and the usual interval", minted)
	}

	// The token is valid on this replica at once, until it is rotated or the agent is deleted.
	poll := func(token string) int {
		return a.send(t, request{method: "GET", path: "/api/deployments/pending/a1", token: token}).Code
	}
	if got := poll(agent.Token); got != http.StatusOK {
		t.Errorf("the new token returned %d", got)
	}
	var rotated openapi.EnrolledAgent
	a.send(t, request{method: "POST", path: "/api/agents/a1/token", token: adminToken}).want(http.StatusOK).decode(&rotated)
	if was, is := poll(agent.Token), poll(rotated.Token); was != http.StatusUnauthorized || is != http.StatusOK {
		t.Errorf("after a rotation: the old token %d, the new %d", was, is)
	}
	var got openapi.Agent
	a.send(t, request{method: "GET", path: "/api/agents/a1", token: adminToken}).want(http.StatusOK).decode(&got)
	if got.Name != "A 1" {
		t.Errorf("got %+v", got)
	}
	a.send(t, request{method: "DELETE", path: "/api/agents/a1", token: adminToken}).want(http.StatusNoContent)
	a.send(t, request{method: "GET", path: "/api/agents/a1", token: adminToken}).want(http.StatusNotFound)
	a.send(t, request{method: "DELETE", path: "/api/agents/a1", token: adminToken}).want(http.StatusNotFound)
	a.send(t, request{method: "POST", path: "/api/agents/a1/token", token: adminToken}).want(http.StatusNotFound)
	if got := poll(rotated.Token); got != http.StatusUnauthorized {
		t.Errorf("a deleted agent's token returned %d", got)
	}
}

func TestAgentList(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	for i := range 7 {
		a.enroll(t, "a"+strconv.Itoa(i), "parity", strconv.Itoa(i%2), "tier", "edge")
	}
	tests := map[string]struct {
		query string
		want  []string
	}{
		"all":             {"", []string{"a0", "a1", "a2", "a3", "a4", "a5", "a6"}},
		"small pages":     {"limit=2", []string{"a0", "a1", "a2", "a3", "a4", "a5", "a6"}},
		"an even page":    {"limit=7", []string{"a0", "a1", "a2", "a3", "a4", "a5", "a6"}},
		"a label":         {"label=parity%3D1", []string{"a1", "a3", "a5"}},
		"a label, paged":  {"label=parity%3D1&limit=1", []string{"a1", "a3", "a5"}},
		"a set":           {"label=parity+notin+(1),tier", []string{"a0", "a2", "a4", "a6"}},
		"a contradiction": {"label=parity%3D1,parity%3D0", nil},
		"a state":         {"state=offline&limit=3", []string{"a0", "a1", "a2", "a3", "a4", "a5", "a6"}},
		"another state":   {"state=online", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := pages(t, func(cursor string) ([]string, string) {
				var page openapi.AgentList
				a.send(t, request{method: "GET", path: "/api/agents?" + tt.query + cursor, token: adminToken}).want(http.StatusOK).decode(&page)
				var ids []string
				for _, agent := range page.Agents {
					ids = append(ids, agent.ID)
				}
				return ids, page.NextCursor
			})
			if strings.Join(got, " ") != strings.Join(tt.want, " ") {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

// pages follows the cursors to the end and returns all ids.
func pages(t *testing.T, read func(cursor string) (ids []string, next string)) []string {
	t.Helper()
	var all []string
	cursor := ""
	for range 100 {
		ids, next := read(cursor)
		all = append(all, ids...)
		if next == "" {
			return all
		}
		cursor = "&cursor=" + next
	}
	t.Fatal("the pages do not end")
	return nil
}

func TestDeploymentLife(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	tokens := map[string]string{"a1": a.enroll(t, "a1"), "a2": a.enroll(t, "a2")}
	created := a.deploy(t, "a1", "a2")
	if len(created.Deployments) != 2 || created.Name != "app" || string(created.Spec) != `{"image":"app:1"}` {
		t.Fatalf("got %+v", created)
	}
	first := created.Deployments[0]
	path := "/api/deployments/" + first.ID
	report := func(agent, body string) response {
		return a.send(t, request{method: "POST", path: path + "/status", token: tokens[agent], body: body})
	}
	chunk := func(agent, query, body string) response {
		return a.send(t, request{method: "POST", path: path + "/logs?" + query, token: tokens[agent], body: body, contentType: "text/plain; charset=utf-8"})
	}
	log := func(token, query string) response {
		return a.send(t, request{method: "GET", path: path + "/logs" + query, token: token})
	}

	report("a2", `{"attempt":1,"claim":"c","status":"running"}`).want(http.StatusForbidden)
	if p := report("a1", `{"attempt":1,"claim":"c","status":"succeeded"}`).want(http.StatusConflict).problem(); p.Code != "not_claimed" {
		t.Errorf("got %+v, want not_claimed", p)
	}
	var state openapi.DeploymentState
	report("a1", `{"attempt":1,"claim":"c","status":"running","progress":10,"message":"on it"}`).want(http.StatusOK).decode(&state)
	if state.Status != "running" || state.Attempt != 1 || state.LeaseExpiresAt.IsZero() {
		t.Errorf("got %+v", state)
	}
	report("a1", `{"attempt":1,"claim":"other","status":"running"}`).want(http.StatusConflict)

	chunk("a2", "attempt=1&offset=0", "not mine").want(http.StatusForbidden)
	chunk("a1", "attempt=1&offset=0", "pulling\n").want(http.StatusOK)
	chunk("a1", "attempt=1&offset=0", "pulling\n").want(http.StatusOK)
	if p := chunk("a1", "attempt=1&offset=100", "gap").want(http.StatusConflict).problem(); p.Code != "log_gap" || p.NextOffset == nil || *p.NextOffset != 8 {
		t.Errorf("got %+v, want log_gap with next_offset 8", p)
	}
	for _, token := range []string{adminToken, tokens["a1"]} {
		got := log(token, "?offset=4&limit=3").want(http.StatusOK)
		if got.Body.String() != "ing" || got.Header().Get("Watchbill-Next-Offset") != "7" || got.Header().Get("Watchbill-Log-Complete") != "false" {
			t.Errorf("got %q, %v", got.Body, got.Header())
		}
	}
	log(tokens["a2"], "").want(http.StatusForbidden)
	log("-", "").want(http.StatusUnauthorized)
	log(adminToken, "?attempt=2").want(http.StatusNotFound)

	// A retryable failure causes a second attempt, whose result is final.
	report("a1", `{"attempt":1,"claim":"c","status":"failed","message":"exit 1"}`).want(http.StatusOK).decode(&state)
	if state.Status != "pending" || state.Attempt != 2 {
		t.Errorf("after a failure got %+v", state)
	}
	awaitPending(t, a, "a1", tokens["a1"])
	report("a1", `{"attempt":2,"claim":"d","status":"running"}`).want(http.StatusOK)
	report("a1", `{"attempt":2,"claim":"d","status":"succeeded","output":"done"}`).want(http.StatusOK)
	if got := log(adminToken, "?attempt=1&offset=1000").want(http.StatusOK); got.Body.Len() != 0 || got.Header().Get("Watchbill-Log-Complete") != "true" {
		t.Errorf("got %q, %v", got.Body, got.Header())
	}
	var d openapi.Deployment
	a.send(t, request{method: "GET", path: path, token: adminToken}).want(http.StatusOK).decode(&d)
	if d.Status != "succeeded" || d.Output != "done" || len(d.Attempts) != 2 || d.Attempts[0].Message != "exit 1" || d.Attempts[1].Status != "succeeded" {
		t.Errorf("got %+v", d)
	}
	a.send(t, request{method: "POST", path: path + "/cancel", token: adminToken}).want(http.StatusConflict)

	group := "/api/deployment-groups/" + created.GroupID
	a.send(t, request{method: "POST", path: "/api/deployments/" + created.Deployments[1].ID + "/cancel", token: adminToken, body: "{}"}).want(http.StatusOK)
	var g openapi.DeploymentGroup
	a.send(t, request{method: "GET", path: group, token: adminToken}).want(http.StatusOK).decode(&g)
	if g.Total != 2 || !g.Finished || g.Counts.Succeeded != 1 || g.Counts.Cancelled != 1 {
		t.Errorf("got %+v", g)
	}
	a.send(t, request{method: "POST", path: group + "/cancel", token: adminToken}).want(http.StatusOK)
}

// awaitPending polls until the agent's retry is due.
func awaitPending(t *testing.T, a *api, agent, token string) {
	t.Helper()
	for range 5000 {
		var pending openapi.PendingDeployments
		a.send(t, request{method: "GET", path: "/api/deployments/pending/" + agent, token: token}).want(http.StatusOK).decode(&pending)
		if len(pending.Deployments) > 0 {
			return
		}
	}
	t.Fatal("the retry is never due")
}

func TestDeploymentList(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	var ids []string // newest first
	for _, agent := range []string{"a1", "a2", "a3"} {
		a.enroll(t, agent)
	}
	var group string // of the newest
	for _, agent := range []string{"a1", "a2", "a1", "a3", "a1"} {
		created := a.deploy(t, agent)
		ids, group = append([]string{created.Deployments[0].ID}, ids...), created.GroupID
	}
	tests := map[string]struct {
		query string
		want  []string
	}{
		"all":                {"", ids},
		"paged":              {"limit=2", ids},
		"one agent":          {"agent_id=a1&limit=1", []string{ids[0], ids[2], ids[4]}},
		"a status":           {"status=pending&limit=4", ids},
		"no such outcome":    {"status=succeeded", nil},
		"another spelling":   {"status=success", nil},
		"American spelling":  {"status=canceled", nil},
		"a group":            {"group_id=" + group, ids[:1]},
		"agent and status":   {"agent_id=a1&status=running", nil},
		"an agent that isnt": {"agent_id=nobody", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := pages(t, func(cursor string) ([]string, string) {
				var page openapi.DeploymentList
				a.send(t, request{method: "GET", path: "/api/deployments?" + tt.query + cursor, token: adminToken}).want(http.StatusOK).decode(&page)
				var found []string
				for _, d := range page.Deployments {
					found = append(found, d.ID)
				}
				return found, page.NextCursor
			})
			if strings.Join(got, " ") != strings.Join(tt.want, " ") {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
	// A cursor is valid only for the list and filters that it was returned for.
	var page openapi.DeploymentList
	a.send(t, request{method: "GET", path: "/api/deployments?limit=1", token: adminToken}).decode(&page)
	for _, path := range []string{"/api/deployments?agent_id=a1&cursor=", "/api/agents?cursor=", "/api/reports?cursor="} {
		if p := a.send(t, request{method: "GET", path: path + page.NextCursor, token: adminToken}).want(http.StatusBadRequest).problem(); p.Field != "cursor" {
			t.Errorf("%s: got %+v", path, p)
		}
	}
}

func TestCreateBySelector(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	a.enroll(t, "a1", "region", "eu")
	a.enroll(t, "a2", "region", "eu")
	a.enroll(t, "a3", "region", "us")
	create := func(body string) response {
		return a.send(t, request{method: "POST", path: "/api/deployments", token: adminToken, body: body})
	}
	var created openapi.CreatedDeployments
	create(`{"selector":"region in (eu, asia)","name":"n","spec":{},"max_attempts":1,"lease_seconds":60}`).want(http.StatusCreated).decode(&created)
	if len(created.Deployments) != 2 || created.Deployments[0].MaxAttempts != 1 || created.Deployments[0].LeaseSeconds != 60 {
		t.Errorf("got %+v", created)
	}
	create(`{"selector":"region=mars","name":"n","spec":{}}`).want(http.StatusBadRequest)
	create(`{"agent_ids":["a1","nobody"],"name":"n","spec":{}}`).want(http.StatusBadRequest)
}

func TestIdempotency(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	a.enroll(t, "a1")
	create := func(key, body string) response {
		return a.send(t, request{
			method: "POST", path: "/api/deployments", token: adminToken, body: body, header: map[string]string{"Idempotency-Key": key},
		})
	}
	body := `{"agent_ids":["a1"],"name":"n","spec":{"n":9007199254740993,"s":"\u0041"}}`
	first := create("k", body).want(http.StatusCreated)
	for name, same := range map[string]string{
		"the same bytes":    body,
		"spelt another way": ` {"name":"n", "spec":{"s":"A","n":9007199254740993},"agent_ids":["a1"]}`,
	} {
		if again := create("k", same).want(http.StatusCreated); again.Body.String() != first.Body.String() {
			t.Errorf("%s: got %s, want %s", name, again.Body, first.Body)
		}
	}
	for name, other := range map[string]string{
		"another name":   strings.Replace(body, `"n",`, `"m",`, 1),
		"another number": strings.Replace(body, "993", "992", 1),
	} {
		if p := create("k", other).want(http.StatusConflict).problem(); p.Field != "Idempotency-Key" {
			t.Errorf("%s: got %+v", name, p)
		}
	}
	for name, key := range map[string]string{"empty": "", "a blank": "a b", "too long": strings.Repeat("k", 256), "not ASCII": "ключ"} {
		if p := create(key, body).want(http.StatusBadRequest).problem(); p.Field != "Idempotency-Key" {
			t.Errorf("%s: got %+v", name, p)
		}
	}
	create(strings.Repeat("k", 255), body).want(http.StatusCreated)
	var page openapi.DeploymentList
	a.send(t, request{method: "GET", path: "/api/deployments", token: adminToken}).decode(&page)
	if len(page.Deployments) != 2 {
		t.Errorf("there are %d deployments, want one for each key", len(page.Deployments))
	}
}

// PostgreSQL stores every spec that the decoder accepts, and the agent receives it.
func TestSpecsAtTheLimits(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	for name, spec := range map[string]string{
		"the largest number":  `{"n":[1.7976931348623157e308,-1e308,1e-400,0e400,0e-400,-0]}`,
		"a long number":       `{"n":0.` + strings.Repeat("1", 1000) + `e-400}`,
		"an exact number":     `{"n":9007199254740993}`,
		"many large numbers":  `{"n":[` + strings.Repeat("1e300,", 870) + `1]}`,
		"deep":                strings.Repeat(`{"a":`, 62) + "[]" + strings.Repeat("}", 62),
		"names of all kinds":  `{"":1," ":2,"ключ":3,"a.b":4,"a/b~":5,"\u0001":6,"\\u0000":7,"😀":8}`,
		"as large as may be":  `{"s":"` + strings.Repeat("x", fleet.MaxSpec-8) + `"}`,
		"escapes of all kind": `{"s":"\b\f\n\r\t\"\\\/\u007f\u0080\uffff\ud83d\ude00"}`,
	} {
		t.Run(name, func(t *testing.T) {
			id := strings.ReplaceAll(name, " ", "-")
			token := a.enroll(t, id)
			a.send(t, request{method: "POST", path: "/api/deployments", token: adminToken, body: `{"agent_ids":["` + id + `"],"name":"n","spec":` + spec + `}`}).
				want(http.StatusCreated)
			var got openapi.PendingDeployments
			a.send(t, request{method: "GET", path: "/api/deployments/pending/" + id, token: token}).want(http.StatusOK).decode(&got)
			if len(got.Deployments) != 1 || len(got.Deployments[0].Spec) < 8 {
				t.Errorf("got %+v", got)
			}
		})
	}
}
