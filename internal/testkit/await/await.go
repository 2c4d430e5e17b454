// Package await waits for conditions in tests.
package await

import (
	"testing"
	"time"
)

const (
	limit = time.Minute
	every = 2 * time.Millisecond
)

// Until calls holds until it returns true, and fails the test after a minute. what names the condition.
func Until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}
