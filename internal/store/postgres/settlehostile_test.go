package postgres_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/watchbill/watchbill/internal/store/postgres"
)

// TestHostileSpansAreBounded has replicas store and settle malicious spans, all at once. No transaction takes
// long or deadlocks, the rollups stay correct, and there are as many executions as can be distinguished.
func TestHostileSpansAreBounded(t *testing.T) {
	t.Parallel()
	const replicas, inBatch, longest = 4, 250, time.Minute // on a busy machine; the usual times are logged
	one := newTrace()
	for name, tt := range map[string]struct {
		spans  int
		piece  func(s scene, i int) piece
		rows   [2]int // min and max
		traces bool   // whether traces are too large
	}{
		"a trace of many runs and calls": {spans: 6_000, rows: [2]int{6_000, 6_000}, traces: true, piece: func(s scene, i int) piece {
			if i%10 == 0 {
				return s.in(one).piece(run, fmt.Sprint(i), fmt.Sprint(max(i-10, 0)), i, i+1000, named("clerk"), ofUser("ada"))
			}
			return s.in(one).piece(call, fmt.Sprint(i), fmt.Sprint(i/10*10), i, i+9, uses(int64(i), 7))
		}},
		// A call merges eight spans at most; two replicas may each add some at the same time.
		"one response id for all calls": {spans: 2_000, rows: [2]int{2_000 / 16, 2_000}, piece: func(s scene, i int) piece {
			return s.in(newTrace()).piece(call, "1", "", i%1000, 2000, answered("chatcmpl-0123456789abcdef"), scoped(fmt.Sprint(i%20)), ofProcess(fmt.Sprint(i%50)))
		}},
		"calls without end that look alike": {spans: 2_000, rows: [2]int{1_000, 1_050}, piece: func(s scene, i int) piece {
			return s.in(newTrace()).piece(call, "1", "", i/2%1000+i%2, 2000+i/2%1000-i%2, scoped(fmt.Sprint(i%2)))
		}},
		"one span with ever other content": {spans: 1_000, rows: [2]int{1, 1}, piece: func(s scene, i int) piece {
			return s.in(one).piece(call, "1", "9", 0, 1000, uses(int64(i), int64(i)), ofUser(fmt.Sprint("user ", i%100)), answered(fmt.Sprint(i)))
		}},
		"calls in calls in a circle": {spans: 1_000, rows: [2]int{1_000 / 8, 1_000}, piece: func(s scene, i int) piece {
			return s.in(one).piece(call, fmt.Sprint(i), fmt.Sprint((i+1)%1_000), 0, 1000, scoped(fmt.Sprint(i%7)))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, here := newDatabase(t), newScene()
			var mu sync.Mutex
			var slowestCommit, slowestSettle time.Duration
			var large int64
			took := func(slowest *time.Duration, began time.Time) {
				mu.Lock()
				defer mu.Unlock()
				*slowest = max(*slowest, time.Since(began))
			}
			var all []*postgres.Executions
			g, ctx := errgroup.WithContext(t.Context())
			for r := range replicas {
				s := newExecutions(t, db)
				all = append(all, s)
				g.Go(func() error {
					for from := r * inBatch; from < tt.spans; from += replicas * inBatch {
						var pieces []piece
						for i := from; i < min(from+inBatch, tt.spans); i++ {
							pieces = append(pieces, tt.piece(here, i))
						}
						began := time.Now()
						if _, err := s.Commit(ctx, batchOf(pieces...)); err != nil {
							return err
						}
						took(&slowestCommit, began)
						began = time.Now()
						if _, _, err := s.Settle(ctx); err != nil {
							return err
						}
						took(&slowestSettle, began)
					}
					return nil
				})
			}
			if err := g.Wait(); err != nil {
				t.Fatal(err)
			}
			o := &settling{db: db}
			for range 2 {
				for _, s := range all {
					began := time.Now()
					o.settle(t, s)
					took(&slowestSettle, began)
				}
			}
			db.execAsAdmin(t, `UPDATE unsettled_executions SET since = since - interval '1 hour', check_at = now()`)
			o.settle(t, all[0])
			for _, s := range all {
				_, n := s.TraceBounds()
				large += n
			}
			t.Logf("slowest commit of %d %v, slowest time to settle all that was due %v, %d looks at too large traces", inBatch, slowestCommit.Round(time.Millisecond), slowestSettle.Round(time.Millisecond), large)
			if slowestCommit > longest || slowestSettle > 3*longest {
				t.Errorf("took too long")
			}
			if tt.traces != (large > 0) {
				t.Errorf("want looks at too large traces: %v, got %d", tt.traces, large)
			}
			rows := askAsAdmin[int](t, db, `SELECT count(*) FROM agent_executions`)
			if rows < tt.rows[0] || rows > tt.rows[1] {
				t.Errorf("want %d to %d rows, got %d", tt.rows[0], tt.rows[1], rows)
			}
			if n := askAsAdmin[int](t, db, `SELECT count(*) FROM unsettled_executions`); n != 0 {
				t.Errorf("%d still wait", n)
			}
			checkRollups(t, db)
			t.Logf("%d rows, %d deadlocks", rows, ask[int64](t, db, `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`))
		})
	}
}
