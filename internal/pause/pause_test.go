package pause_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchbill/watchbill/internal/pause"
)

func TestFor(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		wait, deadline, want time.Duration
		whole                bool
	}{
		"it waits":                  {time.Minute, time.Hour, time.Minute, true},
		"nothing to wait for":       {0, time.Hour, 0, true},
		"the context ends before":   {time.Hour, time.Minute, time.Minute, false},
		"the context has ended":     {time.Hour, 0, 0, false},
		"it has ended, and no wait": {0, 0, 0, false},
		"negative to wait":          {-time.Second, time.Hour, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), test.deadline)
				defer cancel()
				start := time.Now()
				whole := pause.For(ctx, test.wait)
				if took := time.Since(start); whole != test.whole || took != test.want {
					t.Errorf("want %v after %v, got %v after %v", test.whole, test.want, whole, took)
				}
			})
		})
	}
}
