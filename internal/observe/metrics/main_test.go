package metrics

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/watchbill/watchbill/internal/observe/logging"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// epoch is the time at which tests begin: ten seconds past a minute.
var epoch = time.Date(2026, 3, 1, 12, 0, 10, 0, time.UTC)

func newTestLogs(tb testing.TB, opts logging.Options) *logging.Logs {
	tb.Helper()
	if opts.Stderr == nil {
		opts.Stderr = tb.Output()
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	logs, err := logging.New(opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = logs.Close() })
	return logs
}
