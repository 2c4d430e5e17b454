package otlp_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/slim/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/otlp"
)

const (
	protobufType = "application/x-protobuf"
	jsonType     = "application/json"
	traceID      = "0af7651916cd43dd8448eb211c80319c"
)

var noon = time.Date(2026, 8, 20, 12, 0, 0, 0, time.UTC)

// ledger accepts and keeps executions that are valid in the year around noon.
type ledger struct {
	mu    sync.Mutex
	batch execution.Batch
	calls int
	err   error
	wait  bool // until the context is done
}

func (l *ledger) Append(ctx context.Context, batch execution.Batch) (execution.Outcome, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	if l.wait {
		<-ctx.Done()
		return execution.Outcome{}, ctx.Err()
	}
	if l.err != nil {
		return execution.Outcome{}, l.err
	}
	var outcome execution.Outcome
	l.batch.Spans = append(l.batch.Spans, batch.Spans...)
	for i, e := range batch.Executions {
		fault := e.Check(execution.Acceptance{Now: noon, Keep: 365 * 24 * time.Hour})
		if fault == nil {
			fault = execution.PayloadPolicy{}.Apply(&e)
		}
		if fault != nil {
			outcome.Rejected = append(outcome.Rejected, execution.Rejection{Index: i, Fault: *fault})
			continue
		}
		outcome.Accepted++
		l.batch.Executions = append(l.batch.Executions, e)
	}
	return outcome, nil
}

// says are attributes of any type.
type says map[string]any

func (s says) pairs() []*commonpb.KeyValue {
	var list []*commonpb.KeyValue
	for _, key := range slices.Sorted(maps.Keys(s)) {
		list = append(list, &commonpb.KeyValue{Key: key, Value: anyValue(s[key])})
	}
	return list
}

func anyValue(value any) *commonpb.AnyValue {
	switch v := value.(type) {
	case string:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: v}}
	case bool:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_BoolValue{BoolValue: v}}
	case int:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: int64(v)}}
	case float64:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_DoubleValue{DoubleValue: v}}
	case []byte:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_BytesValue{BytesValue: v}}
	case []any:
		array := &commonpb.ArrayValue{}
		for _, element := range v {
			array.Values = append(array.Values, anyValue(element))
		}
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_ArrayValue{ArrayValue: array}}
	case says:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_KvlistValue{KvlistValue: &commonpb.KeyValueList{Values: v.pairs()}}}
	case nil:
		return &commonpb.AnyValue{}
	}
	panic("no attribute has such a value")
}

// with returns the attributes with others added or replaced.
func (s says) with(more says) says {
	all := says{}
	for _, some := range []says{s, more} {
		for key, value := range some {
			all[key] = value
		}
	}
	return all
}

// newSpan returns a span that began at noon and took 1.5 s. Its id and its parent's are the byte repeated; parent 0
// means none.
func newSpan(id, parent byte, attributes says) *tracepb.Span {
	trace, _ := hex.DecodeString(traceID)
	s := &tracepb.Span{
		TraceId: trace, SpanId: bytes.Repeat([]byte{id}, 8),
		Name:              "a span",
		StartTimeUnixNano: uint64(noon.UnixNano()),
		EndTimeUnixNano:   uint64(noon.Add(1500 * time.Millisecond).UnixNano()),
		Attributes:        attributes.pairs(),
	}
	if parent != 0 {
		s.ParentSpanId = bytes.Repeat([]byte{parent}, 8)
	}
	return s
}

func event(name string, attributes says) *tracepb.Span_Event {
	return &tracepb.Span_Event{Name: name, Attributes: attributes.pairs()}
}

// exportOf returns an export of the spans, from a resource with only a service name.
func exportOf(spans ...*tracepb.Span) *collectorpb.ExportTraceServiceRequest {
	return exportFrom(says{"service.name": "shop", "telemetry.sdk.language": "python"}, nil, spans...)
}

func exportFrom(resource, scope says, spans ...*tracepb.Span) *collectorpb.ExportTraceServiceRequest {
	return &collectorpb.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{{
		Resource:   &resourcepb.Resource{Attributes: resource.pairs()},
		ScopeSpans: []*tracepb.ScopeSpans{{Scope: &commonpb.InstrumentationScope{Name: "test", Attributes: scope.pairs()}, Spans: spans}},
	}}}
}

// encodings encode an export as exporters do.
var encodings = map[string]func(testing.TB, *collectorpb.ExportTraceServiceRequest) []byte{
	protobufType: func(t testing.TB, export *collectorpb.ExportTraceServiceRequest) []byte {
		body, err := proto.Marshal(export)
		if err != nil {
			t.Fatal(err)
		}
		return body
	},
	jsonType: otlpJSON,
}

// otlpJSON returns ProtoJSON with the ids in hexadecimal.
func otlpJSON(t testing.TB, export *collectorpb.ExportTraceServiceRequest) []byte {
	protoJSON, err := protojson.MarshalOptions{UseEnumNumbers: true}.Marshal(export)
	if err != nil {
		t.Fatal(err)
	}
	var document any
	if err := json.Unmarshal(protoJSON, &document); err != nil {
		t.Fatal(err)
	}
	var convert func(any)
	convert = func(node any) {
		switch n := node.(type) {
		case []any:
			for _, element := range n {
				convert(element)
			}
		case map[string]any:
			for name, value := range n {
				switch name {
				case "traceId", "spanId", "parentSpanId":
					id, err := base64.StdEncoding.DecodeString(value.(string))
					if err != nil {
						t.Fatal(err)
					}
					n[name] = hex.EncodeToString(id)
				default:
					convert(value)
				}
			}
		}
	}
	convert(document)
	body, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// answer is a response.
type answer struct {
	status    int
	mediaType string
	body      []byte
}

func post(t testing.TB, l *ledger, header http.Header, body []byte, opts ...func(*otlp.Options)) answer {
	t.Helper()
	options := otlp.Options{Ledger: l}
	for _, set := range opts {
		set(&options)
	}
	var a answer
	a.status, a.mediaType, a.body = otlp.New(options).Export(t.Context(), header, bytes.NewReader(body))
	return a
}

func headerOf(contentType string) http.Header { return http.Header{"Content-Type": {contentType}} }

// partial decodes the response to an export that was accepted.
func (a answer) partial(t testing.TB) *collectorpb.ExportTracePartialSuccess {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("the answer was %d %s", a.status, a.body)
	}
	response := &collectorpb.ExportTraceServiceResponse{}
	var err error
	if a.mediaType == protobufType {
		err = proto.Unmarshal(a.body, response)
	} else {
		err = protojson.Unmarshal(a.body, response)
	}
	if err != nil {
		t.Fatal(err)
	}
	return response.GetPartialSuccess()
}

// translated exports in both encodings, checks that the results are equal, and returns what the ledger received.
func translated(t *testing.T, export *collectorpb.ExportTraceServiceRequest) (execution.Batch, *collectorpb.ExportTracePartialSuccess) {
	t.Helper()
	batches := make(map[string]execution.Batch)
	partials := make(map[string]*collectorpb.ExportTracePartialSuccess)
	for contentType, encode := range encodings {
		l := &ledger{}
		partials[contentType] = post(t, l, headerOf(contentType), encode(t, export)).partial(t)
		batches[contentType] = l.batch
	}
	if diff := differ(batches[protobufType], batches[jsonType]); diff != "" {
		t.Errorf("JSON comes to something else than protobuf (-protobuf +JSON):\n%s", diff)
	}
	if !proto.Equal(partials[protobufType], partials[jsonType]) {
		t.Errorf("JSON returned %v, protobuf with %v", partials[jsonType], partials[protobufType])
	}
	return batches[protobufType], partials[protobufType]
}

// one returns the execution of a single span.
func one(t *testing.T, s *tracepb.Span) execution.Execution {
	t.Helper()
	batch, partial := translated(t, exportOf(s))
	if partial != nil {
		t.Fatalf("the span was rejected: %s", partial.GetErrorMessage())
	}
	if len(batch.Executions) != 1 {
		t.Fatalf("the span became %d executions", len(batch.Executions))
	}
	return batch.Executions[0]
}

func gzipped(t testing.TB, body []byte) []byte {
	t.Helper()
	var compressed bytes.Buffer
	w := gzip.NewWriter(&compressed)
	if _, err := w.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return compressed.Bytes()
}

func zstded(t testing.TB, body []byte) []byte {
	t.Helper()
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderCRC(true), zstd.WithZeroFrames(true))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = encoder.Close() }()
	return encoder.EncodeAll(body, nil)
}

// flipped returns the data with a changed last byte, which is part of a checksum.
func flipped(compressed []byte) []byte {
	compressed[len(compressed)-1] ^= 0xff
	return compressed
}
