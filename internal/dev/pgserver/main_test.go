package pgserver

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"
)

// holdEnv makes the test binary start a server, print its pid and URL, and wait to be killed by the test. The value is
// the DataDir, or "ephemeral".
const holdEnv = "PGSERVER_TEST_HOLD"

func TestMain(m *testing.M) {
	if held := os.Getenv(holdEnv); held != "" {
		holdServer(held)
		return
	}
	goleak.VerifyTestMain(m)
}

func holdServer(held string) {
	opts := Options{DataDir: held}
	if held == "ephemeral" {
		opts = Options{Ephemeral: true}
	}
	server, err := Start(context.Background(), opts)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(server.Pid(), server.home.dir)
	_, _ = io.Copy(io.Discard, os.Stdin) // until the test closes it
}

// startHolder runs holdServer in a separate process.
func startHolder(t *testing.T, held string) (parent *exec.Cmd, serverPid int, dir string) {
	t.Helper()
	parent = exec.CommandContext(t.Context(), os.Args[0])
	parent.Env = append(os.Environ(), holdEnv+"="+held)
	parent.Stderr = os.Stderr
	if _, err := parent.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	output, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatalf("reading what the holder says: %v", err)
	}
	pid, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
	if serverPid, err = strconv.Atoi(pid); err != nil {
		t.Fatal(err)
	}
	return parent, serverPid, dir
}

// reachableDir is a t.TempDir that the unprivileged account can enter.
func reachableDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "pgserver-test-") //nolint:usetesting // t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func mustStart(t *testing.T, opts Options) *Server {
	t.Helper()
	opts.Logf = t.Logf
	server, err := Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mustStop(t, server) })
	return server
}

func mustStop(t *testing.T, server *Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := server.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// query runs SQL and returns the first column of the first row as text, or "" if there is none.
func query(t *testing.T, server *Server, sql string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, server.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	results, err := conn.PgConn().Exec(ctx, sql).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	last := results[len(results)-1]
	if len(last.Rows) == 0 {
		return ""
	}
	return string(last.Rows[0][0])
}

// serversOf returns the processes with dir in their command line. Zombies have no command line.
func serversOf(t *testing.T, dir string) (pids []string) {
	t.Helper()
	found, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range found {
		line, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(line), dir) {
			pids = append(pids, filepath.Base(filepath.Dir(path)))
		}
	}
	return pids
}

func missing(path string) bool {
	_, err := os.Lstat(path)
	return os.IsNotExist(err)
}
