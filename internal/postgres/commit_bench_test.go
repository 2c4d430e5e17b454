package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
)

// BenchmarkCommitSpans stores batches of ten exports of a hundred spans each: traces of an agent's run with ten calls, of which one
// instrumentation tells, and the tools and steps between them.
func BenchmarkCommitSpans(b *testing.B) {
	db := newDatabase(b)
	s := newExecutions(b, db)
	const exports, spans = 10, 100
	batches := make([]execution.Batch, b.N)
	for i := range batches {
		var pieces []piece
		for range exports {
			tr := newTrace()
			began := time.Now().UTC().Truncate(time.Microsecond).Add(-time.Minute)
			for k := range spans {
				parent, p := "0", piece{}
				switch {
				case k == 0:
					p = tr.run("0", "", "clerk", "ada", "s")
					p.span.Role = execution.RoleRun
				case k%10 == 1:
					p = tr.call(fmt.Sprint(k), parent)
					p.span.Role, p.span.ResponseID = execution.RoleCall, fmt.Sprint(tr, k)
				case k%10 == 2:
					p = tr.call(fmt.Sprint(k), parent)
					p.execution.Kind, p.span.Role = execution.Tool, execution.RoleTool
				case k%2 == 0:
					p = tr.call(fmt.Sprint(k), parent)
					p.span.Role, p.span.ResponseID = execution.RoleCall, fmt.Sprint(tr, k)
				default:
					p = piece{span: tr.span(fmt.Sprint(k), parent)}
				}
				p.span.StartedAt, p.span.EndedAt, p.span.Scope, p.span.Process = began, began.Add(time.Second), "scope", "process"
				if p.execution != nil {
					p.execution.CreatedAt = began
					p.execution.Input, p.execution.Output = []byte(`{"messages":[{"role":"user","content":"What is the weather in Paris?"}]}`), []byte(`"sunny"`)
					p.span.Status = execution.Success
				}
				pieces = append(pieces, p)
			}
		}
		batches[i] = batchOf(pieces...)
	}
	b.ResetTimer()
	for _, batch := range batches {
		if _, err := s.Commit(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*exports*spans), "ns/span")
}
