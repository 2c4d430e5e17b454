package postgres_test

import (
	"testing"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// TestRepriceOfRowsOfOlderReleases checks rows of a release without usage, which did not
// count the part of a total beyond the sum of its parts. That part is not subtracted either.
func TestRepriceOfRowsOfOlderReleases(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	s := newExecutions(t, db)
	of := func(usage execution.Usage) execution.Execution {
		return anExecution(func(e *execution.Execution) {
			e.Usage, e.Tokens = usage, execution.Tokens{Input: 10, Output: 5, Used: 1000}
		})
	}
	old, fresh := of(execution.UsageNone), of(execution.UsageReported)
	const free, listed = "free", "listed"
	for _, tt := range []struct {
		price string // empty if the rows are only stored
		want  int64  // unpriced tokens
	}{
		{"", 985},
		{free, 2000},
		{listed, 985},
		{free, 2000},
	} {
		if tt.price == "" {
			commit(t, s, old, fresh)
		} else if _, err := s.Reprice(t.Context(), lastHour(), func(e *execution.Execution) {
			e.PriceVersion, e.Cost = tt.price, nil
			if tt.price == listed {
				e.Cost = new(int64(7))
			}
		}); err != nil {
			t.Fatal(err)
		}
		if got := spentOnAll(t, s).Unpriced; got != tt.want {
			t.Errorf("%q: want %d unpriced tokens, got %d", tt.price, tt.want, got)
		}
		checkRollups(t, db)
		foldAll(t, s)
	}
	if _, err := s.EraseUser(t.Context(), old.UserID); err != nil {
		t.Fatal(err)
	}
	if got := spentOnAll(t, s); got != (execution.Spend{}) {
		t.Errorf("erased: want nothing, got %+v", got)
	}
	checkRollups(t, db)
}

func spentOnAll(t testing.TB, s *postgres.Executions) execution.Spend {
	t.Helper()
	costs, err := s.Costs(t.Context(), execution.CostQuery{Days: 2, TimeZone: "UTC", GroupBy: execution.ByAgent, Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	return costs.Total
}
