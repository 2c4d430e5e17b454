package postgres_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

func rowOfTwo(row pgx.CollectableRow) (two [2]string, err error) {
	err = row.Scan(&two[0], &two[1])
	return two, err
}

// byTokens is a price of one nano-USD per token.
func byTokens(e *execution.Execution) {
	e.Cost, e.PriceVersion = nil, "test"
	if e.Tokens.Distinguish() {
		e.Cost = new(e.Tokens.Input + e.Tokens.Output)
	}
}

// TestRandomTracesAreStoredExactly has replicas store the pieces of a world in any order, some of
// them repeated, and settle them at the same time. What is stored in the end is what happened.
func TestRandomTracesAreStoredExactly(t *testing.T) {
	t.Parallel()
	for _, replicas := range []int{1, 4} {
		t.Run(map[int]string{1: "one replica", 4: "four replicas"}[replicas], func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			db := newDatabase(t)
			w := newPopulation(rand.New(rand.NewPCG(seed, 0)), 40)
			o := &settling{db: db}
			var mu sync.Mutex
			hear := func(some []execution.Execution) {
				mu.Lock()
				defer mu.Unlock()
				o.all = append(o.all, some...)
			}
			batches := w.exports()
			var all []*postgres.Executions
			g, ctx := errgroup.WithContext(t.Context())
			for r := range replicas {
				s := newExecutions(t, db)
				s.PriceBy(byTokens)
				all = append(all, s)
				random := rand.New(rand.NewPCG(seed, uint64(r)+1))
				g.Go(func() error {
					for i := r; i < len(batches); i += replicas {
						done, err := s.Commit(ctx, batches[i])
						if err != nil {
							return err
						}
						hear(done.Settled)
						switch random.IntN(4) {
						case 0:
							if _, err := s.Fold(ctx); err != nil {
								return err
							}
						case 1, 2:
							settled, _, err := s.Settle(ctx)
							if err != nil {
								return err
							}
							hear(settled)
						}
					}
					return nil
				})
			}
			if err := g.Wait(); err != nil {
				t.Fatal(err)
			}
			checkRollups(t, db)
			for range 3 {
				for _, s := range all {
					o.settle(t, s)
				}
			}
			db.execAsAdmin(t, `UPDATE unsettled_executions SET since = since - interval '1 hour', check_at = now()`)
			o.settle(t, all[0])
			w.check(t, db, o.all)
			checkRollups(t, db)
			foldAll(t, all[0])
			checkRollups(t, db)
			db.neverDeadlocked(t)
			if n := askAsAdmin[int](t, db, `SELECT count(*) FROM unsettled_executions`); n != 0 {
				t.Errorf("%d still wait", n)
			}
		})
	}
}

// TestRandomTracesAreRepricedAndErased changes prices and erases a user while half of the pieces have yet to arrive.
func TestRandomTracesAreRepricedAndErased(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	db := newDatabase(t)
	w := newPopulation(rand.New(rand.NewPCG(seed, 0)), 40, func(w *population) { w.price, w.erased, w.storedBefore = 2, true, map[string]bool{} })
	o, s := &settling{db: db}, newExecutions(t, db)
	double := func(e *execution.Execution) {
		if byTokens(e); e.Cost != nil {
			*e.Cost *= 2
		}
		e.PriceVersion = "double"
	}
	s.PriceBy(byTokens)
	batches := w.exports()
	for i, batch := range batches {
		if i == len(batches)/2 {
			o.settle(t, s)
			now := time.Now()
			if _, err := s.Reprice(t.Context(), execution.Window{From: now.Add(-time.Hour), To: now}, double); err != nil {
				t.Fatal(err)
			}
			s.PriceBy(double)
			checkRollups(t, db)
			for _, id := range naive(t, db, pgx.RowTo[string], `SELECT execution_id FROM agent_executions WHERE user_id = 'user 1'
				UNION SELECT execution_id FROM joined_executions WHERE user_id = 'user 1'`) {
				w.storedBefore[id] = true
			}
			if _, err := s.EraseUser(t.Context(), "user 1"); err != nil {
				t.Fatal(err)
			}
			checkRollups(t, db)
		}
		if i >= len(batches)/2 {
			for k := range batch.Executions {
				double(&batch.Executions[k])
			}
		}
		if _, err := s.Commit(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			o.settle(t, s)
		}
	}
	for range 3 {
		o.settle(t, s)
	}
	db.execAsAdmin(t, `UPDATE unsettled_executions SET since = since - interval '1 hour', check_at = now()`)
	o.settle(t, s)
	checkRollups(t, db)
	for what, sql := range map[string]string{
		"rows at an old price": `SELECT count(*) FROM agent_executions WHERE cost_nano_usd IS DISTINCT FROM NULLIF(2 * (input_tokens + output_tokens), 0)`,
		"rows of the user":     `SELECT count(*) FROM agent_executions WHERE user_id = 'user 1'`,
		"joined of the user":   `SELECT count(*) FROM joined_executions WHERE user_id = 'user 1'`,
		"spans of the user":    `SELECT count(*) FROM span_ancestors WHERE owner = 'user 1' OR user_id = 'user 1'`,
		"waiting of the user":  `SELECT count(*) FROM unsettled_executions WHERE user_id = 'user 1'`,
	} {
		if n := askAsAdmin[int](t, db, sql); n != 0 {
			t.Errorf("%s: got %d", what, n)
		}
	}
	w.truths = slices.DeleteFunc(w.truths, func(happened truth) bool { return strings.Contains(happened.figures, "/user 1/") })
	w.check(t, db, o.all[:0])
}
