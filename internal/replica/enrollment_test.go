package replica_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/replica"
	"github.com/watchbill/watchbill/internal/testkit/await"
	"github.com/watchbill/watchbill/internal/testkit/postgrestest"
)

const (
	labToken  = "the-token-of-the-lab"
	prodToken = "the-token-of-production"
)

// enrollment configures a replica with a file of tokens, given by their settings, and one token of the command line.
func enrollment(t *testing.T, grants map[string]string) func(*replica.Config) {
	t.Helper()
	file := "tokens:\n"
	for token, more := range grants {
		file += fmt.Sprintf("- {sha256: %x%s}\n", sha256.Sum256([]byte(token)), more)
	}
	path := filepath.Join(t.TempDir(), "enrollment.yaml")
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(c *replica.Config) { c.EnrollmentFile, c.EnrollmentToken = path, prodToken }
}

func (n *node) enrollBy(token, id string, labels map[string]string) answer {
	n.t.Helper()
	if labels == nil {
		labels = map[string]string{}
	}
	return n.do(http.MethodPost, "/api/agents", token, map[string]any{"id": id, "name": id, "labels": labels, "poll_interval_seconds": 1})
}

// An agent with the lab's token cannot get production's deployments.
func TestEnrolmentTokenFixesLabels(t *testing.T) {
	t.Parallel()
	n := start(t, postgrestest.NewDatabase(t), enrollment(t, map[string]string{
		labToken: ", labels: {env: lab}, allowedLabels: [rack], maxAgents: 2, minPollInterval: 10s",
	}))
	for _, tt := range []struct {
		id, token string
		labels    map[string]string
		status    int
		telling   string
	}{
		{"says-prod", labToken, map[string]string{"env": "prod"}, http.StatusForbidden, `"label_fixed"`},
		{"says-more", labToken, map[string]string{"tier": "edge"}, http.StatusForbidden, `"label_not_allowed"`},
		{"lab-1", labToken, map[string]string{"rack": "7"}, http.StatusCreated, `"env":"lab"`},
		{"lab-2", labToken, nil, http.StatusCreated, `"poll_interval_seconds":10`},
		{"lab-3", labToken, nil, http.StatusTooManyRequests, `"enrollment_full"`},
		{"prod-1", prodToken, map[string]string{"env": "prod"}, http.StatusCreated, `"env":"prod"`},
	} {
		a := n.enrollBy(tt.token, tt.id, tt.labels)
		if a.status != tt.status || !strings.Contains(string(a.body), tt.telling) {
			t.Errorf("%s: want %d with %s, got %d %s", tt.id, tt.status, tt.telling, a.status, a.body)
		}
		if tt.status == http.StatusTooManyRequests && a.header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", tt.id)
		}
	}
	a := n.do(http.MethodPost, "/api/deployments", adminToken, map[string]any{"selector": "env=prod", "name": "app", "spec": map[string]any{"password": "x"}})
	var created openapi.CreatedDeployments
	a.decode(t, &created)
	if len(created.Deployments) != 1 || created.Deployments[0].AgentID != "prod-1" {
		t.Errorf("want prod-1 alone, got %s", a.body)
	}
	var agent openapi.Agent
	n.get("/api/agents/lab-1", adminToken).decode(t, &agent)
	if want := fmt.Sprintf("%x", sha256.Sum256([]byte(labToken)))[:16]; agent.EnrolledBy != want {
		t.Errorf("want it enrolled by %s, got %+v", want, agent)
	}
}

func TestEnrolmentsHaveARate(t *testing.T) {
	t.Parallel()
	n := start(t, postgrestest.NewDatabase(t), enrollment(t, map[string]string{labToken: ""}), func(c *replica.Config) {
		c.Limits = []string{"enroll/token=1/d:burst=3"}
	})
	for i := range 6 {
		a := n.enrollBy(labToken, fmt.Sprint("lab-", i), nil)
		if i < 3 && a.status != http.StatusCreated {
			t.Errorf("within the limit: got %d %s", a.status, a.body)
		}
		if i >= 3 && (a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" || !strings.Contains(string(a.body), "enroll/token=1/d")) {
			t.Errorf("beyond it: got %d %v %s", a.status, a.header, a.body)
		}
	}
	if a := n.enrollBy(prodToken, "prod", nil); a.status != http.StatusCreated {
		t.Errorf("another token: got %d %s", a.status, a.body)
	}
	for i := range 5 {
		n.enroll(fmt.Sprint("admin-", i))
	}
}

// Many agents of one token at the shortest interval do not lengthen the interval of another token's agent.
func TestUnknownAgentsDoNotSlowOthers(t *testing.T) {
	t.Parallel()
	database := postgrestest.NewDatabase(t)
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), `WITH fakes AS (
			INSERT INTO agents (id, name, token_hash, poll_interval_seconds, enrolled_by)
			SELECT 'fake-' || n, 'x', sha256(('fake-' || n)::bytea), 1, 'abcdef' FROM generate_series(1, 1500) n RETURNING id
		) INSERT INTO agent_presence (agent_id, last_seen_at, interval_seconds) SELECT id, now() + interval '1 minute', 1 FROM fakes`); err != nil {
		t.Fatal(err)
	}
	n := start(t, database, func(c *replica.Config) { c.PollBudget = 100 })
	honest := n.enroll("honest")
	pollInterval := func(agent, token string) float64 {
		t.Helper()
		_, a := n.pending(agent, token)
		seconds, err := strconv.ParseFloat(a.header.Get("Watchbill-Poll-Interval"), 64)
		if err != nil {
			t.Fatalf("%d %s: %v", a.status, a.body, err)
		}
		return seconds
	}
	await.Until(t, "the fakes told to poll less often", func() bool { return pollInterval("fake-1", "fake-1") > 10 })
	if got := pollInterval("fake-1", "fake-1"); got < 13 || got > 17 {
		t.Errorf("a fake gets %.1f s, want 15 s", got)
	}
	if got := pollInterval("honest", honest); got > 11 {
		t.Errorf("the honest agent gets %.1f s, want 10 s", got)
	}
}
