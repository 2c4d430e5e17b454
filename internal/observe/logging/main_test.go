package logging

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// epoch is the time at which tests begin: ten seconds past a minute.
var epoch = time.Date(2026, 3, 1, 12, 0, 10, 0, time.UTC)

func newTestLogs(tb testing.TB, opts Options) *Logs {
	tb.Helper()
	if opts.Stderr == nil {
		opts.Stderr = tb.Output()
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	logs, err := New(opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = logs.Close() })
	if buffer, ok := opts.Stdout.(*lockedBuffer); ok {
		buffer.sync = logs.Sync
	}
	return logs
}

// lockedBuffer is a buffer that may be read while it is written. As the stdout of newTestLogs it contains all lines
// that were logged before it is read.
type lockedBuffer struct {
	sync func()
	mu   sync.Mutex
	b    bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	if b.sync != nil {
		b.sync()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
