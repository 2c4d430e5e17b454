package fleet

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/fleet/mailbox"
)

// readsOf returns pendingReads whose reads wait for let, and the number of reads that began.
func readsOf(width int) (reads *pendingReads, began *atomic.Int64, let chan struct{}) {
	began, let = &atomic.Int64{}, make(chan struct{})
	return newPendingReads(func(ctx context.Context, _ string) (fleet.PendingSet, error) {
		n := began.Add(1)
		select {
		case <-let:
		case <-ctx.Done():
			return fleet.PendingSet{}, ctx.Err()
		}
		due := fleet.Waiting{ID: uuid.UUID{byte(n)}, Attempt: int(n)}
		return fleet.PendingSet{Due: []fleet.Waiting{due}, Deployments: []fleet.Deployment{{ID: due.ID, Attempt: due.Attempt, Spec: []byte("{}")}}}, nil
	}, width), began, let
}

// twoAgents is a mailbox's source with the agents a and b.
type twoAgents struct{ mailbox.Source }

func (twoAgents) Sweep(_ context.Context, since string, _ []string, into mailbox.Sink) (watermark string, err error) {
	if since == "" {
		into.Full()
		for _, id := range []string{"a", "b"} {
			into.Agent(id, fleet.HashToken(id), time.Minute, "")
		}
	}
	return "1", nil
}

// revisions returns two successive revisions of one agent, and one of another.
func revisions(t *testing.T) (first, later, other mailbox.Revision) {
	t.Helper()
	box := mailbox.New(mailbox.Options{Source: twoAgents{}, Log: zap.NewNop(), Now: time.Now})
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = box.Run(ctx) })
	defer running.Wait()
	defer cancel()
	if err := box.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	revision := func(id string) mailbox.Revision {
		agent, known := box.Agent(id)
		if !known {
			t.Fatalf("agent %s is not known", id)
		}
		view, err := box.View(agent)
		if err != nil {
			t.Fatal(err)
		}
		return view.Revision(agent)
	}
	first, other = revision("a"), revision("b")
	box.Changed("a")
	return first, revision("a"), other
}

// Polls of one agent at one revision share a read; those of a later revision do not share it.
func TestConcurrentPollsShareARead(t *testing.T) {
	t.Parallel()
	first, later, other := revisions(t)
	if first == later || first == other {
		t.Fatalf("want three revisions, got %v, %v, %v", first, later, other)
	}
	synctest.Test(t, func(t *testing.T) {
		reads, began, let := readsOf(10)
		var polls sync.WaitGroup
		tags := map[mailbox.Revision]map[string]int{}
		var mu sync.Mutex
		poll := func(revision mailbox.Revision) {
			polls.Go(func() {
				result, err := reads.pending(t.Context(), mailbox.Agent{}, revision, time.Second)
				if err != nil || result.body == nil {
					t.Errorf("got %v, %v", result, err)
				}
				mu.Lock()
				defer mu.Unlock()
				if tags[revision] == nil {
					tags[revision] = map[string]int{}
				}
				tags[revision][result.tag]++
			})
			synctest.Wait()
		}
		for _, revision := range []mailbox.Revision{first, first, first, other, later, later, first} {
			poll(revision)
		}
		if got := began.Load(); got != 3 {
			t.Errorf("%d reads began, want one for each revision", got)
		}
		close(let)
		polls.Wait()
		if len(tags[first]) != 1 || len(tags[later]) != 1 || len(tags[other]) != 1 {
			t.Errorf("polls of one revision got different responses: %v", tags)
		}
		poll(first) // a completed read is not cached
		polls.Wait()
		if got := began.Load(); got != 4 {
			t.Errorf("%d reads began, want another one", got)
		}
		if len(reads.flights) != 0 {
			t.Errorf("%d reads are remembered", len(reads.flights))
		}
	})
}

// A shared read continues for as long as a poll waits for it, and no longer.
func TestSharedReadOutlivesItsFirstPoll(t *testing.T) {
	t.Parallel()
	first, _, _ := revisions(t)
	synctest.Test(t, func(t *testing.T) {
		reads, began, let := readsOf(10)
		leader, leave := context.WithCancel(t.Context())
		follower, leaveToo := context.WithCancel(t.Context())
		results := make(chan error, 3)
		poll := func(ctx context.Context) {
			go func() { _, err := reads.pending(ctx, mailbox.Agent{}, first, time.Second); results <- err }()
			synctest.Wait()
		}
		poll(leader)
		poll(follower)
		leave()
		synctest.Wait()
		if len(results) != 0 {
			t.Fatalf("the read ended with its first poll: %v", <-results)
		}
		leaveToo()
		synctest.Wait()
		for range 2 {
			if err := <-results; !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		}
		poll(t.Context())
		close(let)
		if err := <-results; err != nil || began.Load() != 2 {
			t.Errorf("the next poll: got %v, after %d reads", err, began.Load())
		}
	})
}

// Reads of different agents run concurrently up to the limit.
func TestReadsAreLimited(t *testing.T) {
	t.Parallel()
	first, later, other := revisions(t)
	synctest.Test(t, func(t *testing.T) {
		reads, began, let := readsOf(2)
		var polls sync.WaitGroup
		for _, revision := range []mailbox.Revision{first, later, other} {
			polls.Go(func() {
				if _, err := reads.pending(t.Context(), mailbox.Agent{}, revision, time.Second); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if got := began.Load(); got != 2 {
			t.Errorf("%d reads run at once, want 2", got)
		}
		close(let)
		polls.Wait()
	})
}
