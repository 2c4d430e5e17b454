package execution_test

import (
	"testing"

	"github.com/watchbill/watchbill/internal/execution"
)

func TestParseStatus(t *testing.T) {
	t.Parallel()
	for spelling, want := range map[string]execution.Status{
		"success": execution.Success, "failure": execution.Failure, "timeout": execution.Timeout, "succeeded": execution.Success, "failed": execution.Failure, "timed_out": execution.Timeout,
	} {
		if got, ok := execution.ParseStatus(spelling); got != want || !ok {
			t.Errorf("%s: got %s, %t, want %s", spelling, got, ok, want)
		}
	}
	for _, spelling := range []string{"", "running", "cancelled", "Failed"} {
		if got, ok := execution.ParseStatus(spelling); ok {
			t.Errorf("%q: want an error, got %s", spelling, got)
		}
	}
}
