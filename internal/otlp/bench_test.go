package otlp_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"testing"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/otlp"
)

// accepting is a ledger that takes all, and keeps nothing.
type accepting struct{}

func (accepting) Append(_ context.Context, batch execution.Batch) (execution.Outcome, error) {
	return execution.Outcome{Accepted: len(batch.Executions)}, nil
}

// BenchmarkExport takes an export of 100 spans of model calls, with content, in protobuf.
func BenchmarkExport(b *testing.B) {
	var spans []*tracepb.Span
	for i := range 100 {
		s := newSpan(byte(i+1), 200, says{
			"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o",
			"gen_ai.response.model": "gpt-4o-2024-08-06", "gen_ai.response.id": fmt.Sprint("chatcmpl-", i),
			"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 200, "gen_ai.usage.cache_read.input_tokens": 400,
			"gen_ai.input.messages":  `[{"role":"user","parts":[{"type":"text","content":"Will it rain in Bergen tomorrow, and which train do I take to be there by noon?"}]}]`,
			"gen_ai.output.messages": `[{"role":"assistant","parts":[{"type":"text","content":"It will rain from ten on. Take the train at 7:43."}],"finish_reason":"stop"}]`,
			"user.id":                "ada", "gen_ai.conversation.id": "c-1", "gen_ai.agent.name": "planner",
		})
		spans = append(spans, s)
	}
	body := encodings[protobufType](b, exportOf(spans...))
	traces := otlp.New(otlp.Options{Ledger: accepting{}})
	header := http.Header{"Content-Type": {protobufType}}
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if status, _, answer := traces.Export(b.Context(), header, bytes.NewReader(body)); status != http.StatusOK {
			b.Fatalf("%d %s", status, answer)
		}
	}
}
