package replica_test

import (
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/replica"
	"github.com/watchbill/watchbill/internal/testkit/await"
	"github.com/watchbill/watchbill/internal/testkit/postgrestest"
)

type health struct {
	Status  string   `json:"status"`
	Reasons []string `json:"reasons"`
}

func (n *node) health() (h health) {
	n.t.Helper()
	n.get("/api/health", "").decode(n.t, &h)
	return h
}

// TestHealthDetectsFailureWithoutTraffic revokes and locks what work requires while there are no requests.
func TestHealthDetectsFailureWithoutTraffic(t *testing.T) {
	t.Parallel()
	url := postgrestest.NewDatabase(t)
	n := start(t, url)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	exec := func(sql string) {
		t.Helper()
		_, err := conn.Exec(t.Context(), sql)
		for tries := 0; err != nil && strings.Contains(err.Error(), "tuple concurrently updated") && tries < 10; tries++ {
			_, err = conn.Exec(t.Context(), sql) // partitions are being created
		}
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	for _, tt := range []struct{ breaks, fixes, want string }{
		{"REVOKE INSERT ON agent_executions FROM watchbill_writer", "GRANT INSERT ON agent_executions TO watchbill_writer", "executions cannot be written: the database is not set up for this (42501)"},
		{"BEGIN; LOCK TABLE deployments", "ROLLBACK", "deployments and enrolments cannot be written: the database did not respond in time (55P03)"},
		{
			"INSERT INTO rollup_names (kind, name) SELECT 'agent', 'n' || n FROM generate_series(1, 400) n", "DELETE FROM rollup_names",
			"400 of 500 names of agents are taken",
		},
	} {
		await.Until(t, "all is well", func() bool { return n.health().Status == "ok" })
		exec(tt.breaks)
		await.Until(t, tt.want, func() bool {
			h := n.health()
			return h.Status == "degraded" && strings.Contains(strings.Join(h.Reasons, "\n"), tt.want)
		})
		exec(tt.fixes)
	}
	await.Until(t, "all is well again", func() bool { return n.health().Status == "ok" })
}

// TestSpoolDropsStoredExecutions searches the disk for an agent's input once it is stored.
func TestSpoolDropsStoredExecutions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	agents := filepath.Join(dir, "agents.yaml")
	if err := os.WriteFile(agents, []byte(`agents: [{name: echo, types: ["*"], kind: echo}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	spool := filepath.Join(dir, "spool")
	n := start(t, postgrestest.NewDatabase(t), func(c *replica.Config) {
		c.IngestToken, c.Executions.AgentsFile, c.Executions.SpoolDir = ingestToken, agents, spool
	})
	const secret = "the-message-that-nobody-else-may-read"
	if got := n.do("POST", "/api/ai/process-stream", ingestToken, map[string]any{"type": "x", "user_id": "the-user", "message": secret}); got.status != http.StatusOK {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	await.Until(t, "nothing of it on the disk", func() bool {
		files, found := 0, false
		err := filepath.WalkDir(spool, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			content, err := os.ReadFile(path)
			if os.IsNotExist(err) {
				return nil
			}
			files++
			found = found || strings.Contains(string(content), secret) || strings.Contains(string(content), "the-user")
			return err
		})
		return err == nil && files > 0 && !found
	})
}
