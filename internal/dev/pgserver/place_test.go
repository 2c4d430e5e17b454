package pgserver

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestDirectoryOutOfReach(t *testing.T) {
	t.Parallel()
	who := serviceAccount()
	if !who.switched {
		t.Skip("only root runs PostgreSQL as somebody else")
	}
	closed := t.TempDir() // like /root
	wanted := filepath.Join(closed, "project", "data")
	full, open := reachableDir(t), reachableDir(t)
	writeFile(t, filepath.Join(full, standInName(wanted)), "in the way")

	var log strings.Builder
	logf := func(format string, args ...any) { fmt.Fprintf(&log, format, args...) }
	for range 2 {
		got, err := who.place(t.Context(), wanted, []string{full, open}, logf)
		if err != nil {
			t.Fatal(err)
		}
		if want := filepath.Join(open, standInName(wanted)); got != want {
			t.Errorf("want %s, got %s", want, got)
		}
	}
	if !strings.Contains(log.String(), "instead of "+wanted) {
		t.Errorf("the log does not say so: %s", &log)
	}
	if name := standInName(wanted); name == standInName(filepath.Join(closed, "other", "data")) {
		t.Errorf("two directories have the stand-in %s", name)
	}
	if name := standInName("/" + ephemeralPrefix + "1"); strings.HasPrefix(name, ephemeralPrefix) {
		t.Errorf("%s would be removed for that of a server that crashed", name)
	}
	if !missing(filepath.Join(closed, "project")) {
		t.Error("an empty folder was left where none could be used")
	}
}

func TestStandInOfAnotherUser(t *testing.T) {
	t.Parallel()
	who := serviceAccount()
	if !who.switched {
		t.Skip("only root runs PostgreSQL as somebody else")
	}
	wanted, open := filepath.Join(t.TempDir(), "data"), reachableDir(t)
	foreseen := filepath.Join(open, standInName(wanted))
	if err := os.Mkdir(foreseen, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(foreseen, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	if got, err := who.place(t.Context(), wanted, []string{open}, t.Logf); err == nil || !strings.Contains(err.Error(), "not a directory of ours") {
		t.Errorf("want a refusal, got %s, %v", got, err)
	}
}

// TestServerOutOfReach starts a server for a project that other users cannot access, such as one under /root.
func TestServerOutOfReach(t *testing.T) {
	t.Parallel()
	server := mustStart(t, Options{DataDir: filepath.Join(t.TempDir(), "data")})
	if serviceAccount().switched {
		t.Cleanup(func() { _ = os.RemoveAll(server.home.dir) })
	}
	if got := query(t, server, "SELECT 1"); got != "1" {
		t.Error("it does not work")
	}
}

func TestClusterOfAnotherAccountIsTakenOver(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	dir := reachableDir(t)
	first := mustStart(t, Options{DataDir: dir})
	mustStop(t, first)
	if err := (account{switched: true}).own(first.home.data()); err != nil { // as after a restore by root
		t.Fatal(err)
	}
	second := mustStart(t, Options{DataDir: dir})
	info, err := os.Stat(second.home.data())
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Sys().(*syscall.Stat_t).Uid; got != second.home.who.uid {
		t.Errorf("owner: want %d, got %d", second.home.who.uid, got)
	}
}
