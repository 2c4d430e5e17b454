package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
)

// TestFoldManyRollups folds deltas into more rollups than one statement writes, both new and existing.
func TestFoldManyRollups(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	s := newExecutions(t, db)
	const minutes = 5100
	began := time.Now().UTC().Truncate(execution.DayWide)
	for range 2 {
		all := make([]execution.Execution, minutes)
		for i := range all {
			all[i] = anExecution(func(e *execution.Execution) {
				e.CreatedAt, e.Request = began.Add(-time.Duration(i)*time.Minute), i%2 == 0
				e.Duration = time.Duration(i%300+1) * time.Second
				e.UserID = fmt.Sprintf("user-%d", i%5)
			})
		}
		commit(t, s, all...)
		if more, err := s.Fold(t.Context()); err != nil || more {
			t.Fatalf("want all folded, got more %v, %v", more, err)
		}
		if n := ask[int](t, db, `SELECT (SELECT count(*) FROM execution_deltas) + (SELECT count(*) FROM user_deltas)`); n != 0 {
			t.Errorf("%d deltas are left", n)
		}
		checkRollups(t, db)
	}
	if n := ask[int](t, db, `SELECT count(*) FROM execution_rollups WHERE seconds = 60 AND count = 2`); n != minutes {
		t.Errorf("want %d minutes with two executions each, got %d", minutes, n)
	}
}

// TestZeroSpendHasNoUserDelta stores executions that are not requests and used no tokens, such as tool uses.
func TestZeroSpendHasNoUserDelta(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	s := newExecutions(t, db)
	used := func(kind execution.Kind, request bool, tokens int64) execution.Execution {
		return anExecution(func(e *execution.Execution) {
			e.Kind, e.Request, e.Model, e.Provider, e.Cost, e.PriceVersion = kind, request, "", "", nil, ""
			e.Tokens = execution.Tokens{Used: tokens, Input: tokens}
			e.UserID = fmt.Sprintf("%s-%v-%d", kind, request, tokens)
		})
	}
	commit(t, s, used(execution.Tool, false, 0), used(execution.Tool, true, 0), used(execution.Agent, false, 7))
	if users := ask[string](t, db, `SELECT string_agg(user_id, ' ' ORDER BY user_id) FROM user_deltas`); users != "agent-false-7 tool-true-0" {
		t.Errorf("want deltas of those that used something or are requests, got %s", users)
	}
	checkRollups(t, db)
	if _, err := s.Fold(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkRollups(t, db)
}
