package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/watchbill/watchbill/api/openapi"
)

// terminal is a pseudo-terminal: text holds what is written to tty, as on a screen.
type terminal struct {
	tty  *os.File
	text chan string
}

func newTerminal(t *testing.T) *terminal {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	fd := int(screen.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{tty: tty, text: make(chan string, 1)}
	go func() {
		var text bytes.Buffer
		_, err := io.Copy(&text, screen)
		if err != nil && !errors.Is(err, syscall.EIO) { // returned at its end
			text.WriteString(err.Error())
		}
		_ = screen.Close()
		term.text <- strings.ReplaceAll(text.String(), "\r\n", "\n")
	}()
	return term
}

// close returns everything that was written.
func (term *terminal) close(t *testing.T) string {
	t.Helper()
	if err := term.tty.Close(); err != nil {
		t.Fatal(err)
	}
	return <-term.text
}

// runOnTerminal runs a command with both streams on terminals.
func (s shell) runOnTerminal(ctx context.Context, t *testing.T, args ...string) outcome {
	t.Helper()
	out, err := newTerminal(t), newTerminal(t)
	code := run(ctx, args, stdio{strings.NewReader(""), out.tty, err.tty}, s.lookup)
	return outcome{code, out.close(t), err.close(t)}
}

func TestColours(t *testing.T) {
	t.Parallel()
	api := newAPI(t, map[string]http.HandlerFunc{"GET /api/agents": jsonAnswer(200, openapi.AgentList{Agents: []openapi.Agent{
		{ID: "a", Name: "\x1b[41m", State: openapi.AgentStateOnline, PollIntervalSeconds: 10, LastSeenAt: at("09:30:00")},
	}})})
	const (
		plain  = "ID  NAME   STATE   LAST SEEN  INTERVAL  ENROLLED BY  LABELS\na   \ufffd[41m  online  0s ago     10s\n"
		colour = "\x1b[1mID\x1b[0m  \x1b[1mNAME\x1b[0m   \x1b[1mSTATE\x1b[0m   \x1b[1mLAST SEEN\x1b[0m  \x1b[1mINTERVAL\x1b[0m  \x1b[1mENROLLED BY\x1b[0m  \x1b[1mLABELS\x1b[0m\n" +
			"a   \ufffd[41m  \x1b[32monline\x1b[0m  0s ago     10s\n"
	)
	api.runOnTerminal(t.Context(), t, "agents", "list").check(t, 0, colour, "")
	api.with("NO_COLOR", "1").runOnTerminal(t.Context(), t, "agents", "list").check(t, 0, plain, "")
	api.with("TERM", "dumb").runOnTerminal(t.Context(), t, "agents", "list").check(t, 0, plain, "")
	api.run(t.Context(), "agents", "list").check(t, 0, plain, "")
	if got := api.runOnTerminal(t.Context(), t, "agents", "list", "-o", "json"); strings.ContainsRune(got.out, '\x1b') {
		t.Errorf("want JSON without escape sequences, got\n%q", got.out)
	}
}

func TestReportOnTerminal(t *testing.T) {
	t.Parallel()
	api := reportAPI(t, aReport(t, 100))
	got := api.runOnTerminal(t.Context(), t, "report")
	if got.code != exitMissed || !strings.Contains(got.out, "\x1b[31mFail: 1 of 1 objective missed\x1b[0m") {
		t.Errorf("want exit %d and a red verdict, got %d and\n%s", exitMissed, got.code, got.out)
	}
	if got := api.with("NO_COLOR", "1").runOnTerminal(t.Context(), t, "report"); strings.ContainsRune(got.out, '\x1b') {
		t.Errorf("NO_COLOR: want none, got\n%q", got.out)
	}
}

func TestStatusLineOnTerminal(t *testing.T) {
	t.Parallel()
	api := newAPI(t, map[string]http.HandlerFunc{
		"POST /api/deployments": jsonAnswer(201, openapi.CreatedDeployments{GroupID: groupID}),
		"GET /api/deployment-groups/" + groupID: answers(
			group(false, openapi.StatusCounts{Running: 1}), group(true, openapi.StatusCounts{Succeeded: 1}),
		),
	})
	api.runOnTerminal(t.Context(), t, "deploy", "--name", "app", "--agent", "a", "--spec", "{}", "--wait").check(t, 0, "group "+groupID+"\n",
		eraseLine+"1 deployment: 1 running"+eraseLine+"1 deployment: 1 succeeded\n")
}

// TestLogsOnTerminal checks that a log cannot control the terminal.
func TestLogsOnTerminal(t *testing.T) {
	t.Parallel()
	const log = "\x1b]0;title\x07red \x1b[31m\u009b1m\x00 10%\r20%\r\nrtl \u202e Ü 日本 \xff\ttab\n"
	api := newAPI(t, map[string]http.HandlerFunc{"GET /api/deployments/" + deploymentID + "/logs": logPiece(log, true)})
	const want = "\ufffd]0;title\ufffdred \ufffd[31m\ufffd1m\ufffd 10%\n20%\nrtl \ufffd Ü 日本 \ufffd\ttab\n"
	got := api.runOnTerminal(t.Context(), t, "logs", deploymentID, "--attempt", "1")
	got.out = regexp.MustCompile(` {2,8}tab`).ReplaceAllString(got.out, "\ttab") // terminals may expand it
	got.check(t, 0, want, "")
	api.run(t.Context(), "logs", deploymentID, "--attempt", "1").check(t, 0, log, "")
}
