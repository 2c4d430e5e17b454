package main

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/observe/logging"
	"github.com/watchbill/watchbill/internal/replica"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/testkit/postgrestest"
)

// startReplica starts a real replica. Call stop before the test's database is removed.
func startReplica(t *testing.T, logDir string) (sh shell, stop func()) {
	t.Helper()
	config := replica.Defaults()
	config.Listen, config.MetricsListen = "127.0.0.1:0", "127.0.0.1:0"
	config.DatabaseURL, config.DatabaseMaxConns = postgrestest.NewDatabase(t), 4
	config.AdminToken, config.EnrollmentToken, config.IngestToken = "the-admin-token", "the-enrollment-token", "the-ingest-token"
	config.RetryBackoff, config.RetryLimit = 50*time.Millisecond, 50*time.Millisecond
	logs, err := logging.New(logging.Options{Dir: logDir, Stdout: io.Discard, Stderr: io.Discard, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	r, err := replica.New(t.Context(), config, logs, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	sh = shell{}.with("WATCHBILL_SERVER", "http://"+r.Address(), "ADMIN_TOKEN", config.AdminToken, "DATABASE_URL", config.DatabaseURL)
	return sh, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := logs.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestStory uses the commands in a typical order against the real API: enroll, run an agent, deploy, read logs, list,
// report.
func TestStory(t *testing.T) {
	t.Parallel()
	logDir := t.TempDir()
	sh, stop := startReplica(t, logDir)
	defer stop()

	const enroll = "agents enroll --id edge-1 --name Edge --label region=eu -o json"
	var enrolled openapi.EnrolledAgent
	out := sh.with("ADMIN_TOKEN", "", "ENROLLMENT_TOKEN", "the-enrollment-token").must(t, strings.Fields(enroll)...)
	if err := json.Unmarshal([]byte(out), &enrolled); err != nil {
		t.Fatal(err)
	}
	if again := sh.run(t.Context(), strings.Fields(enroll)...); again.code != exitFailed || !strings.HasPrefix(again.err, "watchbill: 409 agent_exists: ") {
		t.Errorf("enrolling twice: want exit 1 and why, got %d: %s", again.code, again.err)
	}
	if wrong := sh.with("ADMIN_TOKEN", "wrong").run(t.Context(), "agents", "list"); wrong.code != exitFailed || !strings.HasPrefix(wrong.err, "watchbill: admin token rejected; check ADMIN_TOKEN or --token-file (403 ") {
		t.Errorf("wrong token: want exit 1 and why, got %d: %s", wrong.code, wrong.err)
	}

	const command = `grep -q '"do":"fail"' && exit 78; echo hello from "$WATCHBILL_DEPLOYMENT_NAME"; echo "admin token: $ADMIN_TOKEN"`
	agentCtx, stopAgent := context.WithCancel(t.Context())
	agentEnded := make(chan outcome, 1)
	go func() {
		agentEnded <- sh.with("WATCHBILL_TOKEN", enrolled.Token).
			run(agentCtx, "agent", "--id", "edge-1", "--wait", "10s", "--exec", command)
	}()

	deploy := func(name, spec string) outcome {
		return sh.run(t.Context(), "deploy", "--selector", "region=eu", "--name", name, "--spec", spec, "--wait")
	}
	good := deploy("app 1.4.2", `{"do":"succeed"}`)
	if good.code != 0 || !strings.HasSuffix(good.err, "1 deployment: 1 succeeded\n") {
		t.Errorf("want exit 0 and success, got %d: %s", good.code, good.err)
	}
	bad := deploy("app 1.4.3", `{"do":"fail"}`)
	if bad.code != exitFailed || !strings.Contains(bad.err, "1 deployment: 1 failed\nwatchbill: 1 of 1 did not succeed; see ") {
		t.Errorf("want exit 1 and failure, got %d: %s", bad.code, bad.err)
	}

	var list openapi.DeploymentList
	if err := json.Unmarshal([]byte(sh.must(t, "deployments", "list", "--status", "succeeded", "-o", "json")), &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Deployments) != 1 {
		t.Fatalf("want the one that succeeded, got %+v", list)
	}
	if want := "group " + list.Deployments[0].GroupID + "\ndeployment " + list.Deployments[0].ID + "\n"; good.out != want {
		t.Errorf("deploy prints %q, want %q", good.out, want)
	}
	id := list.Deployments[0].ID
	for _, follow := range []string{"--follow=false", "--follow"} {
		if got, want := sh.must(t, "logs", id, follow), "hello from app 1.4.2\nadmin token: \n"; got != want {
			t.Errorf("logs %s: want %q, got %q", follow, want, got)
		}
	}
	if got := sh.must(t, "deployments", "get", id); !strings.Contains(got, "edge-1") {
		t.Errorf("get: want the agent's id, got\n%s", got)
	}
	if got := sh.run(t.Context(), "deployments", "cancel", id); got.code != exitFailed || !strings.HasPrefix(got.err, "watchbill: "+id+": 409 deployment_finished: ") {
		t.Errorf("cancel: want exit 1 and why, got %d: %s", got.code, got.err)
	}
	if got := sh.must(t, "agents", "list", "--label", "region in (eu)", "--limit", "1"); !strings.Contains(got, "edge-1") {
		t.Errorf("agents list: want edge-1, got\n%s", got)
	}

	file := filepath.Join(t.TempDir(), "reports", "daily.json")
	made := sh.run(t.Context(), "report", "--hours", "1", "--output", file, "--log-dir", logDir)
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v: %s", err, made.err)
	}
	doc := decodeReport(t, string(content))
	wantCode := map[report.Verdict]int{report.Pass: 0, report.NoData: 0, report.Fail: exitMissed}[doc.Verdict]
	if made.code != wantCode || !strings.HasPrefix(made.err, "watchbill: wrote "+file+", verdict "+string(doc.Verdict)) {
		t.Errorf("verdict %s: want exit %d, got %d: %s", doc.Verdict, wantCode, made.code, made.err)
	}
	if logs := doc.Sections.Logs; logs == nil || logs.Files != 2 || logs.Requests.Requests == 0 || logs.UnreadableLines != 0 {
		t.Errorf("want what 2 log files say, got %+v", logs)
	}

	stopAgent()
	if got := <-agentEnded; got.code != 0 || got.out != "" || strings.Contains(got.err, enrolled.Token) {
		t.Errorf("the agent: want exit 0, no output and no token in its log, got %d\n%s%s", got.code, got.out, got.err)
	}
	sh.run(t.Context(), "agents", "delete", "edge-1").check(t, 0, "edge-1 deleted\n", "")
}
