package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/testkit/tree"
)

// TestPythonAgent runs examples/agent.py against a real server: it claims, renews its lease, reports outcomes and
// output, and kills the command of a canceled deployment.
func TestPythonAgent(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("SKIPPED: examples/agent.py is not tested, since there is no python3")
	}
	sh, stop := startReplica(t, "")
	defer stop()
	var enrolled openapi.EnrolledAgent
	out := sh.must(t, "agents", "enroll", "--id", "py-1", "--name", "Python", "-o", "json")
	if err := json.Unmarshal([]byte(out), &enrolled); err != nil {
		t.Fatal(err)
	}

	const command = `read -r deployment; case "$deployment" in *'"fail"'*) echo no; exit 1;; *'"hang"'*) exec sleep 600;; *'"slow"'*) sleep 6;; esac; echo done`
	agent := exec.CommandContext(t.Context(), python, filepath.Join(tree.Root(), "examples", "agent.py"), sh.env["WATCHBILL_SERVER"], "py-1", command)
	agent.Env = append(os.Environ(), "WATCHBILL_TOKEN="+enrolled.Token, "no_proxy=127.0.0.1")
	var stderr bytes.Buffer
	agent.Stderr, agent.WaitDelay = &stderr, 5*time.Second
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := agent.Process.Signal(syscall.SIGTERM); err != nil {
			t.Errorf("the agent ended by itself: %v", err)
		}
		exit := &exec.ExitError{}
		if err := agent.Wait(); err != nil && !errors.As(err, &exit) {
			t.Error(err)
		}
		if text := stderr.String(); strings.Contains(text, "Traceback") || strings.Contains(text, enrolled.Token) {
			t.Errorf("the agent wrote:\n%s", text)
		}
	}()

	deploy := func(name, attempts string) {
		sh.must(t, "deploy", "--agent", "py-1", "--name", name, "--spec", `{"do":"`+name+`"}`, "--lease", "5s", "--max-attempts", attempts)
	}
	reaches := func(name string, want openapi.DeploymentStatus) openapi.Deployment {
		t.Helper()
		deadline := time.Now().Add(time.Minute)
		for {
			var list openapi.DeploymentList
			if err := json.Unmarshal([]byte(sh.must(t, "deployments", "list", "--agent", "py-1", "-o", "json")), &list); err != nil {
				t.Fatal(err)
			}
			for _, d := range list.Deployments {
				if d.Name == name && d.Status == want {
					return d
				}
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s did not become %s: %+v\n%s", name, want, list.Deployments, stderr.String())
			}
			<-time.After(20 * time.Millisecond)
		}
	}

	deploy("slow", "1") // takes longer than the lease, which must be renewed
	if d := reaches("slow", openapi.DeploymentStatusSucceeded); d.Output != "done\n" {
		t.Errorf("want its output, got %v", d.Output)
	}
	deploy("fail", "2")
	if d := reaches("fail", openapi.DeploymentStatusFailed); d.Attempt != 2 || d.Output != "no\n" {
		t.Errorf("want a second attempt with its output, got %d, %v", d.Attempt, d.Output)
	}
	deploy("hang", "1")
	hanging := reaches("hang", openapi.DeploymentStatusRunning)
	sh.must(t, "deployments", "cancel", hanging.ID)
	deploy("after", "1") // runs only after the hanging command was killed
	reaches("after", openapi.DeploymentStatusSucceeded)
}
