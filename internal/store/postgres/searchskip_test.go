package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
)

// TestSearchSkipsWhatCannotMatch checks that a search for a rare model goes on right at its executions, before and after
// the deltas are folded, and that one for an unknown model ends at once.
func TestSearchSkipsWhatCannotMatch(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	s := newExecutions(t, db)
	const candidates = 40
	now := time.Now().UTC().Truncate(time.Microsecond)
	var batch execution.Batch
	add := func(n int, model string, status execution.Status, age time.Duration) {
		batch.Executions = append(batch.Executions, execution.Execution{
			ID: fmt.Sprint("e", n), UserID: "u", AgentName: "a", Kind: execution.Inference, Request: true, Status: status, Model: model, CreatedAt: now.Add(-age),
		})
	}
	for n := range 500 { // three weeks
		add(n, "common", execution.Success, time.Duration(n+1)*time.Hour)
	}
	add(1000, "rare", execution.Success, 200*time.Hour+time.Minute)
	add(1001, "rare", execution.Failure, 400*time.Hour+time.Minute)
	if _, err := s.Commit(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	find := func(search execution.Search) (ids []string, pages int) {
		var after execution.Position
		for pages = 1; ; pages++ {
			found, err := s.Search(t.Context(), search, after, 10, candidates)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range found.Executions {
				ids = append(ids, e.ID)
			}
			if found.End == (execution.Position{}) || pages > 100 {
				return ids, pages
			}
			after = found.End
		}
	}
	for _, state := range []string{"before folding", "after folding"} {
		for _, tt := range []struct {
			search execution.Search
			want   string
			pages  int // at most
		}{
			{execution.Search{Model: "rare"}, "[e1000 e1001]", 4},
			{execution.Search{Model: "rare", Statuses: []execution.Status{execution.Failure}}, "[e1001]", 3},
			{execution.Search{Model: "rare", From: now.Add(-300 * time.Hour)}, "[e1000]", 3},
			{execution.Search{Model: "rare", To: now.Add(-300 * time.Hour)}, "[e1001]", 3},
			{execution.Search{Model: "unknown"}, "[]", 1},
			{execution.Search{Agent: "unknown"}, "[]", 1},
		} {
			ids, pages := find(tt.search)
			if got := fmt.Sprint(ids); got != tt.want || pages > tt.pages {
				t.Errorf("%s, %+v: want %s on at most %d pages, got %s on %d", state, tt.search, tt.want, tt.pages, got, pages)
			}
		}
		if ids, _ := find(execution.Search{Model: "common"}); len(ids) != 500 {
			t.Errorf("%s: want all 500 of the common model, got %d", state, len(ids))
		}
		foldAll(t, s)
	}
}
