package main

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/slim/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// spansOfTrace is the number of spans in a generated trace: an agent's run, two model calls and a tool between them.
const spansOfTrace = 4

// exportBody returns an export of traces from, from+1, … as an SDK's exporter sends it, with messages.
func exportBody(from int64, traces int, began time.Time) ([]byte, error) {
	var spans []*tracepb.Span
	for n := from; n < from+int64(traces); n++ {
		spans = append(spans, madeTrace(n, began.Add(time.Duration(n)*time.Microsecond))...)
	}
	return proto.Marshal(&collectorpb.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{{
		Resource: &resourcepb.Resource{Attributes: []*commonpb.KeyValue{
			textAttribute("service.name", "made"), textAttribute("telemetry.sdk.language", "python"), textAttribute("telemetry.sdk.name", "opentelemetry"),
		}},
		ScopeSpans: []*tracepb.ScopeSpans{{
			Scope: &commonpb.InstrumentationScope{Name: "made.instrumentation", Version: "1.0"}, Spans: spans,
		}},
	}}})
}

// madeTrace returns the n-th trace, children first, as spans end. All spans have their user and session.
func madeTrace(n int64, at time.Time) []*tracepb.Span {
	h := scrambled(uint64(n) + 1)
	agent := int(h % madeAgents)
	model := madeModels[(agent+int(h>>8%2)*3)%len(madeModels)]
	names := []*commonpb.KeyValue{
		textAttribute("user.id", fmt.Sprintf("user-%04d", h>>16%usersAtOne)), textAttribute("gen_ai.conversation.id", fmt.Sprintf("session-%d", h>>16%usersAtOne)),
		textAttribute("gen_ai.agent.name", fmt.Sprintf("agent_%02d", agent)),
	}
	trace := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, h|1), uint64(n)+1)
	id := func(place byte) []byte { return append(slices.Clone(trace[9:]), place) }
	span := func(place, parent byte, name string, length time.Duration, attributes ...*commonpb.KeyValue) *tracepb.Span {
		s := &tracepb.Span{
			TraceId: trace, SpanId: id(place), Name: name, Kind: tracepb.Span_SPAN_KIND_CLIENT,
			StartTimeUnixNano: uint64(at.Add(time.Duration(place) * time.Millisecond).UnixNano()),
			EndTimeUnixNano:   uint64(at.Add(time.Duration(place)*time.Millisecond + length).UnixNano()),
			Attributes:        append(attributes, names...),
			Status:            &tracepb.Status{},
		}
		if parent != 0 {
			s.ParentSpanId = id(parent)
		}
		return s
	}
	call := func(place byte) *tracepb.Span {
		in, out := int64(200+h>>20%3000), int64(20+h>>32%700)
		return span(place, 1, "chat "+model, 800*time.Millisecond,
			textAttribute("gen_ai.operation.name", "chat"), textAttribute("gen_ai.provider.name", "made"), textAttribute("gen_ai.request.model", model),
			textAttribute("gen_ai.response.model", model), textAttribute("gen_ai.response.id", fmt.Sprintf("chatcmpl-%d-%d", n, place)),
			intAttribute("gen_ai.usage.input_tokens", in), intAttribute("gen_ai.usage.output_tokens", out),
			intAttribute("gen_ai.usage.cache_read.input_tokens", in/4), intAttribute("gen_ai.usage.reasoning.output_tokens", out/3),
			textAttribute("gen_ai.input.messages", `[{"role":"system","parts":[{"type":"text","content":"You plan journeys and answer in three sentences at most."}]},{"role":"user","parts":[{"type":"text","content":"Will it rain in Bergen tomorrow, and which train do I take to be there by noon?"}]}]`),
			textAttribute("gen_ai.output.messages", `[{"role":"assistant","parts":[{"type":"text","content":"It will rain from ten on. The train at 7:43 is in Bergen at 11:52, so take an umbrella and that one."}],"finish_reason":"stop"}]`))
	}
	return []*tracepb.Span{
		call(2),
		span(3, 1, "execute_tool get_weather", 100*time.Millisecond, textAttribute("gen_ai.operation.name", "execute_tool"), textAttribute("gen_ai.tool.name", "get_weather"),
			textAttribute("gen_ai.tool.call.arguments", `{"city":"Bergen","day":"tomorrow"}`), textAttribute("gen_ai.tool.call.result", `{"forecast":"rain from ten on","celsius":9}`)),
		call(4),
		span(1, 0, "invoke_agent planner", 2*time.Second, textAttribute("gen_ai.operation.name", "invoke_agent"),
			textAttribute("gen_ai.input.messages", `[{"role":"user","parts":[{"type":"text","content":"Will it rain in Bergen tomorrow, and which train do I take to be there by noon?"}]}]`),
			textAttribute("gen_ai.output.messages", `[{"role":"assistant","parts":[{"type":"text","content":"Take the train at 7:43, and an umbrella."}]}]`)),
	}
}

func textAttribute(name, value string) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: name, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: value}}}
}

func intAttribute(name string, value int64) *commonpb.KeyValue {
	return &commonpb.KeyValue{Key: name, Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: value}}}
}
