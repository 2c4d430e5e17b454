package postgrestest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/dev/pgserver"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

// serverURL returns the URL that NewDatabase uses.
func serverURL() string {
	if url := os.Getenv(sharedServer); url != "" {
		return url
	}
	return os.Getenv(ownServer)
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) }) // the server may have closed it
	return conn
}

func exec1(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func ask[T any](t *testing.T, conn *pgx.Conn, sql string, args ...any) (answer T) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

func TestNewDatabaseIsMigratedAndPrivate(t *testing.T) {
	t.Parallel()
	for range 8 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			conn := connect(t, NewDatabase(t))
			if got := ask[int](t, conn, "SELECT count(*) FROM agents"); got != 0 {
				t.Errorf("want no agents, got %d", got)
			}
			exec1(t, conn, "CREATE TABLE mine ()") // fails if another test's database has it
		})
	}
}

func TestDatabaseIsDroppedThoughInUse(t *testing.T) {
	t.Parallel()
	server := connect(t, serverURL())
	var name string
	t.Run("a test that forgets to close", func(t *testing.T) {
		url := NewDatabase(t)
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		name = conn.Config().Database
	})
	if ask[bool](t, server, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name) {
		t.Errorf("%s is still there", name)
	}
}

func TestTemplateIsRebuiltAfterFailure(t *testing.T) {
	t.Parallel()
	broken := errors.New("relation does not exist, say")
	unfinished := template{name: "watchbill_template_of_" + t.Name(), fill: func(ctx context.Context, url string) error {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		_, err = conn.Exec(ctx, "CREATE TABLE half_made ()")
		return errors.Join(broken, err, conn.Close(ctx))
	}}
	if _, err := clone(t.Context(), serverURL(), unfinished); !errors.Is(err, broken) || !strings.Contains(err.Error(), unfinished.name) {
		t.Errorf("want the reason and the name, got %v", err)
	}

	finished := template{name: unfinished.name, fill: func(context.Context, string) error { return nil }}
	made, err := clone(t.Context(), serverURL(), finished)
	if err != nil {
		t.Fatal(err)
	}
	if !ask[bool](t, connect(t, made.url), "SELECT to_regclass('half_made') IS NULL") {
		t.Error("what was half made is still there")
	}
	server := connect(t, serverURL())
	if err := made.drop(t.Context()); err != nil {
		t.Error(err)
	}
	exec1(t, server, "ALTER DATABASE "+quoted(finished.name)+" IS_TEMPLATE false")
	exec1(t, server, "DROP DATABASE "+quoted(finished.name))
}

func TestProcessesShareAServer(t *testing.T) {
	t.Parallel()
	if os.Getenv(sharedServer) != "" {
		t.Skip("a server of one's own is needed: one without the template")
	}
	server, err := pgserver.Start(t.Context(), pgserver.Options{Ephemeral: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := server.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	outputs := make(chan string)
	const processes = 4
	for range processes {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=TestNewDatabaseIs", "-test.count=1")
		cmd.Env = append(os.Environ(), sharedServer+"="+server.URL())
		go func() {
			output, err := cmd.CombinedOutput()
			if err != nil {
				outputs <- err.Error() + "\n" + string(output)
				return
			}
			outputs <- ""
		}()
	}
	for range processes {
		if failure := <-outputs; failure != "" {
			t.Error(failure)
		}
	}
	conn := connect(t, server.URL())
	if got := ask[int](t, conn, "SELECT count(*) FROM pg_database WHERE datname LIKE 'watchbill\\_te%'"); got != 1 {
		t.Errorf("want the one template left, got %d databases", got)
	}
}

func TestServiceURL(t *testing.T) {
	t.Parallel()
	login := func(server string) string { return service + ":" + servicePassword(server) }
	for server, want := range map[string]string{
		"postgres://u:p@h:1/d?sslmode=disable":     "postgres://" + login("postgres://u:p@h:1/d?sslmode=disable") + "@h:1/new?sslmode=disable",
		"postgresql://h?dbname=d&user=u":           "postgresql://" + login("postgresql://h?dbname=d&user=u") + "@h/new",
		"host=h password=secret":                   "",
		"postgres://u:se cret@h:notaport/database": "",
	} {
		got, err := serviceURL(server, "new")
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: want %q, got %q, %v", server, want, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "cret") {
			t.Errorf("the error holds the password: %v", err)
		}
	}
}
