package chart

import (
	"context"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/watchbill/watchbill/internal/dev/pgserver"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

const (
	startTimeout = 20 * time.Minute // includes downloading the programs
	stopTimeout  = 30 * time.Second
)

// newServer starts a separate PostgreSQL, since roles belong to a whole server, and returns the URL of the superuser
// postgres, which the image and the operator have.
func newServer(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	server, err := pgserver.Start(ctx, pgserver.Options{Ephemeral: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		if err := server.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	execAll(t, server.URL(), "CREATE ROLE postgres SUPERUSER LOGIN PASSWORD 'postgres'")
	admin, err := url.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	admin.User, admin.Path = url.UserPassword("postgres", "postgres"), "/postgres"
	// The test server already has the role and database that the chart creates.
	execAll(t, admin.String(), "ALTER DATABASE watchbill RENAME TO bootstrap", "ALTER ROLE watchbill RENAME TO bootstrap")
	return admin.String()
}

// TestBundledDatabase runs the script of the bundled PostgreSQL like the image's entrypoint, and migrates with the
// login that it creates.
func TestBundledDatabase(t *testing.T) {
	psql := findPsql(t)
	all := objects(t, render(t))
	script, ok, err := unstructured.NestedString(find(t, all, "ConfigMap", "watchbill-postgresql-init").Object, "data", "watchbill.sql")
	if !ok || err != nil {
		t.Fatalf("there is no script, %v", err)
	}
	admin := newServer(t)
	cmd := exec.CommandContext(t.Context(), psql, "--no-psqlrc", "--set", "ON_ERROR_STOP=1", "--dbname", admin, "--file", writeFile(t, "watchbill.sql", script))
	cmd.Env = append(os.Environ(), "WATCHBILL_PASSWORD=s3'cret")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	checkLogin(t, login(t, admin, "s3'cret"))
}

// TestCloudNativePGDatabase runs the statements like the operator: after the login and the database are created, as the
// superuser, in the database.
func TestCloudNativePGDatabase(t *testing.T) {
	all := objects(t, render(t, "--set", "postgresql.mode=cloudnativepg"))
	made := find(t, all, "Cluster", "watchbill-postgresql")
	statements, _, err := unstructured.NestedStringSlice(made.Object, "spec", "bootstrap", "initdb", "postInitApplicationSQL")
	if err != nil || len(statements) < 3 {
		t.Fatalf("statements %v, %v", statements, err)
	}
	admin := newServer(t)
	execAll(t, admin, "CREATE ROLE watchbill LOGIN PASSWORD 'secret'", "CREATE DATABASE watchbill OWNER watchbill")
	inDatabase, err := url.Parse(admin)
	if err != nil {
		t.Fatal(err)
	}
	inDatabase.Path = "/watchbill"
	execAll(t, inDatabase.String(), statements...)
	checkLogin(t, login(t, admin, "secret"))
}

// TestDatabaseTLS checks that the migrating container has the same files and variables for the database as the serving
// one.
func TestDatabaseTLS(t *testing.T) {
	t.Parallel()
	external := []string{"--set", "postgresql.mode=external", "--set", "postgresql.external.existingSecret=database", "--show-only", "templates/api/deployment.yaml"}
	for name, tt := range map[string]struct {
		values []string
		mounts map[string]string // paths by volume
		env    map[string]string
	}{
		"by values": {
			[]string{"--set", "postgresql.external.tls.caSecretName=authority", "--set", "postgresql.external.tls.clientSecretName=client"},
			map[string]string{"database-ca": "/etc/watchbill/database-ca", "database-client": "/etc/watchbill/database-client"},
			map[string]string{
				"PGSSLMODE": "verify-full", "PGSSLROOTCERT": "/etc/watchbill/database-ca/ca.crt",
				"PGSSLCERT": "/etc/watchbill/database-client/tls.crt", "PGSSLKEY": "/etc/watchbill/database-client/tls.key",
			},
		},
		"by a volume of one's own": {
			[]string{"--set-json", `api={"extraVolumes":[{"name":"pgca","secret":{"secretName":"a"}}],"extraVolumeMounts":[{"name":"pgca","mountPath":"/pgca"}],"extraEnv":[{"name":"PGSSLROOTCERT","value":"/pgca/ca.crt"},{"name":"WATCHBILL_LOG_LEVEL","value":"debug"}]}`},
			map[string]string{"pgca": "/pgca"},
			map[string]string{"PGSSLROOTCERT": "/pgca/ca.crt"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			template, _ := pod(t, objects(t, render(t, append(external, tt.values...)...))[0])
			for _, container := range append(template.Spec.InitContainers, template.Spec.Containers...) {
				mounts, env := map[string]string{}, map[string]string{}
				for _, m := range container.VolumeMounts {
					mounts[m.Name] = m.MountPath
				}
				for _, e := range container.Env {
					env[e.Name] = e.Value
				}
				if !containsAll(mounts, tt.mounts) || !containsAll(env, tt.env) {
					t.Errorf("%s has mounts %v and variables %v", container.Name, mounts, env)
				}
				if _, flag := env["WATCHBILL_LOG_LEVEL"]; flag && container.Name == "migrate" {
					t.Error("a flag of watchbill serve is given to watchbill migrate")
				}
			}
			for volume := range tt.mounts {
				if !slices.ContainsFunc(template.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == volume }) {
					t.Errorf("there is no volume %s", volume)
				}
			}
		})
	}
}

// TestDocumentedDatabase checks that docs/install.md has the statements that the chart runs.
func TestDocumentedDatabase(t *testing.T) {
	t.Parallel()
	text := readFile(t, inTree("docs", "install.md"))
	for _, line := range strings.Split(readFile(t, chartFile("files", "postgresql", "roles.sql")), "\n") {
		if !strings.HasPrefix(line, "--") && !strings.Contains(text, line) {
			t.Errorf("docs/install.md does not have %q", line)
		}
	}
}

func execAll(t *testing.T, database string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	for _, statement := range statements {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// login returns the service's URL for an administrator's server.
func login(t *testing.T, admin, password string) string {
	t.Helper()
	u, err := url.Parse(admin)
	if err != nil {
		t.Fatal(err)
	}
	u.User, u.Path = url.UserPassword("watchbill", password), "/watchbill"
	return u.String()
}

// checkLogin migrates with a login and checks its permissions.
func checkLogin(t *testing.T, database string) {
	t.Helper()
	if out, err := runWith(t, []string{"DATABASE_URL=" + database}, watchbill(t), "migrate", "up"); err != nil {
		t.Fatalf("watchbill migrate up: %v: %s", err, out)
	}
	db, err := postgres.Open(t.Context(), postgres.Config{URL: database})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	got, err := db.Login(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := (postgres.Login{TakesRoles: true}); got != want {
		t.Errorf("the login is %+v, want %+v", got, want)
	}
}

func runWith(t *testing.T, env []string, program string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// findPsql finds psql in PATH or beside the server's programs.
func findPsql(t *testing.T) string {
	t.Helper()
	if path, err := exec.LookPath("psql"); err == nil {
		return path
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/psql")
	if err != nil || len(found) == 0 {
		t.Skip("there is no psql on this machine")
	}
	return found[len(found)-1]
}
