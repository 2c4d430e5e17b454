package postgres_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// createWithKey creates the deployments of o under an idempotency key, for a request with the given body.
func (r *replica) createWithKey(t tester, key, body string, o fleet.Order) (string, error) {
	t.Helper()
	answer, err := r.deployments.Create(t.Context(), o,
		&fleet.IdempotencyKey{Key: key, RequestHash: sha256.Sum256([]byte(body))},
		func(g fleet.CreatedGroup) ([]byte, error) {
			return fmt.Appendf(nil, "%s\x00\xff%d", g.ID, len(g.Deployments)), nil
		})
	return string(answer), err
}

func groups(t tester, db database) int {
	t.Helper()
	return ask[int](t, db, `SELECT count(DISTINCT group_id)::int FROM deployments`)
}

func TestRepeatedCreate(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t, "a")
	first, err := r.createWithKey(t, "k", "body", order("a"))
	if err != nil || first == "" {
		t.Fatalf("got %q, %v", first, err)
	}
	if diff := cmp.Diff([]string{"a"}, r.noted()); diff != "" {
		t.Errorf("told of changes (-want +got):\n%s", diff)
	}
	for _, tt := range []struct {
		name, key, body string
		answer          string // empty for a new one
		err             error
		groups          int
	}{
		{"the same", "k", "body", first, nil, 1},
		{"another body", "k", "other", "", fleet.ErrIdempotencyMismatch, 1},
		{"the same, after the mistake", "k", "body", first, nil, 1},
		{"another key", "K", "body", "", nil, 2},
	} {
		got, err := r.createWithKey(t, tt.key, tt.body, order("a"))
		if !errors.Is(err, tt.err) || tt.answer != "" && got != tt.answer {
			t.Errorf("%s: want %q, %v; got %q, %v", tt.name, tt.answer, tt.err, got, err)
		}
		if notified, fresh := r.noted(), tt.err == nil && tt.answer == ""; len(notified) > 0 != fresh {
			t.Errorf("%s: told of changes: %v", tt.name, notified)
		}
		if got := groups(t, db); got != tt.groups {
			t.Errorf("%s: want %d groups in all, got %d", tt.name, tt.groups, got)
		}
	}
}

func TestExpiredKey(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t, "a")
	for i := range 3 { // a different request each time
		if _, err := r.createWithKey(t, "k", fmt.Sprint("body ", i), order("a")); err != nil {
			t.Fatal(err)
		}
		keep := ask[float64](t, db, `SELECT extract(epoch FROM expires_at - now())::float8 / 3600 FROM idempotency_keys`)
		if keep < 23.9 || keep > 24 {
			t.Errorf("want the key kept for a day, got %g h", keep)
		}
		db.exec(t, `UPDATE idempotency_keys SET expires_at = now()`)
	}
	if got := groups(t, db); got != 3 {
		t.Errorf("want a group each, got %d", got)
	}
}

func TestFailedCreateReleasesIdempotencyKey(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t, "a")
	if _, err := r.createWithKey(t, "k", "body", order("a", "unknown")); err == nil {
		t.Fatal("want the order refused")
	}
	if got := ask[int](t, db, `SELECT count(*)::int FROM idempotency_keys`); got != 0 {
		t.Errorf("want no key taken, got %d", got)
	}
	if _, err := r.createWithKey(t, "k", "corrected", order("a")); err != nil {
		t.Errorf("corrected: %v", err)
	}
}

// TestConcurrentIdempotencyKey sends one request, and another one with the same key, to two replicas many times at once.
func TestConcurrentIdempotencyKey(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t, "a")
	replicas := [2]*replica{r, newReplica(t, postgres.Config{URL: db.url})}
	for round := range 5 {
		var answers [8]string
		var errs [8]error
		var g errgroup.Group
		for i := range answers {
			g.Go(func() error {
				answers[i], errs[i] = replicas[i%2].createWithKey(t, fmt.Sprint("key ", round), fmt.Sprint("body ", i/4), order("a"))
				return nil
			})
		}
		_ = g.Wait()
		won := map[string]bool{}
		mistaken := 0
		for i, err := range errs {
			switch {
			case err == nil:
				won[answers[i]] = true
			case errors.Is(err, fleet.ErrIdempotencyMismatch):
				mistaken++
			default:
				t.Fatal(err)
			}
		}
		if len(won) != 1 || mistaken != 4 {
			t.Errorf("want one answer and one body's requests refused, got %d and %d", len(won), mistaken)
		}
		if got := groups(t, db); got != round+1 {
			t.Errorf("want %d groups, got %d", round+1, got)
		}
	}
}

// TestSecondRequestRunsAfterFirstFails checks that a second request
// with the same key waits for the first, and takes effect if the first fails.
func TestSecondRequestRunsAfterFirstFails(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t, "a")
	failure := errors.New("no answer could be made")
	second := make(chan error, 1)
	_, err := r.deployments.Create(t.Context(), order("a"), &fleet.IdempotencyKey{Key: "k"}, func(fleet.CreatedGroup) ([]byte, error) {
		go func() {
			_, err := r.createWithKey(t, "k", "another body", order("a"))
			second <- err
		}()
		db.untilWaiting(t, 1)
		return nil, failure
	})
	if !errors.Is(err, failure) {
		t.Errorf("first: want %v, got %v", failure, err)
	}
	if err := <-second; err != nil {
		t.Errorf("second: %v", err)
	}
	if got := groups(t, db); got != 1 {
		t.Errorf("want the second's group alone, got %d", got)
	}
}
