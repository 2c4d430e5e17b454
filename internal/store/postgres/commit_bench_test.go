package postgres_test

import (
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
)

// BenchmarkCommitSpans stores batches of four exports of a hundred spans each, from one
// process with one instrumentation. Each trace has an agent's run, two calls and a tool use.
func BenchmarkCommitSpans(b *testing.B) {
	db := newDatabase(b)
	s := newExecutions(b, db)
	const traces = 100
	batches := make([]execution.Batch, b.N)
	for i := range batches {
		var pieces []piece
		for range traces {
			here := scene{time.Now().UTC().Truncate(time.Microsecond).Add(-time.Minute), newTrace()}
			whose := func(p *piece) {
				p.span.Agent, p.span.User, p.span.Session = "clerk", "ada", "s"
				p.execution.Input, p.execution.Output = []byte(`{"messages":[{"role":"user","content":"What is the weather in Paris?"}]}`), []byte(`"sunny"`)
			}
			answered := func(id string) func(*piece) {
				return func(p *piece) { p.span.ResponseID = "chatcmpl-" + string(here.trace) + id }
			}
			pieces = append(pieces,
				here.piece(call, "00f067aa0ba902b2", "00f067aa0ba902b1", 1, 900, whose, answered("2")),
				here.piece(tool, "00f067aa0ba902b3", "00f067aa0ba902b1", 1000, 1100, whose),
				here.piece(call, "00f067aa0ba902b4", "00f067aa0ba902b1", 1200, 1900, whose, answered("4")),
				here.piece(run, "00f067aa0ba902b1", "", 0, 2000, whose))
		}
		batches[i] = batchOf(pieces...)
	}
	b.ResetTimer()
	for i, batch := range batches {
		if _, err := s.Commit(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
		if i%10 == 9 {
			if _, _, err := s.Settle(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*traces*4), "ns/span")
}
