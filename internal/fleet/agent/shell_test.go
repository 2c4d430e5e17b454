package agent_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/fleet/agent"
	"github.com/watchbill/watchbill/internal/testkit/await"
)

// record collects output.
type record struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.String()
}

// lives reports whether a process runs. A zombie does not.
func lives(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}

func work(spec string) agent.Work {
	w := agent.Work{PendingDeployment: openapi.PendingDeployment{ID: "d1", Name: "app\x00 1", Attempt: 2, Spec: json.RawMessage(spec)}}
	w.JSON = json.RawMessage(`{"id":"d1","spec":` + spec + `}`)
	return w
}

func TestShellRuns(t *testing.T) {
	tests := map[string]struct {
		command       string
		wantOut       string
		wantErr       string
		wantPermanent bool
	}{
		"stdin":               {"cat", `{"id":"d1","spec":{"a":1}}`, "", false},
		"environment":         {`echo "$WATCHBILL_DEPLOYMENT_ID|$WATCHBILL_DEPLOYMENT_NAME|$WATCHBILL_ATTEMPT|$HOME"`, "d1|app 1|2|/home/x\n", "", false},
		"no secrets":          {`echo "$WATCHBILL_TOKEN$ADMIN_TOKEN$DATABASE_URL$INGEST_TOKEN$ENROLLMENT_TOKEN"`, "\n", "", false},
		"both streams":        {"echo a; echo b >&2; echo c", "a\nb\nc\n", "", false},
		"failure":             {"exit 3", "", "exit status 3", false},
		"permanent failure":   {"echo no such image; exit 78", "no such image\n", "exit status 78", true},
		"death by a signal":   {"kill -9 $$", "", "signal: killed", false},
		"no such command":     {"/no/such/command 2>/dev/null", "", "exit status 127", false},
		"stdin not read":      {"exit 0", "", "", false},
		"more than a pipe":    {"head -c 300000 /dev/zero | tr '\\0' x", strings.Repeat("x", 300000), "", false},
		"closes its output":   {"exec >/dev/null 2>&1; echo a", "", "", false},
		"leaves a background": {"sleep 1000 & echo done", "done\n", "", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shell := agent.Shell{Command: tt.command, Grace: 10 * time.Second, Env: []string{
				"PATH=" + os.Getenv("PATH"), "HOME=/home/x", "WATCHBILL_TOKEN=s", "ADMIN_TOKEN=s", "DATABASE_URL=s", "INGEST_TOKEN=s", "ENROLLMENT_TOKEN=s",
			}}
			var out record
			err := shell.Run(t.Context(), work(`{"a":1}`), &out)
			if got := fmt.Sprint(err); got != tt.wantErr && (err != nil || tt.wantErr != "") {
				t.Errorf("got the error %q, want %q", got, tt.wantErr)
			}
			if got := agent.IsPermanent(err); got != tt.wantPermanent {
				t.Errorf("permanent: got %t, want %t", got, tt.wantPermanent)
			}
			if got := out.String(); got != tt.wantOut {
				t.Errorf("got the output %.200q, want %.200q", got, tt.wantOut)
			}
		})
	}
}

// However a command ends, none of its processes is left.
func TestShellLeavesNoProcesses(t *testing.T) {
	const large = 250 << 10 // more than a pipe holds
	tests := map[string]struct {
		command string
		stop    bool // stop it once it has printed that it is ready
		grace   time.Duration
		wantErr string
		wantOut string
	}{
		"ended by itself":            {command: "sleep 1000 & echo $! > $PIDS; echo ready"},
		"background holds the stdin": {command: "exec 3<&0; sleep 1000 <&3 & echo $! > $PIDS; echo ready"},
		"terminated":                 {command: "sleep 1000 & echo $! > $PIDS; echo ready; wait", stop: true, grace: time.Minute, wantErr: "signal: terminated"},
		"ignores SIGTERM":            {command: "trap '' TERM; sleep 1000 & echo $$ $! > $PIDS; echo ready; wait; wait", stop: true, grace: 50 * time.Millisecond, wantErr: "signal: killed"},
		"only its child ignores it":  {command: "sh -c \"trap '' TERM; echo \\$\\$ > $PIDS; echo ready; sleep 1000; sleep 1000\" & wait", stop: true, grace: 50 * time.Millisecond, wantErr: "signal: terminated"},
		"cleans up":                  {command: "trap 'echo bye; exit 4' TERM; echo $$ > $PIDS; echo ready; sleep 1000 & wait", stop: true, grace: time.Minute, wantErr: "exit status 4", wantOut: "ready\nbye\n"},
		"its child cleans up": {
			command: "sh -c \"trap 'sleep 0.1; echo bye; exit' TERM; echo \\$\\$ > $PIDS; echo ready; sleep 1000 & wait\" & wait",
			stop:    true, grace: time.Minute, wantErr: "signal: terminated", wantOut: "ready\nbye\n",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pids := filepath.Join(t.TempDir(), "pids")
			shell := agent.Shell{Command: tt.command, Grace: tt.grace, Env: []string{"PATH=" + os.Getenv("PATH"), "PIDS=" + pids}}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var out record
			result := make(chan error, 1)
			go func() { result <- shell.Run(ctx, work(`"`+strings.Repeat("x", large)+`"`), &out) }()
			await.Until(t, "the command is ready", func() bool { return strings.Contains(out.String(), "ready\n") })
			if tt.stop {
				cancel()
			}
			err := <-result
			if got := fmt.Sprint(err); got != tt.wantErr && (err != nil || tt.wantErr != "") {
				t.Errorf("got the error %q, want %q", got, tt.wantErr)
			}
			if tt.wantOut != "" && out.String() != tt.wantOut {
				t.Errorf("got the output %q, want %q", out.String(), tt.wantOut)
			}
			list, err := os.ReadFile(pids)
			if err != nil {
				t.Fatal(err)
			}
			for _, field := range strings.Fields(string(list)) {
				pid, _ := strconv.Atoi(field)
				if lives(pid) {
					t.Errorf("process %d is left", pid)
				}
			}
		})
	}
}

// A process that left the process group is not killed, but must not delay the end.
func TestShellDoesNotWaitForEscapedProcess(t *testing.T) {
	var out record
	shell := agent.Shell{Command: "mkfifo $D/up; setsid sh -c 'echo $$ >$D/up; exec sleep 1000' & read pid <$D/up; echo $pid", Env: append(os.Environ(), "D="+t.TempDir())}
	if err := shell.Run(t.Context(), work(`{}`), &out); err != nil {
		t.Errorf("Run: %v", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(out.String()))
	if err != nil {
		t.Fatal(err)
	}
	if !lives(pid) {
		t.Error("the process did not escape, so this test shows nothing")
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
}

func TestShellDoesNotStartWhenStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	mark := filepath.Join(t.TempDir(), "mark")
	err := agent.Shell{Command: "touch " + mark, Env: os.Environ()}.Run(ctx, work(`{}`), &record{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want it cancelled", err)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("the command was started")
	}
}
