package replica_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/replica"
	"github.com/watchbill/watchbill/internal/testkit/await"
	"github.com/watchbill/watchbill/internal/testkit/postgrestest"
)

const nameKey = "000102030405060708090a0b0c0d0e0f"

// withNames configures a replica to store pseudonyms, with keys in its own file.
func withNames(t testing.TB, keys string) func(*replica.Config) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte(keys), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(c *replica.Config) { c.Executions.RedactNames, c.Executions.RedactNamesKey = true, path }
}

// tablesWith returns the names of a database's tables that contain a text anywhere.
func tablesWith(t testing.TB, database, text string) (found []string) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, `
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
ORDER BY 1`) // partitions are read through their tables; no role may read them directly
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		var n int
		for _, as := range []string{"SET ROLE watchbill_admin", "RESET ROLE"} { // the role that sees all rows, or the owner of the table
			if _, err = conn.Exec(ctx, as); err != nil {
				t.Fatal(err)
			}
			if err = conn.QueryRow(ctx, "SELECT count(*) FROM "+table+" r WHERE r::text LIKE '%' || $1 || '%'", text).Scan(&n); err == nil {
				break
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			found = append(found, table)
		}
	}
	return found
}

// TestPseudonyms sends executions of one user by every way to a replica that stores pseudonyms. They must be one user's in
// every figure, be found and erased by name, and the name must not be stored.
func TestPseudonyms(t *testing.T) {
	t.Parallel()
	const user = "ada.lovelace@example.com"
	database := postgrestest.NewDatabase(t)
	before := start(t, database, withAgents(t)) // without pseudonyms
	log := func(n *node, id, session string) {
		n.t.Helper()
		body := fmt.Sprintf(`{"execution_id":%q,"created_at":%q,"user_id":%q,"session_id":%q,"agent_name":"a","status":"success","model_used":"gpt-4o","provider":"openai","input_tokens":100,"output_tokens":10}`,
			id, time.Now().Format(time.RFC3339Nano), user, session)
		n.post(t, "/api/executions", "application/json", []byte(body))
	}
	log(before, "of-old", "s")
	before.stop()
	n := start(t, database, withAgents(t), withNames(t, nameKey))
	log(n, "by-rest", user)
	n.export(t, spanOf(7, user))
	if got := n.do(http.MethodPost, "/api/ai/process-stream", ingestToken, prompt(user)); !bytes.Contains(got.body, []byte("event: completed\n")) {
		t.Fatalf("run: %d %s", got.status, got.body)
	}
	await.Until(t, "all found by the name", func() bool { return len(n.activity(user)) == 4 })
	names := map[string]int{}
	for _, e := range n.activity(user) {
		names[e.UserID]++
	}
	if len(names) != 2 || names[user] != 1 {
		t.Errorf("want one by name, of old, and the others by one pseudonym, got %v", names)
	}
	costs := n.get("/api/admin/costs?days=1&group_by=user", adminToken)
	if got := bytes.Count(costs.body, []byte(`"key":"p_`)); got != 1 {
		t.Errorf("want one user's costs under a pseudonym, got %s", costs.body)
	}
	for path, id := range map[string]string{
		"/api/admin/executions?session_id=" + user: "by-rest", "/api/admin/executions?session_id=s&user_id=" + user: "of-old",
		"/api/admin/executions/by-rest?user_id=" + user: "by-rest",
	} {
		if got := n.get(path, adminToken); !bytes.Contains(got.body, []byte(`"execution_id":"`+id+`"`)) {
			t.Errorf("%s: want %s, got %s", path, id, got.body)
		}
	}
	erased := n.do(http.MethodDelete, "/api/admin/users/"+user, adminToken, nil)
	if erased.status != http.StatusOK || !bytes.Contains(erased.body, []byte(`"executions":4`)) || len(n.activity(user)) != 0 {
		t.Errorf("erase: got %d %s", erased.status, erased.body)
	}
	log(n, "afterwards", user)
	if got := n.activity(user); len(got) != 1 || got[0].UserID == user {
		t.Errorf("afterwards: got %+v", got)
	}
	if found := tablesWith(t, database, "afterwards"); len(found) == 0 {
		t.Error("what is stored is not found at all")
	}
	if found := tablesWith(t, database, user); len(found) > 0 {
		t.Errorf("the name is in %v", found)
	}
}

func TestPseudonymsNeedAKey(t *testing.T) {
	t.Parallel()
	valid := func(change func(*replica.Config)) error {
		config := replica.Defaults()
		config.DatabaseURL = "postgres://localhost/x"
		change(&config)
		return errors.Join(config.Validate(), config.CheckFiles())
	}
	for name, tt := range map[string]struct {
		change func(*replica.Config)
		want   string // in the error; empty: none
	}{
		"a key":            {withNames(t, nameKey), ""},
		"no file":          {func(c *replica.Config) { c.Executions.RedactNames = true }, "--redact-names: needs --redact-names-key-file"},
		"a file alone":     {func(c *replica.Config) { c.Executions.RedactNamesKey = "x" }, "--redact-names-key-file: does nothing without --redact-names"},
		"none there":       {func(c *replica.Config) { c.Executions.RedactNames, c.Executions.RedactNamesKey = true, "/nowhere/keys" }, "--redact-names-key-file: open /nowhere/keys"},
		"an empty file":    {withNames(t, "\n"), "has no key"},
		"a key too short":  {withNames(t, "hunter2"), "line 1: a key must have at least 32 characters"},
		"a key duplicated": {withNames(t, nameKey+"\n"+nameKey), "line 2: the key is duplicated"},
	} {
		err := valid(tt.change)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%s: want %q, got %v", name, tt.want, err)
		}
	}
}

// TestErasureReachesTheSpool erases a user, through another replica, while runs of the user are in the spool of a dead
// replica. When that is back the runs must not be stored, and must be gone from its disk.
func TestErasureReachesTheSpool(t *testing.T) {
	t.Parallel()
	for name, names := range map[string]func(*replica.Config){"names": func(*replica.Config) {}, "pseudonyms": withNames(t, nameKey)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const user = "the-user-to-erase"
			database := postgrestest.NewDatabase(t)
			proxy := postgrestest.NewProxy(t, database)
			agents := withAgents(t)
			var spool string
			n := start(t, proxy.URL, agents, names, func(c *replica.Config) { spool = c.Executions.SpoolDir })
			proxy.Cut()
			for _, who := range []string{user, "another"} {
				if got := n.do(http.MethodPost, "/api/ai/process-stream", ingestToken, prompt(who)); !bytes.Contains(got.body, []byte("event: completed\n")) {
					t.Fatalf("run: %d %s", got.status, got.body)
				}
			}
			n.withoutDatabase = true
			n.stop()
			other := start(t, database, withAgents(t), names)
			if got := other.do(http.MethodDelete, "/api/admin/users/"+user, adminToken, nil); got.status != http.StatusOK {
				t.Fatalf("erase: %d %s", got.status, got.body)
			}
			proxy.Resume()
			again := start(t, proxy.URL, agents, names)
			await.Until(t, "the other user's run stored", func() bool { return len(again.activity("another")) == 1 })
			if got := again.activity(user); len(got) != 0 {
				t.Errorf("the erased user is back: %+v", got)
			}
			await.Until(t, "nothing left on the disk", func() bool {
				found := false
				err := filepath.WalkDir(spool, func(path string, entry fs.DirEntry, err error) error {
					if err != nil || entry.IsDir() {
						return err
					}
					content, err := os.ReadFile(path)
					if os.IsNotExist(err) {
						return nil
					}
					found = found || bytes.Contains(content, []byte(user)) || bytes.Contains(content, []byte("flashcards"))
					return err
				})
				return err == nil && !found
			})
			if m := again.executionMetrics(); m.TotalRequests != 1 {
				t.Errorf("want one request left, got %+v", m)
			}
		})
	}
}
