package logging

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

// stalledWriter blocks until it is resumed.
type stalledWriter struct {
	lockedBuffer
	resumed chan struct{}
}

func newStalledWriter() *stalledWriter { return &stalledWriter{resumed: make(chan struct{})} }

func (w *stalledWriter) Write(p []byte) (int, error) {
	<-w.resumed
	return w.lockedBuffer.Write(p)
}

func (w *stalledWriter) resume() { close(w.resumed) }

// messages returns the messages of log lines.
func messages(tb testing.TB, text string) []string {
	tb.Helper()
	var all []string
	for _, line := range jsonLines(tb, text) {
		all = append(all, line["msg"].(string))
	}
	return all
}

func TestStalledOutputDropsAndCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, dir := newStalledWriter(), t.TempDir()
		logs := newTestLogs(t, Options{Stdout: out, Dir: dir})
		const lines = 20_000
		padding := zap.String("padding", strings.Repeat("x", 200))
		for i := range lines {
			logs.App.Info(fmt.Sprint(i), padding)
			if i%1000 == 0 {
				logs.outputs[1].flush(t.Context()) // the file keeps up
			}
		}
		if queued := len(logs.outputs[0].queue); queued > maxQueuedInfos {
			t.Errorf("%d bytes are queued, want at most %d", queued, maxQueuedInfos)
		}
		logs.App.Error("last words", padding)

		time.Sleep(stalledAfter)
		if got := logs.Strains(); len(got) != 1 || !strings.Contains(got[0], "stdout is stalled") {
			t.Errorf("strains %q, want that stdout is stalled", got)
		}
		out.resume()
		logs.Sync()
		got := messages(t, out.String())
		kept := len(got) - 2
		dropped := lines - kept
		want := []string{"last words", fmt.Sprintf("%d log lines were dropped", dropped)}
		if kept < 1000 || dropped < 1000 || !slices.Equal(got[kept:], want) {
			t.Fatalf("%d lines, the last are %q, want %q", len(got), got[len(got)-2:], want)
		}
		for i, message := range got[:kept] {
			if message != fmt.Sprint(i) {
				t.Fatalf("line %d is %q: want the first lines, in order", i, message)
			}
		}
		if got := logs.outputs[0].dropped.Load(); got != int64(dropped) {
			t.Errorf("%d lines counted as dropped, want %d", got, dropped)
		}
		if got := len(messages(t, readFile(t, dir, AppLogFile))); got != lines+1 {
			t.Errorf("the file has %d lines, want %d: another output's stall is not its own", got, lines+1)
		}

		if got := logs.Strains(); len(got) != 1 || !strings.Contains(got[0], "dropped in the last minute") {
			t.Errorf("strains %q, want that lines were dropped", got)
		}
		time.Sleep(droppedFor + time.Second)
		if got := logs.Strains(); len(got) != 0 {
			t.Errorf("strains %q a minute later, want none", got)
		}
	})
}

// TestStalledOutputBlocksNobody checks that logging does not wait for a stalled output, and Close only for its limit.
func TestStalledOutputBlocksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stdout, stderr := newStalledWriter(), newStalledWriter()
		logs := newTestLogs(t, Options{Stdout: stdout, Stderr: stderr, Dir: t.TempDir()})
		began := time.Now()
		for range 50_000 {
			logs.App.Error("message")
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("logging waited for %s", took)
		}
		if err := logs.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != flushWithin+stderrWithin {
			t.Errorf("Close took %s, want %s", took, flushWithin+stderrWithin)
		}
		stdout.resume()
		stderr.resume()
		synctest.Wait()
		if got := stderr.String(); !strings.Contains(got, "log lines for stdout could not be written before the end") {
			t.Errorf("stderr has %q", got)
		}
	})
}

func TestCloseWritesWhatIsQueued(t *testing.T) {
	var out bytes.Buffer
	logs := newTestLogs(t, Options{Stdout: &out})
	const lines = 2000
	for range lines {
		logs.App.Info("message")
	}
	if err := logs.Close(); err != nil {
		t.Fatal(err)
	}
	if got := len(messages(t, out.String())); got != lines {
		t.Errorf("%d lines, want %d", got, lines)
	}
	logs.App.Info("too late") // must not panic
	if err := logs.Close(); err != nil {
		t.Errorf("Close again: %v", err)
	}
}

// TestHangingLogFile checks that a log file that hangs, here a FIFO that is not read, blocks neither logging nor
// closing.
func TestHangingLogFile(t *testing.T) {
	dir := t.TempDir()
	reader := newFIFO(t, filepath.Join(dir, AppLogFile))
	idle := newFIFO(t, filepath.Join(dir, SecurityLogFile)) // a FIFO cannot be synced
	defer idle.Close()
	var stdout lockedBuffer
	logs := newTestLogs(t, Options{Stdout: &stdout, Dir: dir})
	const lines = 3000
	for range lines {
		logs.App.Info("message")
	}
	if got := len(messages(t, stdout.String())); got != lines {
		t.Errorf("stdout has %d lines, want %d", got, lines)
	}
	deadline := time.Now().Add(10 * time.Second)
	for len(logs.Strains()) == 0 && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond) // poll
	}
	if got := logs.Strains(); len(got) != 1 || !strings.Contains(got[0], AppLogFile+" is stalled") {
		t.Errorf("strains %q, want that the file is stalled", got)
	}
	began := time.Now()
	if err := logs.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("Close took %s", took)
	}
	if err := reader.Close(); err != nil { // ends the write
		t.Error(err)
	}
	<-logs.outputs[1].done
}

func TestUnopenableLogFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	makeFIFO(t, path)
	if _, err := openFileWithin(50*time.Millisecond, path, time.Now); err == nil || !strings.Contains(err.Error(), "no response within") {
		t.Errorf("got %v, want an error that says that nothing answers", err)
	}
	reader, err := os.Open(path) // ends the blocked goroutine
	if err != nil {
		t.Fatal(err)
	}
	if err := reader.Close(); err != nil {
		t.Error(err)
	}
}

func TestFullDiskIsReportedOnce(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full here")
	}
	dir := t.TempDir()
	if err := os.Symlink("/dev/full", filepath.Join(dir, AppLogFile)); err != nil {
		t.Fatal(err)
	}
	clock := &testClock{time: epoch}
	var stdout, stderr lockedBuffer
	logs := newTestLogs(t, Options{Dir: dir, Stdout: &stdout, Stderr: &stderr, Now: clock.Now})
	stderr.sync = logs.Sync
	for range 1000 {
		logs.App.Info("message")
	}
	if got := stderr.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "no space left") {
		t.Errorf("stderr after 1000 lost lines: %q, want one line about the disk", got)
	}
	clock.Advance(reportEvery)
	logs.App.Info("message")
	logs.Sync()
	logs.App.Info("message")
	if got := stderr.String(); !strings.Contains(got, "(lines lost so far: 1001)") || strings.Count(got, "\n") != 2 {
		t.Errorf("stderr an hour later: %q, want a second line that counts 1001", got)
	}
	if got := len(messages(t, stdout.String())); got != 1002 {
		t.Errorf("stdout has %d lines, want 1002", got)
	}
}

func TestLongLinesStayWhole(t *testing.T) {
	var out lockedBuffer
	logs := newTestLogs(t, Options{Stdout: &out})
	for _, size := range []int{1, writeBytes - 80, writeBytes, 3 * writeBytes, 5} {
		logs.App.Info("message", zap.String("field", strings.Repeat("x", size)))
	}
	if got := len(messages(t, out.String())); got != 5 {
		t.Errorf("%d lines, want 5", got)
	}
}
