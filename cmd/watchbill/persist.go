package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/watchbill/watchbill/internal/pause"
	"github.com/watchbill/watchbill/internal/text"
)

// How long and how often a waiting command retries while the server is unreachable.
const (
	patience      = 2 * time.Minute // then it returns the error
	firstPause    = 250 * time.Millisecond
	maxPause      = 5 * time.Second
	maxRetryAfter = 30 * time.Second
)

// persist calls call until it succeeds, a retry would not help, or the server has been unreachable for patience. It
// calls say once, with the first error.
func persist(ctx context.Context, say func(string), call func() error) error {
	var since time.Time
	for failures := 0; ; failures++ {
		err := call()
		var fault interface{ temporary() bool }
		if err == nil || !errors.As(err, &fault) || !fault.temporary() {
			return err
		}
		if failures == 0 {
			since = time.Now()
			say(fmt.Sprintf("%v\nretrying for %s …", err, text.Duration(patience)))
		}
		wait := min(firstPause<<min(failures, 8), maxPause)
		if r, ok := fault.(*refusal); ok {
			wait = max(wait, min(r.retryAfter, maxRetryAfter))
		}
		if time.Since(since)+wait > patience {
			return err
		}
		if err := waitFor(ctx, wait); err != nil {
			return err
		}
	}
}

// pause waits for d. It returns errInterrupted if ctx is done first.
func waitFor(ctx context.Context, d time.Duration) error {
	if !pause.For(ctx, d) {
		return errInterrupted
	}
	return nil
}
