package postgres_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// commitBatches stores batches of 400 executions of a hundred users who run twenty agents with six models.
func commitBatches(b *testing.B, s *postgres.Executions, batches int) {
	b.Helper()
	random := rand.New(rand.NewPCG(1, 1))
	for range batches {
		all := make([]execution.Execution, 400)
		for i := range all {
			all[i] = anExecution(func(e *execution.Execution) {
				e.UserID, e.AgentName = fmt.Sprintf("user-%03d@example.com", random.IntN(100)), fmt.Sprintf("agent-%02d", random.IntN(20))
				e.Model, e.Duration = fmt.Sprintf("model-%d", random.IntN(6)), time.Duration(random.Int64N(int64(10*time.Second)))
			})
		}
		commit(b, s, all...)
	}
}

// BenchmarkFold folds the deltas of a hundred batches, all at once or in parts.
// Most of the cost is per rollup and fold, regardless of the number of deltas.
func BenchmarkFold(b *testing.B) {
	for _, folds := range []int{2, 6} {
		b.Run(fmt.Sprintf("folds=%d", folds), func(b *testing.B) {
			s := newExecutions(b, newDatabase(b))
			b.ResetTimer()
			for range b.N {
				for range folds {
					b.StopTimer()
					commitBatches(b, s, 100/folds)
					b.StartTimer()
					if _, err := s.Fold(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// BenchmarkReadUnfolded reads the spend and the figures of a day in which some batches are not folded.
func BenchmarkReadUnfolded(b *testing.B) {
	for _, batches := range []int{0, 25, 75} {
		s := newExecutions(b, newDatabase(b))
		commitBatches(b, s, 25)
		if _, err := s.Fold(b.Context()); err != nil {
			b.Fatal(err)
		}
		commitBatches(b, s, batches)
		w := execution.Window{From: time.Now().Add(-24 * time.Hour), To: time.Now()}
		b.Run(fmt.Sprintf("spend/batches=%d", batches), func(b *testing.B) {
			for range b.N {
				if _, err := s.Spend(b.Context(), w, execution.ByUser, 10); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("facts/batches=%d", batches), func(b *testing.B) {
			for range b.N {
				if _, err := s.Facts(b.Context(), w); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
