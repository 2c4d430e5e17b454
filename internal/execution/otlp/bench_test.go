package otlp_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"testing"

	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/otlp"
)

// accepting is a ledger that accepts everything and stores nothing.
type accepting struct{}

func (accepting) Append(_ context.Context, batch execution.Batch) (execution.Outcome, error) {
	return execution.Outcome{Accepted: len(batch.Executions)}, nil
}

const (
	benchInput = `[{"role":"system","parts":[{"type":"text","content":"You plan journeys and answer in three sentences at most."}]},` +
		`{"role":"user","parts":[{"type":"text","content":"Will it rain in Bergen tomorrow, and which train do I take to be there by noon?"}]}]`
	benchOutput = `[{"role":"assistant","parts":[{"type":"text","content":"It will rain from ten on. The train at 7:43 is in Bergen at 11:52, so take an umbrella and that one."}],"finish_reason":"stop"}]`
)

// BenchmarkExport handles an export of 25 traces in protobuf: an agent's run, two model calls and a tool use each, with
// content.
func BenchmarkExport(b *testing.B) {
	var spans []*tracepb.Span
	for n := range 25 {
		model := []string{"gpt-4o", "claude-sonnet-4-5", "gemini-2.5-pro"}[n%3]
		of := func(place byte, attributes says) *tracepb.Span {
			attributes["user.id"], attributes["gen_ai.conversation.id"], attributes["gen_ai.agent.name"] = fmt.Sprintf("user-%04d", n), fmt.Sprintf("session-%d", n), fmt.Sprintf("agent_%02d", n%10)
			s := newSpan(place, 100+byte(n), attributes)
			s.TraceId, s.SpanId = []byte{15: byte(n + 1)}, []byte{byte(n + 1), 7: place}
			if place > 1 {
				s.ParentSpanId = []byte{byte(n + 1), 7: 1}
			}
			return s
		}
		call := func(place byte) *tracepb.Span {
			return of(place, says{
				"gen_ai.operation.name": "chat", "gen_ai.provider.name": "made", "gen_ai.request.model": model, "gen_ai.response.model": model,
				"gen_ai.response.id":        fmt.Sprintf("chatcmpl-%d-%d", 1000+n, place),
				"gen_ai.usage.input_tokens": 1000 + n, "gen_ai.usage.output_tokens": 200 + n,
				"gen_ai.usage.cache_read.input_tokens": 250, "gen_ai.usage.reasoning.output_tokens": 66,
				"gen_ai.input.messages": benchInput, "gen_ai.output.messages": benchOutput,
			})
		}
		spans = append(spans, call(2),
			of(3, says{
				"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "get_weather",
				"gen_ai.tool.call.arguments": `{"city":"Bergen","day":"tomorrow"}`, "gen_ai.tool.call.result": `{"forecast":"rain from ten on","celsius":9}`,
			}),
			call(4),
			of(1, says{"gen_ai.operation.name": "invoke_agent", "gen_ai.input.messages": benchInput, "gen_ai.output.messages": benchOutput}))
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
