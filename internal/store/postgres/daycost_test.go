package postgres_test

import (
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

func TestDayCost(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t)
	clock := func() time.Time { return time.Now().AddDate(0, 0, -3) } // the replica's; the day is the database's
	s := postgres.NewExecutions(r.DB, keepAll, clock)
	costs := func(at time.Time, nanoUSD *int64) execution.Execution {
		return anExecution(func(e *execution.Execution) { e.CreatedAt, e.Cost = at, nanoUSD })
	}
	check := func(when string, want int64) {
		t.Helper()
		if got, err := s.DayCost(t.Context()); err != nil || got != want {
			t.Errorf("%s: want %d, got %d, %v", when, want, got, err)
		}
	}
	check("before any execution", 0)

	now := ask[time.Time](t, db, `SELECT now()`)
	midnight := now.UTC().Truncate(day)
	commit(t, s, costs(midnight, new(int64(5))), costs(midnight.Add(now.Sub(midnight)/2), new(int64(70))), costs(midnight, nil),
		costs(midnight.Add(-time.Microsecond), new(int64(1000))), costs(midnight.Add(-30*time.Hour), new(int64(10_000))))
	check("unfolded", 75)
	if _, err := s.Fold(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("folded", 75)
	commit(t, s, costs(midnight, new(int64(900))))
	check("folded and unfolded", 975)
}
