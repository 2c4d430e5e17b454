package mailbox_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchbill/watchbill/internal/fleet/mailbox"
)

// TestNewerPollsReplaceTheOldest holds two more polls of an agent than the limit, and one of another agent.
func TestNewerPollsReplaceTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := run(t, newDatabase("a", "b"))
		pass(10 * time.Millisecond)
		await := func(agent string) <-chan error {
			done := make(chan error, 1)
			a := handle(t, m, agent)
			v := view(t, m, a)
			go func() { done <- m.Await(t.Context(), a, v) }()
			synctest.Wait()
			return done
		}
		other := await("b")
		var polls []<-chan error
		for range mailbox.MaxHeld + 2 {
			polls = append(polls, await("a"))
		}
		for i, poll := range polls {
			select {
			case err := <-poll:
				if i >= 2 || !errors.Is(err, mailbox.ErrReplaced) {
					t.Errorf("poll %d: got %v", i, err)
				}
			default:
				if i < 2 {
					t.Errorf("poll %d is still held", i)
				}
			}
		}
		m.Changed("a") // wakes the four that are left
		synctest.Wait()
		for i, poll := range polls[2:] {
			if len(poll) != 1 {
				t.Fatalf("poll %d is still held", i+2)
			}
			if err := <-poll; err != nil {
				t.Errorf("poll %d: got %v", i+2, err)
			}
		}
		if len(other) != 0 {
			t.Errorf("the other agent's poll was released: %v", <-other)
		}
		m.Drain()
		synctest.Wait()
		if err := <-other; !errors.Is(err, mailbox.ErrDraining) {
			t.Errorf("the other agent's poll: got %v", err)
		}
	})
}
