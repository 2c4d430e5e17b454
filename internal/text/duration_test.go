package text

import (
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]time.Duration{
		"0": 0, "500ms": 500 * time.Millisecond, "30s": 30 * time.Second, "1m": time.Minute, "1m30s": 90 * time.Second,
		"1h": time.Hour, "1h0m5s": time.Hour + 5*time.Second, "24h": 24 * time.Hour, "2d": 48 * time.Hour, "1830d": 43920 * time.Hour,
		"49h": 49 * time.Hour, "-1m": -time.Minute,
	} {
		if got := Duration(d); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}
