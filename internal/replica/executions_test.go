package replica_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/replica"
	"github.com/watchbill/watchbill/internal/testkit/await"
	"github.com/watchbill/watchbill/internal/testkit/postgrestest"
	"github.com/watchbill/watchbill/test/sdk"
)

const ingestToken = "the-ingest-token"

// withAgents configures a replica with an ingest token, AI agents that echo, and its own spool.
func withAgents(t testing.TB) func(*replica.Config) {
	t.Helper()
	dir := t.TempDir()
	agents := filepath.Join(dir, "agents.yaml")
	file := "agents:\n  - name: main_orchestrator\n    types: [\"flashcard_*\"]\n    kind: echo\n    echo: {model: gpt-4o}\n"
	if err := os.WriteFile(agents, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(c *replica.Config) {
		c.IngestToken, c.Executions.AgentsFile, c.Executions.SpoolDir = ingestToken, agents, filepath.Join(dir, "spool")
	}
}

// prompt returns the request of the documented test sequence.
func prompt(user string) map[string]any {
	return map[string]any{
		"type": "flashcard_generation", "user_id": user, "message": "Create flashcards about Python",
		"options": map[string]any{"count": 3, "difficulty": "medium", "content": "Python is a programming language"},
	}
}

func (n *node) executionMetrics() openapi.ExecutionMetrics {
	n.t.Helper()
	var answer openapi.ExecutionMetricsAnswer
	n.get("/api/admin/metrics?hours=24", adminToken).decode(n.t, &answer)
	return answer.Metrics
}

func (n *node) activity(user string) []openapi.Execution {
	n.t.Helper()
	var answer openapi.UserActivityList
	n.get("/api/admin/user-activity/"+url.PathEscape(user)+"?limit=100", adminToken).decode(n.t, &answer)
	return answer.Activity
}

// TestExecutionsFromPromptToCosts runs the documented test sequence on two replicas.
func TestExecutionsFromPromptToCosts(t *testing.T) {
	t.Parallel()
	database := postgrestest.NewDatabase(t)
	a, b := start(t, database, withAgents(t)), start(t, database, withAgents(t))
	const user = "18717267-0855-433c-b160-04c3443daa80"
	stream := a.do(http.MethodPost, "/api/ai/process-stream", ingestToken, prompt(user))
	if stream.status != http.StatusOK || stream.header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("run: %d %s", stream.status, stream.body)
	}
	for _, event := range []string{"event: started\n", "event: delta\n", "event: completed\n"} {
		if !bytes.Contains(stream.body, []byte(event)) {
			t.Errorf("want %q in the stream, got %s", event, stream.body)
		}
	}
	failing := prompt(user)
	failing["options"] = map[string]any{"fail": "no flashcards today"}
	if got := b.do(http.MethodPost, "/api/ai/process-stream", ingestToken, failing); !bytes.Contains(got.body, []byte("event: error\n")) {
		t.Errorf("want an error event, got %s", got.body)
	}
	var m openapi.ExecutionMetrics
	await.Until(t, "both stored", func() bool { m = b.executionMetrics(); return m.TotalRequests == 2 })
	if m.Successful != 1 || m.Failed != 1 || m.SuccessRate != 0.5 || m.TotalTokensUsed == 0 || m.AgentMetrics["main_orchestrator"].Count != 2 {
		t.Errorf("metrics: got %+v", m)
	}
	var failed openapi.ExecutionErrorList
	a.get("/api/admin/errors?limit=10", adminToken).decode(t, &failed)
	if len(failed.Errors) != 1 || failed.Errors[0].UserID != user || failed.Errors[0].ErrorMessage == nil {
		t.Errorf("errors: got %+v", failed)
	}
	if got := a.activity(user); len(got) != 2 {
		t.Errorf("activity: want both, got %+v", got)
	}
	if got := b.activity("somebody else"); len(got) != 0 {
		t.Errorf("another's activity: want none, got %+v", got)
	}
	costs := a.get("/api/admin/costs?days=1&group_by=user", adminToken)
	if !bytes.Contains(costs.body, []byte(`"key":"`+user+`"`)) {
		t.Errorf("costs: got %s", costs.body)
	}
	if got := b.do(http.MethodDelete, "/api/admin/users/"+user, adminToken, nil); got.status != http.StatusOK || !bytes.Contains(got.body, []byte(`"executions":2`)) {
		t.Errorf("erase: got %d %s", got.status, got.body)
	}
	if m := a.executionMetrics(); m.TotalRequests != 0 || m.TotalTokensUsed != 0 || len(a.activity(user)) != 0 {
		t.Errorf("after that: want nothing left, got %+v", m)
	}
}

// TestClientsOfOpenTelemetry sends a trace, children first, to one replica with official exporters, and reads it from the
// other.
func TestClientsOfOpenTelemetry(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, user string
		runs       int64
		send       func(ctx context.Context, t *testing.T, endpoint string) error
	}{
		{"Go", sdk.GoUser, sdk.GoRuns, func(ctx context.Context, _ *testing.T, endpoint string) error {
			return sdk.SendWithGo(ctx, endpoint, ingestToken)
		}},
		{"Python", sdk.PythonUser, sdk.PythonRuns, func(ctx context.Context, t *testing.T, endpoint string) error {
			return sdk.SendWithPython(ctx, t, endpoint, ingestToken)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			database := postgrestest.NewDatabase(t)
			a, b := start(t, database, withAgents(t)), start(t, database, withAgents(t))
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			if err := tt.send(ctx, t, a.url+"/v1/traces"); err != nil {
				t.Fatal(err)
			}
			var m openapi.ExecutionMetrics
			await.Until(t, "one request of one agent in each telling, and all executions the user's", func() bool {
				m = b.executionMetrics()
				return m.TotalRequests == tt.runs && len(m.AgentMetrics) == 1 && len(b.activity(tt.user)) >= int(tt.runs*sdk.Executions)
			})
			tokens := tt.runs * (sdk.InputTokens + sdk.OutputTokens)
			if m.AgentMetrics[sdk.Agent].Count != tt.runs || m.TotalTokensUsed != tokens || len(m.ModelMetrics) != 2 {
				t.Errorf("want %d requests of %s, each token once (%d), two models; got %+v", tt.runs, sdk.Agent, tokens, m)
			}
			got := b.activity(tt.user)
			if int64(len(got)) != tt.runs*sdk.Executions {
				t.Errorf("want all %d executions to be the user's, got %d", tt.runs*sdk.Executions, len(got))
			}
			for _, e := range got {
				if e.AgentName != sdk.Agent || e.SessionID == nil || *e.SessionID != sdk.Session {
					t.Errorf("want the agent's name and session on all, got %+v", e)
				}
			}
		})
	}
}

// TestRunsContinueWithoutDatabase runs agents while the database is unreachable, and stops the replica before it is back.
func TestRunsContinueWithoutDatabase(t *testing.T) {
	t.Parallel()
	database := postgrestest.NewDatabase(t)
	proxy := postgrestest.NewProxy(t, database)
	agents := withAgents(t)
	n := start(t, proxy.URL, agents)
	proxy.Cut()
	const runs = 20
	for i := range runs {
		got := n.do(http.MethodPost, "/api/ai/process-stream", ingestToken, prompt(fmt.Sprint("user ", i%3)))
		if !bytes.Contains(got.body, []byte("event: completed\n")) {
			t.Fatalf("run %d: %d %s", i, got.status, got.body)
		}
	}
	refused := n.do(http.MethodPost, "/api/executions", ingestToken, map[string]any{"user_id": "u", "agent_name": "a", "status": "success"})
	if refused.status != http.StatusServiceUnavailable || refused.header.Get("Retry-After") == "" {
		t.Errorf("executions meanwhile: want 503 with Retry-After, got %d %s", refused.status, refused.body)
	}
	n.withoutDatabase = true
	n.stop() // only its spool is left
	proxy.Resume()
	again := start(t, proxy.URL, agents)
	await.Until(t, "all runs stored", func() bool { return again.executionMetrics().TotalRequests == runs })
	if got := len(again.activity("user 0")); got != 7 {
		t.Errorf("want each run once, got %d of 7", got)
	}
}

// TestStreamsEndWithTheReplica stops a replica during a run.
func TestStreamsEndWithTheReplica(t *testing.T) {
	t.Parallel()
	database := postgrestest.NewDatabase(t)
	n := start(t, database, withAgents(t), func(c *replica.Config) { c.ShutdownTimeout = 2 * time.Second })
	slow := `{"type": "flashcard_slow", "user_id": "u", "message": "wait", "options": {"delay_ms": 60000}}`
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, n.url+"/api/ai/process-stream", strings.NewReader(slow))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+ingestToken)
	r.Header.Set("Content-Type", "application/json")
	resp, err := n.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	stopped := make(chan struct{})
	go func() { n.stop(); close(stopped) }()
	body, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.Contains(body, []byte("event: error\n")) {
		t.Errorf("want an error event before the end, got %s, %v", body, err)
	}
	<-stopped
	again := start(t, database)
	if m := again.executionMetrics(); m.TotalRequests != 1 || m.Failed != 1 {
		t.Errorf("want the run recorded as failed, got %+v", m)
	}
}
