package fleet_test

import (
	"testing"

	"github.com/watchbill/watchbill/internal/fleet"
)

func TestParseStatus(t *testing.T) {
	t.Parallel()
	for spelling, want := range map[string]fleet.Status{
		"success": fleet.Succeeded, "failure": fleet.Failed, "timeout": fleet.TimedOut, "canceled": fleet.Cancelled,
		"pending": fleet.Pending, "running": fleet.Running, "succeeded": fleet.Succeeded, "failed": fleet.Failed, "timed_out": fleet.TimedOut, "cancelled": fleet.Cancelled,
	} {
		if got, ok := fleet.ParseStatus(spelling); got != want || !ok {
			t.Errorf("%s: got %s, %t, want %s", spelling, got, ok, want)
		}
	}
	for _, spelling := range []string{"", "done", "Failed", "timed out"} {
		if got, ok := fleet.ParseStatus(spelling); ok {
			t.Errorf("%q: want an error, got %s", spelling, got)
		}
	}
}
