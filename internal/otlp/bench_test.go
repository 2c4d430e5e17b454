package otlp

import (
	"fmt"
	"net/http"
	"testing"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// BenchmarkRead reads an export of 100 spans of model calls, with content, in protobuf.
func BenchmarkRead(b *testing.B) {
	said := func(name, value string) *commonpb.KeyValue {
		return &commonpb.KeyValue{Key: name, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: value}}}
	}
	counted := func(name string, value int64) *commonpb.KeyValue {
		return &commonpb.KeyValue{Key: name, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: value}}}
	}
	var spans []*tracepb.Span
	for i := range 100 {
		spans = append(spans, &tracepb.Span{
			TraceId: fmt.Appendf(nil, "%016d", i), SpanId: fmt.Appendf(nil, "%08d", i+1), ParentSpanId: []byte("parent--"), Name: "chat gpt-4o",
			StartTimeUnixNano: 1e18, EndTimeUnixNano: 1e18 + 5e8,
			Attributes: []*commonpb.KeyValue{
				said("gen_ai.operation.name", "chat"), said("gen_ai.provider.name", "openai"), said("gen_ai.request.model", "gpt-4o"),
				said("gen_ai.response.model", "gpt-4o-2024-08-06"), said("gen_ai.response.id", fmt.Sprint("chatcmpl-", i)),
				counted("gen_ai.usage.input_tokens", 1000), counted("gen_ai.usage.output_tokens", 200), counted("gen_ai.usage.cache_read.input_tokens", 400),
				said("gen_ai.input.messages", `[{"role":"user","parts":[{"type":"text","content":"Will it rain in Bergen tomorrow, and which train do I take to be there by noon?"}]}]`),
				said("gen_ai.output.messages", `[{"role":"assistant","parts":[{"type":"text","content":"It will rain from ten on. Take the train at 7:43."}],"finish_reason":"stop"}]`),
				said("user.id", "ada"), said("gen_ai.conversation.id", "c-1"), said("gen_ai.agent.name", "planner"),
			},
		})
	}
	content, err := proto.Marshal(&collectorpb.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{{ScopeSpans: []*tracepb.ScopeSpans{{Spans: spans}}}}})
	if err != nil {
		b.Fatal(err)
	}
	limits := limits{body: DefaultMaxBody, decompressed: DefaultMaxDecompressed, spans: DefaultMaxSpans}
	header := http.Header{"Content-Type": {protobufType}}
	b.ReportAllocs()
	b.SetBytes(int64(len(content)))
	for b.Loop() {
		export, err := body{encoding: encodingOf(header), content: content}.decode(limits)
		if err != nil {
			b.Fatal(err)
		}
		if found := translate(export); len(found.batch.Executions) != len(spans) {
			b.Fatalf("found %d executions", len(found.batch.Executions))
		}
	}
}
