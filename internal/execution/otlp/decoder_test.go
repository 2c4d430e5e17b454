package otlp

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/slim/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// anyRequest returns a random request with everything that the decoder reads.
func anyRequest(r *rand.Rand) *collectorpb.ExportTraceServiceRequest {
	text := func() string { return strings.Repeat(string(rune('a'+r.IntN(20))), r.IntN(90)) }
	var value func(depth int) *commonpb.AnyValue
	pairs := func(limit, depth int) (all []*commonpb.KeyValue) {
		for range r.IntN(limit) {
			all = append(all, &commonpb.KeyValue{Key: text(), Value: value(depth)})
		}
		return all
	}
	value = func(depth int) *commonpb.AnyValue {
		switch kind := r.IntN(9); {
		case kind == 0:
			return nil
		case kind == 1:
			return &commonpb.AnyValue{}
		case kind == 2:
			return &commonpb.AnyValue{Value: &commonpb.AnyValue_BoolValue{BoolValue: r.IntN(2) > 0}}
		case kind == 3:
			return &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: r.Int64() - r.Int64()}}
		case kind == 4:
			return &commonpb.AnyValue{Value: &commonpb.AnyValue_DoubleValue{DoubleValue: r.NormFloat64()}}
		case kind == 5:
			return &commonpb.AnyValue{Value: &commonpb.AnyValue_BytesValue{BytesValue: []byte(text())}}
		case kind == 6 && depth < 3:
			list := &commonpb.ArrayValue{}
			for range r.IntN(4) {
				list.Values = append(list.Values, &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: text()}})
			}
			return &commonpb.AnyValue{Value: &commonpb.AnyValue_ArrayValue{ArrayValue: list}}
		case kind == 7 && depth < 3:
			return &commonpb.AnyValue{Value: &commonpb.AnyValue_KvlistValue{KvlistValue: &commonpb.KeyValueList{Values: pairs(4, depth+1)}}}
		}
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: text()}}
	}
	request := &collectorpb.ExportTraceServiceRequest{}
	for range r.IntN(4) {
		ofResource := &tracepb.ResourceSpans{}
		if r.IntN(3) > 0 {
			ofResource.Resource = &resourcepb.Resource{Attributes: pairs(5, 0)}
		}
		for range r.IntN(4) {
			ofScope := &tracepb.ScopeSpans{}
			if r.IntN(3) > 0 {
				ofScope.Scope = &commonpb.InstrumentationScope{Name: text(), Version: text(), Attributes: pairs(3, 0)}
			}
			for range r.IntN(90) {
				span := &tracepb.Span{
					TraceId: []byte(text()), SpanId: []byte(text()), ParentSpanId: []byte(text()), Name: text(),
					StartTimeUnixNano: r.Uint64(), EndTimeUnixNano: r.Uint64(), Attributes: pairs(20, 0),
				}
				for range r.IntN(3) {
					span.Events = append(span.Events, &tracepb.Span_Event{TimeUnixNano: r.Uint64(), Name: text(), Attributes: pairs(4, 0)})
				}
				if r.IntN(2) > 0 {
					span.Status = &tracepb.Status{Message: text(), Code: tracepb.Status_StatusCode(r.IntN(3))}
				}
				ofScope.Spans = append(ofScope.Spans, span)
			}
			ofResource.ScopeSpans = append(ofResource.ScopeSpans, ofScope)
		}
		request.ResourceSpans = append(request.ResourceSpans, ofResource)
	}
	return request
}

// sameAsUnmarshal reports the difference between the results of the decoder and of proto.Unmarshal.
func sameAsUnmarshal(content []byte) error {
	want := &collectorpb.ExportTraceServiceRequest{}
	if err := unmarshal(content, want); err != nil {
		return err
	}
	got, release, err := decodeProtobuf(content, 1000)
	if err != nil {
		return err
	}
	defer release()
	if got, want = withoutUnread(got), withoutUnread(want); !proto.Equal(got, want) {
		return fmt.Errorf("want %v, got %v", want, got)
	}
	return nil
}

func TestDecoderMatchesProtobuf(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	for seed := range uint64(4) { // they share the reused memory
		all.Go(func() {
			r := rand.New(rand.NewPCG(seed, 1))
			for range 30 {
				content, err := proto.Marshal(anyRequest(r))
				if err == nil {
					err = sameAsUnmarshal(content)
				}
				if err != nil {
					t.Errorf("%.2000s", err)
					return
				}
			}
		})
	}
	all.Wait()
}

// TestDecoderMerges checks that messages in several parts are merged, as protobuf requires.
func TestDecoderMerges(t *testing.T) {
	t.Parallel()
	part := func(field protowire.Number, value []byte) []byte {
		return protowire.AppendBytes(protowire.AppendTag(nil, field, protowire.BytesType), value)
	}
	text := func(s string) []byte { return part(1, []byte(s)) }
	pair := func(values ...[]byte) []byte {
		all := part(1, []byte("key"))
		for _, value := range values {
			all = append(all, part(2, value)...)
		}
		return part(9, all)
	}
	list := func(s string) []byte { return part(5, part(1, text(s))) }
	for name, span := range map[string][]byte{
		"a value twice":         pair(text("a"), text("b")),
		"a list twice":          pair(append(list("a"), list("b")...)),
		"two kinds of values":   pair(append(text("a"), list("b")...)),
		"a status twice":        append(part(15, part(2, []byte("a"))), part(15, []byte{0x18, 2})...),
		"a field of other kind": protowire.AppendVarint(protowire.AppendTag(nil, 5, protowire.VarintType), 1),
		"fields of no span":     part(99, []byte("x")),
	} {
		content := part(1, part(2, part(2, span)))
		if name == "fields of no span" { // proto.Unmarshal discards them
			content = part(1, part(2, append(part(2, span), part(99, nil)...)))
		}
		if err := sameAsUnmarshal(content); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	twice := part(1, append(part(1, part(1, part(1, []byte("a")))), part(1, part(1, part(1, []byte("b"))))...))
	if err := sameAsUnmarshal(twice); err != nil {
		t.Errorf("a resource twice: %v", err)
	}
}

// FuzzDecoder checks that the decoder returns the same as proto.Unmarshal for the same bytes, and rejects what it
// rejects.
func FuzzDecoder(f *testing.F) {
	for seed := range uint64(200) {
		content, err := proto.Marshal(anyRequest(rand.New(rand.NewPCG(seed, 2))))
		if err != nil {
			f.Fatal(err)
		}
		if len(content) < 4<<10 { // large inputs are slow to mutate
			f.Add(content)
		}
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		want := &collectorpb.ExportTraceServiceRequest{}
		if unmarshal(content, want) != nil {
			return // broken text is repaired, and invalid protobuf is rejected
		}
		got, release, err := decodeProtobuf(content, 1000)
		if err != nil {
			return // exceeds the limits
		}
		defer release()
		if got = withoutUnread(got); !proto.Equal(got, withoutUnread(want)) {
			t.Errorf("want %v, got %v", want, got)
		}
	})
}

// withoutUnread removes from a request the fields that the decoder ignores.
func withoutUnread(request *collectorpb.ExportTraceServiceRequest) *collectorpb.ExportTraceServiceRequest {
	known := func(pairs []*commonpb.KeyValue) {
		for _, pair := range pairs {
			pair.ProtoReflect().SetUnknown(nil)
		}
	}
	for _, ofResource := range request.GetResourceSpans() {
		ofResource.SchemaUrl = ""
		if resource := ofResource.Resource; resource != nil {
			ofResource.Resource = &resourcepb.Resource{Attributes: resource.Attributes}
			known(resource.Attributes)
		}
		for _, ofScope := range ofResource.GetScopeSpans() {
			ofScope.SchemaUrl = ""
			if scope := ofScope.Scope; scope != nil {
				ofScope.Scope = &commonpb.InstrumentationScope{Name: scope.Name, Attributes: scope.Attributes}
				known(scope.Attributes)
			}
			for _, span := range ofScope.GetSpans() {
				span.TraceState, span.Flags, span.Kind = "", 0, 0
				span.Links, span.DroppedAttributesCount, span.DroppedEventsCount, span.DroppedLinksCount = nil, 0, 0, 0
				known(span.GetAttributes())
			}
		}
	}
	return request
}
