package gateway_test

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/watchbill/watchbill/internal/execution/gateway"
)

func agentsNamed(name string) string {
	return "agents: [{name: " + name + ", types: ['*'], kind: echo}]"
}

func TestFileChangesAreApplied(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "agents.yaml")
		write := func(content string) {
			t.Helper()
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		core, logs := observer.New(zapcore.InfoLevel)
		write(agentsNamed("one"))
		w, err := gateway.Watch(path, environment, zap.New(core))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.Run(ctx) }()

		wantThen := func(when, agent string, lines int) {
			t.Helper()
			time.Sleep(3 * gateway.WatchEvery)
			synctest.Wait()
			if got := w.Agents().Find("x"); got != agent {
				t.Errorf("%s: want agent %s in force, got %s", when, agent, got)
			}
			if got := logs.TakeAll(); len(got) != lines {
				t.Errorf("%s: want %d log lines, got %v", when, lines, got)
			}
		}
		wantThen("nothing happened", "one", 0)
		write(agentsNamed("two")) // of the same size, and possibly with the same modification time
		wantThen("a new file", "two", 1)
		write("agents: [")
		wantThen("a broken file", "two", 1)
		write("agents: [ ")
		wantThen("broken otherwise", "two", 1)
		write(agentsNamed("two"))
		wantThen("fixed", "two", 1)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		wantThen("no file", "two", 1)
		wantThen("still none", "two", 0)
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		wantThen("a pipe", "two", 1)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		target := filepath.Join(filepath.Dir(path), "target.yaml") // as in a Kubernetes volume
		if err := os.WriteFile(target, []byte(agentsNamed("three")), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
		wantThen("a link", "three", 1)
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("run: %v", err)
		}
	})
}

func TestInvalidFirstFileIsFatal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.yaml")
	if err := os.WriteFile(broken, []byte("agents:\n- name: a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "none.yaml"): "read the agents: stat " + filepath.Join(dir, "none.yaml") + ": no such file or directory",
		dir:                             "read the agents: " + dir + " is not a regular file",
		broken: "read the agents in " + broken + ": line 2: agents[0].types: is missing\n" +
			"line 2: agents[0].kind: is missing",
	} {
		_, err := gateway.Watch(path, environment, zap.NewNop())
		if err == nil {
			t.Errorf("%s: want an error", path)
			continue
		}
		if diff := cmp.Diff(want, err.Error()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}
