// Package pause waits for a time or until a context is done.
package pause

import (
	"context"
	"time"
)

// For waits for d or until ctx is done. It returns false if ctx is done.
func For(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
