package endpoint

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/server/input"
)

// Of an agent's requests maxAtDatabase are admitted, maxWaitingOfAgent wait and more are rejected. Another agent does
// not wait.
func TestRequestsOfOneAgentAreQueued(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := NewTurns()
		results := make(chan error, maxAtDatabase+maxWaitingOfAgent)
		ctx, cancel := context.WithCancel(t.Context())
		for range cap(results) {
			go func() { results <- turns.enter(ctx, "a1") }()
		}
		synctest.Wait()
		if got := len(results); got != maxAtDatabase {
			t.Fatalf("%d are let through, want %d", got, maxAtDatabase)
		}
		if err := turns.enter(ctx, "a1"); !errors.Is(err, errAgentBusy) {
			t.Errorf("one too many: got %v", err)
		}
		if err := turns.enter(ctx, "a2"); err != nil {
			t.Errorf("another agent: got %v", err)
		}
		turns.leave("a2")
		turns.leave("a1")
		synctest.Wait()
		if got := len(results); got != maxAtDatabase+1 {
			t.Errorf("after one has left %d were let through, want %d", got, maxAtDatabase+1)
		}
		cancel()
		synctest.Wait()
		for range maxAtDatabase {
			turns.leave("a1")
		}
		if len(results) != cap(results) || len(turns.agents) != 0 {
			t.Errorf("%d of %d ended, %d agents are left", len(results), cap(results), len(turns.agents))
		}
	})
}

// An enrollment token that has used up its share is rejected, which does not count as a failure of the service. Another
// token is served.
func TestBodyBudgetPerEnrollmentToken(t *testing.T) {
	t.Parallel()
	b := NewBudget(256 << 20)
	one := (&Exchange{Caller: Caller{Grant: &fleet.Grant{Token: fleet.HashToken("one")}}}).share()
	other := (&Exchange{Caller: Caller{Grant: &fleet.Grant{Token: fleet.HashToken("other")}}}).share()
	for i := range maxEnrolShare / 2 / input.MaxSmallBody {
		if err := b.take(one, input.MaxSmallBody); err != nil {
			t.Fatalf("body %d: %v", i, err)
		}
	}
	if got := b.take(one, input.MaxSmallBody); got != errShareUsed {
		t.Errorf("one body too many: got %v, want %v", got, errShareUsed)
	}
	if err := b.take(other, input.MaxSmallBody); err != nil {
		t.Errorf("another token: got %v", err)
	}
}
