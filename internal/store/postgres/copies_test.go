package postgres_test

import (
	"slices"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// TestRepeatedBatches sends batches again to a replica that does not remember them and so copies them first.
func TestRepeatedBatches(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	first, second := newExecutions(t, db), newExecutions(t, db)
	batch := aBatch()
	if done, err := first.Commit(t.Context(), batch); err != nil || !slices.Equal(done.New, []bool{true, true, true}) {
		t.Fatalf("want all new, got %v, %v", done.New, err)
	}
	more := batch
	more.Executions = append(slices.Clone(batch.Executions), anExecution())
	for range 2 {
		if done, err := second.Commit(t.Context(), more); err != nil || !slices.Equal(done.New, []bool{false, false, false, true}) {
			t.Errorf("want the last new, got %v, %v", done.New, err)
		}
		more.Executions[3] = anExecution()
	}
	if n := askAsAdmin[int](t, db, `SELECT count(*) FROM agent_executions`); n != 5 {
		t.Errorf("want 5 rows, got %d", n)
	}
	checkRollups(t, db)
}

// TestConcurrentDuplicateBatches has several replicas copy the same batches in different orders.
func TestConcurrentDuplicateBatches(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	var batch execution.Batch
	for range 20 {
		one := aBatch()
		batch.Executions, batch.Spans = append(batch.Executions, one.Executions...), append(batch.Spans, one.Spans...)
	}
	newOnes := make([]int, 4)
	var g errgroup.Group
	for i := range newOnes {
		s := newExecutions(t, db)
		of := execution.Batch{Executions: slices.Clone(batch.Executions), Spans: slices.Clone(batch.Spans)}
		if i%2 > 0 {
			slices.Reverse(of.Executions)
			slices.Reverse(of.Spans)
		}
		g.Go(func() error {
			done, err := s.Commit(t.Context(), of)
			for _, isNew := range done.New {
				if isNew {
					newOnes[i]++
				}
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if sum := newOnes[0] + newOnes[1] + newOnes[2] + newOnes[3]; sum != len(batch.Executions) {
		t.Errorf("want each execution new once, %d in all; got %v", len(batch.Executions), newOnes)
	}
	checkRollups(t, db)
}

// TestPartitionOfAnOlderRelease stores into a partition that does not permit COPY.
func TestPartitionOfAnOlderRelease(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	one, two := anExecution(), anExecution()
	knew := newExecutions(t, db)
	commit(t, knew, one)
	db.exec(t, `ALTER TABLE agent_executions_`+one.CreatedAt.Format("20060102")+` FORCE ROW LEVEL SECURITY`)
	s := newExecutions(t, db)
	if got := commit(t, s, two, one).New; !slices.Equal(got, []bool{true, false}) {
		t.Errorf("want the first new, got %v", got)
	}
	if got := commit(t, knew, anExecution(), two).New; !slices.Equal(got, []bool{true, false}) {
		t.Errorf("who copied there before: want the first new, got %v", got)
	}
	checkRollups(t, db)
}

// TestNewRowsAreCopied checks that new rows are copied and not inserted. No other test fails if copying never works.
func TestNewRowsAreCopied(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	s, r := newExecutionsOn(t, postgres.Config{URL: db.url})
	if _, err := s.Commit(t.Context(), aBatch()); err != nil {
		t.Fatal(err)
	}
	if n := on[int](t, r, `SELECT count(*) FROM pg_class WHERE relpersistence = 't'`); n != 0 {
		t.Errorf("want no table to insert from, got %d", n)
	}
}

// TestOwnerRightsAreRevoked checks that the owner's rights are revoked after a restored dump granted them again.
func TestOwnerRightsAreRevoked(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	one := anExecution()
	commit(t, newExecutions(t, db), one)
	partition := "agent_executions_" + one.CreatedAt.Format("20060102")
	db.exec(t, `GRANT ALL ON span_ancestors, `+partition+` TO CURRENT_USER`)
	commit(t, newExecutions(t, db), anExecution())
	for _, table := range []string{"span_ancestors", partition} {
		if ask[bool](t, db, `SELECT has_table_privilege('`+table+`', 'SELECT, UPDATE, DELETE, TRUNCATE')`) {
			t.Errorf("the owner may still read or change %s", table)
		}
	}
}
