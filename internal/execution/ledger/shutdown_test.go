package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/testkit/await"
)

// TestShutdown: queued batches are stored and answered; later ones are rejected.
func TestShutdown(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	g := &gate{Store: newStore(t, db.url, nil)}
	release := g.holding()
	l := newLedger(g, &recorder{})
	stop := run(t, l)
	t.Cleanup(release)
	all := occupy(t, l, g)
	for i := range 20 {
		all = append(all, bring(t, l, some(1)))
		await.Until(t, "it waits", func() bool { return l.Queue().Rows == i+1 })
	}
	stopped := make(chan struct{})
	go func() {
		stop()
		close(stopped)
	}()
	await.Until(t, "who comes is refused", func() bool {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := l.Append(ctx, some(1)) // does not wait if it is accepted
		return errors.Is(err, fault.ErrUnavailable)
	})
	release()
	for i, w := range all {
		(<-w).is(t, who(i), 1, 0, 0)
	}
	<-stopped
	_, err := l.Append(t.Context(), some(1))
	answer{err: err}.isUnavailable(t, "who comes afterwards")
	if q := l.Queue(); q.Rows != 0 || q.Bytes != 0 {
		t.Errorf("want nothing waiting, got %+v", q)
	}
	checkRollups(t, db)
}

// TestShutdownHasADeadline uses a database that does not respond.
func TestShutdownHasADeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(silent{}, &recorder{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- l.Run(ctx) }()
		var all []<-chan answer
		for range 5 {
			all = append(all, bring(t, l, some(1)))
			synctest.Wait()
		}
		cancel()
		start := time.Now()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("want it to end after 10 s, took %v", took)
		}
		for i, w := range all {
			(<-w).isUnavailable(t, who(i))
		}
	})
}

// TestTransactionsEnd: transactions time out if the database does not respond.
func TestTransactionsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLedger(silent{}, &recorder{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- l.Run(ctx) }()
		start := time.Now()
		var all []<-chan answer
		for range 5 {
			all = append(all, bring(t, l, some(1)))
			synctest.Wait()
		}
		for i, w := range all {
			(<-w).isUnavailable(t, who(i))
		}
		if took := time.Since(start); took != 15*time.Second {
			t.Errorf("want all told after 15 s, took %v", took)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// silent is a store that does not respond.
type silent struct{}

func (silent) Commit(ctx context.Context, _ execution.Batch) (execution.Committed, error) {
	<-ctx.Done()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return execution.Committed{}, fmt.Errorf("%w: %w", fault.ErrUnavailable, ctx.Err()) // as the real one returns
	}
	return execution.Committed{}, ctx.Err()
}
