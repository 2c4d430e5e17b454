package pgserver

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/testkit/await"
)

func TestDataOutlivesTheServer(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(reachableDir(t), "made", "by", "us")
	first := mustStart(t, Options{DataDir: dir})
	query(t, first, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (42)")
	mustStop(t, first)
	if running := serversOf(t, dir); len(running) > 0 {
		t.Errorf("after Stop, processes %v run", running)
	}

	second := mustStart(t, Options{DataDir: dir})
	for sql, want := range map[string]string{
		"SELECT n FROM kept":   "42",
		"SHOW server_encoding": "UTF8",
		"SELECT datcollate FROM pg_database WHERE datname = current_database()": "C",
		"SHOW listen_addresses":        "127.0.0.1",
		"SHOW fsync":                   "on",
		"SELECT current_user":          "watchbill",
		"SELECT current_database()":    "watchbill",
		"SELECT usesuper FROM pg_user": "t",
		"SELECT left(rolpassword, 5) FROM pg_authid WHERE rolname = 'watchbill'": "SCRAM",
	} {
		if got := query(t, second, sql); got != want {
			t.Errorf("%s: want %q, got %q", sql, want, got)
		}
	}
	for name, want := range map[string]os.FileMode{"password": 0o600, "data": 0o700, "postgresql.log": 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("mode of %s: want %o, got %o", name, want, got)
		}
	}
}

func TestServerRunsUnprivilegedInItsOwnGroup(t *testing.T) {
	t.Parallel()
	server := mustStart(t, Options{Ephemeral: true})
	group, err := syscall.Getpgid(server.Pid())
	if err != nil {
		t.Fatal(err)
	}
	if group != server.Pid() {
		t.Errorf("process group: want its own, %d, got %d", server.Pid(), group)
	}
	status, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(server.Pid()), "status"))
	if err != nil {
		t.Skip("no /proc to ask for the owner")
	}
	if strings.Contains(string(status), "\nUid:\t0\t") {
		t.Error("the server runs as root")
	}
	environ, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(server.Pid()), "environ"))
	if err == nil && strings.Contains(string(environ), "HOME=") {
		t.Error("the server sees our environment")
	}
}

func TestEphemeralServersAreSeparateAndLeaveNothing(t *testing.T) {
	t.Parallel()
	one, two := mustStart(t, Options{Ephemeral: true}), mustStart(t, Options{Ephemeral: true})
	if one.URL() == two.URL() {
		t.Error("two servers, one URL")
	}
	query(t, one, "CREATE TABLE only_in_one ()")
	if got := query(t, two, "SELECT to_regclass('only_in_one') IS NULL"); got != "t" {
		t.Error("what one made is in two")
	}
	for setting, want := range map[string]string{
		"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "max_connections": "200",
	} {
		if got := query(t, one, "SHOW "+setting); got != want {
			t.Errorf("%s: want %s, got %s", setting, want, got)
		}
	}
	for range 2 {
		mustStop(t, one)
	}
	if !missing(one.home.dir) {
		t.Errorf("%s is still there", one.home.dir)
	}
	if got := query(t, two, "SELECT 1"); got != "1" {
		t.Error("stopping one stopped two")
	}
}

func TestStartRefuses(t *testing.T) {
	t.Parallel()
	live := reachableDir(t)
	server := mustStart(t, Options{DataDir: live})

	other := reachableDir(t)
	writeFile(t, filepath.Join(other, "data", "PG_VERSION"), "14\n")

	forgotten := reachableDir(t)
	writeFile(t, filepath.Join(forgotten, "data", "PG_VERSION"), strconv.Itoa(majorOf(t, server))+"\n")

	for name, test := range map[string]struct {
		opts Options
		want []string
	}{
		"a live directory":         {Options{DataDir: live}, []string{strconv.Itoa(os.Getpid()), strconv.Itoa(server.Pid()), live}},
		"another major version":    {Options{DataDir: other}, []string{"PostgreSQL 14", "is " + strconv.Itoa(majorOf(t, server))}},
		"a cluster of no password": {Options{DataDir: forgotten}, []string{"password"}},
		"no directory":             {Options{}, []string{"ephemeral"}},
		"a folder without programs": {
			Options{Ephemeral: true, BinDir: other},
			[]string{"finding PostgreSQL", other},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			started, err := Start(t.Context(), test.opts)
			if err == nil {
				mustStop(t, started)
				t.Fatal("it started")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("want %q in the error, got: %v", want, err)
				}
			}
		})
	}
}

func TestStartReportsServerOutput(t *testing.T) {
	t.Parallel()
	dir := reachableDir(t)
	mustStop(t, mustStart(t, Options{DataDir: dir}))
	writeFile(t, filepath.Join(dir, "data", "postgresql.auto.conf"), "no_such_setting = 1\n")
	_, err := Start(t.Context(), Options{DataDir: dir})
	if err == nil || !strings.Contains(err.Error(), "no_such_setting") {
		t.Errorf("want the server's own words, got: %v", err)
	}
}

func TestServerExitsWithItsParent(t *testing.T) {
	t.Parallel()
	kept := reachableDir(t)
	for _, held := range []string{kept, "ephemeral"} {
		parent, pid, dir := startHolder(t, held)
		if err := parent.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = parent.Wait() // killed
		await.Until(t, "PostgreSQL "+strconv.Itoa(pid)+" ends with its parent", func() bool {
			return len(serversOf(t, dir)) == 0
		})
		next := mustStart(t, Options{DataDir: kept, Ephemeral: held == "ephemeral"})
		if got := query(t, next, "SELECT 1"); got != "1" {
			t.Error("the next server does not work")
		}
		if held == "ephemeral" { // it is removed by the next server, or by that of a test at the same time
			await.Until(t, dir+" is removed", func() bool { return missing(dir) })
		}
	}
}

func TestServerOutlivesTheThreadThatAskedForIt(t *testing.T) {
	t.Parallel()
	var server *Server
	var thread string
	var ask func(done chan<- struct{})
	ask = func(done chan<- struct{}) {
		defer close(done)
		runtime.LockOSThread() // not unlocked, so that the thread ends with the goroutine
		thread, _ = os.Readlink("/proc/thread-self")
		if filepath.Base(thread) == strconv.Itoa(os.Getpid()) { // the main thread never ends: hold it
			another := make(chan struct{})
			go ask(another)
			<-another
			runtime.UnlockOSThread()
			return
		}
		var err error
		if server, err = Start(t.Context(), Options{Ephemeral: true}); err != nil {
			t.Error(err)
		}
	}
	done := make(chan struct{})
	go ask(done)
	<-done
	if server == nil {
		return
	}
	t.Cleanup(func() { mustStop(t, server) })
	if thread == "" {
		t.Skip("no /proc to see threads in")
	}
	await.Until(t, "the thread's end", func() bool { return missing(filepath.Join("/proc", thread)) })
	if got := query(t, server, "SELECT 1"); got != "1" {
		t.Error("the server ended with the thread")
	}
}

func TestStartWaitsForTheServerOfAKilledParent(t *testing.T) {
	t.Parallel()
	dir := reachableDir(t)
	server, err := tryLock(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE) // the lock that it inherited
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	parent := exec.CommandContext(t.Context(), "/bin/sh", "-c", ":")
	if err := parent.Run(); err != nil {
		t.Fatal(err)
	}
	writeFile(t, server.Name(), strconv.Itoa(parent.Process.Pid))

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := Start(ctx, Options{DataDir: dir}); !errors.Is(err, errLocked) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("want a wait for the lock, got %v", err)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	mustStart(t, Options{DataDir: dir})
}

func TestStopKillsAtItsDeadline(t *testing.T) {
	t.Parallel()
	server := mustStart(t, Options{Ephemeral: true})
	if err := syscall.Kill(server.Pid(), syscall.SIGSTOP); err != nil { // ignores everything but SIGKILL
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := server.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("want deadline exceeded, got %v", err)
	}
	if running := serversOf(t, server.home.dir); len(running) > 0 || !missing(server.home.dir) {
		t.Errorf("after Stop, processes %v run, or the directory remains", running)
	}
}

func TestServeNoticesALostPort(t *testing.T) {
	t.Parallel()
	server := mustStart(t, Options{Ephemeral: true})
	taken, err := strconv.Atoi(query(t, server, "SHOW port"))
	if err != nil {
		t.Fatal(err)
	}
	second := mustStart(t, Options{DataDir: reachableDir(t)})
	mustStop(t, second)
	programs, err := defaultSources().find(t.Context(), Options{Logf: t.Logf}, second.home.who, majorOf(t, server))
	if err != nil {
		t.Fatal(err)
	}
	second.home.lock, err = tryLock(filepath.Join(second.home.dir, lockName), os.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	defer second.home.lock.Close()
	process, err := second.home.launch(programs, taken)
	if err != nil {
		t.Fatal(err)
	}
	err = second.home.awaitReady(t.Context(), process, databaseURL("postgres", "wrong", taken))
	if err == nil || !process.exited() || !portTaken(t.Context(), taken) {
		t.Errorf("want a server that ended since its port was taken, got %v", err)
	}
}

// TestAsAnOrdinaryUser runs the other tests again as uid 65534, if this process is root.
func TestAsAnOrdinaryUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("we are one")
	}
	dir := reachableDir(t)
	home := filepath.Join(dir, "home")
	if err := errors.Join(os.Mkdir(home, 0o700), os.Chown(home, lastResortID, lastResortID)); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "pgserver.test")
	copyFile(t, os.Args[0], program)
	cmd := exec.CommandContext(t.Context(), program, "-test.v", "-test.skip=Download|AsAnOrdinaryUser", "-test.timeout=5m")
	cmd.Dir = home
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + home}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: lastResortID, Gid: lastResortID}}
	output, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(output), "--- PASS: TestDataOutlivesTheServer") {
		t.Errorf("%v\n%s", err, output)
	}
	if left, err := filepath.Glob(filepath.Join(home, "*watchbill-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func majorOf(t *testing.T, server *Server) int {
	t.Helper()
	major, err := server.home.major()
	if err != nil {
		t.Fatal(err)
	}
	return major
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	syscall.ForkLock.RLock() // as in copyFile, since some are scripts
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// copyFile copies a program. A process forked while the copy is open for writing would inherit it, and running
// the copy would fail with ETXTBSY until that process executes its own program.
func copyFile(t *testing.T, from, to string) {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	source, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(target, source)
	if err := errors.Join(err, target.Close()); err != nil {
		t.Fatal(err)
	}
}
