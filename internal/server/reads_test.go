package server

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/api/openapi"
)

// TestSeriesAddUp checks that the points of every grouping and step add up to the metrics of the same window.
func TestSeriesAddUp(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	seedSearch(t, a)
	var metrics openapi.ExecutionMetricsAnswer
	a.admin(t, "/api/admin/metrics?hours=3").want(http.StatusOK).decode(&metrics)
	m := metrics.Metrics
	for _, query := range []string{"", "&group_by=agent", "&group_by=status", "&step=1m", "&step=5m&group_by=agent", "&step=1h", "&step=1d", "&group_by=status&limit=1"} {
		var got openapi.ExecutionSeriesAnswer
		a.admin(t, "/api/admin/metrics/series?hours=3"+query).want(http.StatusOK).decode(&got)
		var requests, failed, timeouts, tokens int64
		for _, series := range got.Series.Series {
			for _, p := range series.Points {
				requests, failed, timeouts, tokens = requests+p.Count, failed+p.Failed, timeouts+p.Timeouts, tokens+p.TotalTokens
				if p.Count > 0 && p.ExecutionTimeMs.P95 <= 0 {
					t.Errorf("%s: no percentile in %+v", query, p)
				}
			}
		}
		if requests != m.TotalRequests || failed != m.Failed || timeouts != m.Timeouts || tokens != m.TotalTokensUsed || requests == 0 {
			t.Errorf("%s: want %+v, got %d requests, %d failed, %d timeouts, %d tokens", query, m, requests, failed, timeouts, tokens)
		}
	}
	var users openapi.ExecutionSeriesAnswer
	a.admin(t, "/api/admin/metrics/series?hours=1&active_users=true").want(http.StatusOK).decode(&users)
	if users.Series.Step != "15m" {
		t.Errorf("want active users in steps of 15m, got %s", users.Series.Step)
	}
	a.admin(t, "/api/admin/metrics/series?hours=48&step=1d&active_users=true").want(http.StatusOK).decode(&users)
	var most int64
	for _, p := range users.Series.Series[0].Points {
		if p.ActiveUsers == nil {
			t.Fatal("active users are missing")
		}
		most = max(most, *p.ActiveUsers)
	}
	if most != 2 {
		t.Errorf("want 2 users on the day, got %d", most)
	}
}

func TestReadsRejectNonsense(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	a.enroll(t, "a1")
	a.enroll(t, "a2")
	seedSearch(t, a)
	var events openapi.EventList
	a.admin(t, "/api/events?limit=1").want(http.StatusOK).decode(&events)
	var users openapi.UserList
	a.admin(t, "/api/admin/users?limit=1").want(http.StatusOK).decode(&users)
	if events.NextCursor == "" || users.NextCursor == "" {
		t.Fatalf("want more pages, got %+v and %+v", events, users)
	}
	past := func(d time.Duration) string { return time.Now().UTC().Add(-d).Format(time.RFC3339) }
	for _, path := range []string{"/api/metrics/series", "/api/admin/metrics/series"} {
		for query, field := range map[string]string{
			"hours=0": "hours", "hours=8785": "hours", "hours=x": "hours", "hours=2&from=" + past(time.Hour): "hours", "from=x": "from",
			"from=" + past(-time.Hour): "from", "to=" + past(-time.Hour): "to", "from=" + past(9000*time.Hour): "from", "from=" + past(time.Hour) + "&to=" + past(2*time.Hour): "to",
			"step=7m": "step", "step=": "step", "hours=24&step=1m": "step", "group_by=user": "group_by", "limit=21": "limit", "points=3": "points",
		} {
			if p := a.admin(t, path+"?"+query).want(http.StatusBadRequest).problem(); p.Field != field {
				t.Errorf("%s?%s: want a 400 about %s, got %+v", path, query, field, p)
			}
		}
	}
	for query, field := range map[string]string{
		"/api/admin/metrics/series?active_users=yes": "active_users", "/api/admin/metrics/series?active_users=true&group_by=agent": "active_users",
		"/api/admin/metrics/series?hours=2&step=1m&active_users=true": "active_users",
		"/api/admin/users?days=0":                                     "days", "/api/admin/users?time_zone=Local": "time_zone", "/api/admin/users?sort=name": "sort", "/api/admin/users?cursor=AA": "cursor",
		"/api/admin/users?sort=user&cursor=" + users.NextCursor: "cursor", "/api/admin/users?cursor=" + events.NextCursor: "cursor",
		"/api/admin/adoption?weeks=54": "weeks", "/api/admin/adoption?from=x": "from",
		"/api/events?kind=alert": "kind", "/api/events?agent_id=%1b": "agent_id", "/api/events?from=x": "from", "/api/events?limit=501": "limit",
		"/api/events?kind=agent_enrolled&cursor=" + events.NextCursor: "cursor", "/api/events?cursor=" + users.NextCursor: "cursor", "/api/events?who=me": "who",
	} {
		if p := a.admin(t, query).want(http.StatusBadRequest).problem(); p.Field != field {
			t.Errorf("%s: want a 400 about %s, got %+v", query, field, p)
		}
	}
}

// TestUsersAgreeWithCosts checks that the users' figures are those of the costs, on pages of any size and in every order.
func TestUsersAgreeWithCosts(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	for i := range 7 {
		a.seed(t, 3+i%3, fmt.Sprintf("user-%d", i), func(_ int) string {
			return fmt.Sprintf(`,"status":"success","model_used":"gpt-4o-mini","input_tokens":%d,"output_tokens":10`, 1000*(i%4))
		})
	}
	var costs openapi.CostsAnswer
	a.admin(t, "/api/admin/costs?group_by=user").want(http.StatusOK).decode(&costs)
	want := map[string]string{}
	for _, g := range costs.Costs.Groups {
		want[g.Key] = fmt.Sprint(g.Requests, g.Tokens, usdText(g.CostUSD))
	}
	for _, by := range []string{"day", "model"} {
		for user, figures := range want {
			var one openapi.CostsAnswer
			a.admin(t, "/api/admin/costs?group_by="+by+"&user_id="+user).want(http.StatusOK).decode(&one)
			if got := fmt.Sprint(one.Costs.Total.Requests, one.Costs.Total.Tokens, usdText(one.Costs.Total.CostUSD)); got != figures {
				t.Errorf("%s by %s: want %s, got %s", user, by, figures, got)
			}
		}
	}
	if p := a.admin(t, "/api/admin/costs?user_id=user-1&group_by=agent").want(http.StatusBadRequest).problem(); p.Field != "group_by" {
		t.Errorf("by agent: got %+v", p)
	}
	for _, sort := range []string{"cost", "requests", "tokens", "user"} {
		got := map[string]string{}
		var order []string
		pages(t, func(cursor string) (ids []string, next string) {
			var page openapi.UserList
			a.admin(t, "/api/admin/users?limit=2&sort="+sort+cursor).want(http.StatusOK).decode(&page)
			if page.ActiveUsers != 7 {
				t.Errorf("got %d active users", page.ActiveUsers)
			}
			for _, u := range page.Users {
				got[u.UserID] = fmt.Sprint(u.Requests, u.Tokens, usdText(u.CostUSD))
				order = append(order, u.UserID)
				if ago := time.Since(u.FirstSeenAt); ago < 0 || ago > time.Hour || u.LastSeenAt.Before(u.FirstSeenAt) {
					t.Errorf("%s: seen from %s to %s", u.UserID, u.FirstSeenAt, u.LastSeenAt)
				}
			}
			return nil, page.NextCursor
		})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("by %s (-want +got):\n%s", sort, diff)
		}
		if len(order) != 7 || sort == "user" && !slices.IsSorted(order) {
			t.Errorf("by %s: got %v", sort, order)
		}
	}
}

func usdText(usd *openapi.USD) string {
	if usd == nil {
		return "unknown"
	}
	return usd.String()
}

func TestAdoption(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	seedSearch(t, a)
	var got openapi.AdoptionAnswer
	a.admin(t, "/api/admin/adoption?weeks=2").want(http.StatusOK).decode(&got)
	var requests, newUsers, newAgents int64
	for _, week := range got.Weeks {
		newUsers, newAgents = newUsers+week.NewUsers, newAgents+week.NewAgents
		if week.From.Weekday() != time.Monday || week.To.Sub(week.From) != 7*24*time.Hour {
			t.Errorf("got the week %+v", week)
		}
		for _, agent := range week.Agents {
			requests += agent.Requests
		}
	}
	if len(got.Weeks) != 2 || requests == 0 || newUsers != 2 || newAgents != 1 {
		t.Errorf("want 2 new users and 1 new agent, got %+v", got)
	}
}

// TestAdoptionCountsAllAgents checks that the counts are those of all agents, although only some are listed.
func TestAdoptionCountsAllAgents(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	const agents = 110
	var lines strings.Builder
	for i := range agents {
		fmt.Fprintf(&lines, `{"execution_id":"e","created_at":%q,"user_id":"u%d","agent_name":"agent-%d","status":"success"}`+"\n", at().Format(time.RFC3339Nano), i, i)
	}
	a.recordLines(t, lines.String()).want(http.StatusCreated)
	var got openapi.AdoptionAnswer
	a.admin(t, "/api/admin/adoption?weeks=2").want(http.StatusOK).decode(&got)
	var active, isNew, listed int64
	for _, week := range got.Weeks {
		active, isNew, listed = active+week.ActiveAgents, isNew+week.NewAgents, listed+int64(len(week.Agents))
	}
	if active != agents || isNew != agents || listed != 101 {
		t.Errorf("want %d active and new agents and a list of 100 and the others, got %d, %d and %d", agents, active, isNew, listed)
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	for i := range 5 {
		a.enroll(t, fmt.Sprintf("a%d", i))
	}
	a.send(t, request{method: "DELETE", path: "/api/agents/a4", token: adminToken}).want(http.StatusNoContent)
	a.send(t, request{method: "POST", path: "/api/deployments", token: adminToken, body: `{"agent_ids":["a1","a2"],"name":"roll\u202eout","spec":{}}`}).want(http.StatusCreated)
	var deployments openapi.DeploymentList
	a.admin(t, "/api/deployments?agent_id=a2").want(http.StatusOK).decode(&deployments)
	a.send(t, request{method: "POST", path: "/api/deployments/" + deployments.Deployments[0].ID + "/cancel", token: adminToken}).want(http.StatusOK)
	a.admin(t, "/api/admin/names").want(http.StatusOK)
	list := func(filters string) (events []string) {
		return pages(t, func(cursor string) (ids []string, next string) {
			var page openapi.EventList
			a.admin(t, "/api/events?limit=2"+filters+cursor).want(http.StatusOK).decode(&page)
			for _, e := range page.Events {
				ids = append(ids, string(e.Kind)+" "+e.AgentID)
			}
			return ids, page.NextCursor
		})
	}
	all := list("")
	slices.Sort(all)
	want := []string{
		"agent_deleted a4", "agent_enrolled a0", "agent_enrolled a1", "agent_enrolled a2", "agent_enrolled a3", "deployment_created a1",
		"deployment_created a2", "deployment_ended a2",
	}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := list("&agent_id=a2"); !slices.Equal(got, []string{"deployment_ended a2", "deployment_created a2", "agent_enrolled a2"}) {
		t.Errorf("of a2: got %v", got)
	}
	if got := list("&kind=agent_deleted"); !slices.Equal(got, []string{"agent_deleted a4"}) {
		t.Errorf("deleted: got %v", got)
	}
	if got := list("&to=2001-01-01T00:00:00Z"); len(got) != 0 {
		t.Errorf("before all: got %v", got)
	}
}
