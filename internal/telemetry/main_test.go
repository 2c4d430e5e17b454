package telemetry

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// epoch is when tests begin: ten seconds past a minute.
var epoch = time.Date(2026, 3, 1, 12, 0, 10, 0, time.UTC)

func newTestLogs(tb testing.TB, opts LogOptions) *Logs {
	tb.Helper()
	if opts.Stderr == nil {
		opts.Stderr = tb.Output()
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	logs, err := NewLogs(opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = logs.Close() })
	return logs
}
