package otlp

import (
	"math"
	"sync"
	"unicode/utf8"

	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/slim/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// decoder decodes protobuf messages into memory that it reuses for the next export. proto.Unmarshal allocates each
// message separately, and three objects per attribute: with the resulting garbage, decoding is a fifth of the work of
// an export.
//
// It surveys what it decodes. It decodes only the fields of spans that are used, and leaves rare messages to
// proto.Unmarshal. All strings are parts of one copy of the export, so strings that are kept must be cloned.
type decoder struct {
	seen survey

	spans    slab[tracepb.Span]
	statuses slab[tracepb.Status]
	pairs    slab[commonpb.KeyValue]
	values   slab[commonpb.AnyValue]
	texts    slab[commonpb.AnyValue_StringValue]
	numbers  slab[commonpb.AnyValue_IntValue]

	spanLists []*tracepb.Span      // of all scopes, concatenated
	pairLists []*commonpb.KeyValue // of all spans, concatenated
	ids       []byte               // concatenated
}

const (
	// maxKeptPairs limits the memory that is kept for reuse, about 5 MiB. About GOMAXPROCS decoders are kept at a time,
	// until the second garbage collection.
	maxKeptPairs = 32_000
)

var decoders = sync.Pool{New: func() any { return &decoder{} }}

// release returns the memory for reuse. Nothing that was decoded may be used afterwards.
func (d *decoder) release() {
	if d.pairs.used > maxKeptPairs || d.spans.used > maxKeptPairs {
		return
	}
	d.spans.reset()
	d.statuses.reset()
	d.pairs.reset()
	d.values.reset()
	d.texts.reset()
	d.numbers.reset()
	clear(d.spanLists)
	clear(d.pairLists)
	d.spanLists, d.pairLists, d.ids = d.spanLists[:0], d.pairLists[:0], d.ids[:0]
	decoders.Put(d)
}

// slab allocates values of a type in blocks.
type slab[T any] struct {
	blocks [][]T
	used   int
}

const slabBlock = 64 // values

// next returns a zero value.
func (s *slab[T]) next() *T {
	block := s.used / slabBlock
	if block == len(s.blocks) {
		s.blocks = append(s.blocks, make([]T, slabBlock))
	}
	value := &s.blocks[block][s.used%slabBlock]
	s.used++
	return value
}

func (s *slab[T]) reset() {
	for _, block := range s.blocks[:(s.used+slabBlock-1)/slabBlock] {
		clear(block)
	}
	s.used = 0
}

// export decodes a request. ok is false if the request is invalid, or if it must be left to proto.Unmarshal because a
// message is split into several parts.
func (d *decoder) export(content string, maxSpans int) (request *collectorpb.ExportTraceServiceRequest, ok bool) {
	request, d.seen = &collectorpb.ExportTraceServiceRequest{}, survey{maxSpans: maxSpans, messages: 1}
	of := exportShape()
	for w := (wire{message: content}); !w.ends(); {
		field, kind, value, _, ok := w.next()
		if !ok {
			return nil, false
		}
		if field == 1 && kind == protowire.BytesType {
			spans := &tracepb.ResourceSpans{}
			if !d.resource(value, of.fields[1].message, spans) {
				return nil, false
			}
			request.ResourceSpans = append(request.ResourceSpans, spans)
		}
	}
	return request, d.seen.messages <= maxMessages
}

// message decodes a rare message with proto.Unmarshal.
func (d *decoder) message(value string, of *shape, depth int, to proto.Message) bool {
	content := []byte(value)
	return d.seen.walk(content, of, depth) == nil && !d.seen.brokenText && unmarshal(content, to) == nil
}

func unmarshal(value []byte, to proto.Message) error {
	return (proto.UnmarshalOptions{DiscardUnknown: true, RecursionLimit: maxNesting + 1}).Unmarshal(value, to)
}

func (d *decoder) resource(content string, of *shape, to *tracepb.ResourceSpans) bool {
	d.seen.messages++
	for w := (wire{message: content}); !w.ends(); {
		field, kind, value, _, ok := w.next()
		switch {
		case !ok:
			return false
		case kind != protowire.BytesType:
		case field == 1:
			if to.Resource != nil {
				return false
			}
			to.Resource = &resourcepb.Resource{}
			if to.Resource.Attributes, ok = d.attributes(value, of.fields[1].message, 1, nil); !ok {
				return false
			}
		case field == 2:
			spans := &tracepb.ScopeSpans{}
			if !d.scope(value, of.fields[2].message, spans) {
				return false
			}
			to.ScopeSpans = append(to.ScopeSpans, spans)
		case !d.unread(field, value, of, 2):
			return false
		}
	}
	return true
}

// unread surveys a field that is not decoded.
func (d *decoder) unread(number protowire.Number, value string, of *shape, depth int) bool {
	if int(number) >= len(of.fields) {
		return true
	}
	if field := of.fields[number]; field.message != nil {
		return d.seen.walk([]byte(value), field.message, depth) == nil && !d.seen.brokenText
	} else if field.text {
		return utf8.ValidString(value)
	}
	return true
}

func (d *decoder) scope(content string, of *shape, to *tracepb.ScopeSpans) bool {
	d.seen.messages++
	first := len(d.spanLists)
	for w := (wire{message: content}); !w.ends(); {
		field, kind, value, _, ok := w.next()
		switch {
		case !ok:
			return false
		case kind != protowire.BytesType:
		case field == 1:
			if to.Scope != nil {
				return false
			}
			to.Scope = &commonpb.InstrumentationScope{}
			if to.Scope.Attributes, ok = d.attributes(value, of.fields[1].message, 3, &to.Scope.Name); !ok {
				return false
			}
		case field == 2:
			span := d.spans.next()
			if d.seen.spans++; d.seen.spans > d.seen.maxSpans || !d.span(value, of.fields[2].message, span) {
				return false
			}
			d.spanLists = append(d.spanLists, span)
		case !d.unread(field, value, of, 3):
			return false
		}
	}
	to.Spans = d.spanLists[first:len(d.spanLists):len(d.spanLists)]
	return true
}

// attributes decodes the attributes of a resource or a scope, and the name of a scope.
func (d *decoder) attributes(content string, of *shape, number protowire.Number, name *string) ([]*commonpb.KeyValue, bool) {
	d.seen.messages++
	first := len(d.pairLists)
	for w := (wire{message: content}); !w.ends(); {
		field, kind, value, _, ok := w.next()
		switch {
		case !ok:
			return nil, false
		case kind != protowire.BytesType:
		case field == number:
			pair := d.pairs.next()
			if !d.pair(value, of.fields[number].message, pair) {
				return nil, false
			}
			d.pairLists = append(d.pairLists, pair)
		case !d.unread(field, value, of, 3):
			return nil, false
		case name != nil && field == 1:
			*name = value
		}
	}
	return d.pairLists[first:len(d.pairLists):len(d.pairLists)], true
}

func (d *decoder) span(content string, of *shape, to *tracepb.Span) bool {
	d.seen.messages++
	first := len(d.pairLists)
	for w := (wire{message: content}); !w.ends(); {
		field, kind, value, number, ok := w.next()
		switch {
		case !ok:
			return false
		case kind == protowire.Fixed64Type && field == 7:
			to.StartTimeUnixNano = number
		case kind == protowire.Fixed64Type && field == 8:
			to.EndTimeUnixNano = number
		case kind != protowire.BytesType:
		case field == 9:
			pair := d.pairs.next()
			if !d.pair(value, of.fields[9].message, pair) {
				return false
			}
			d.pairLists = append(d.pairLists, pair)
		case field == 1:
			to.TraceId = d.id(value)
		case field == 2:
			to.SpanId = d.id(value)
		case field == 4:
			to.ParentSpanId = d.id(value)
		case field == 5:
			if to.Name = value; !utf8.ValidString(value) {
				return false
			}
		case field == 11:
			event := &tracepb.Span_Event{}
			if !d.message(value, of.fields[11].message, 4, event) {
				return false
			}
			to.Events = append(to.Events, event)
		case field == 15:
			if to.Status != nil {
				return false
			}
			to.Status = d.statuses.next()
			if !d.status(value, to.Status) {
				return false
			}
		case !d.unread(field, value, of, 4):
			return false
		}
	}
	to.Attributes = d.pairLists[first:len(d.pairLists):len(d.pairLists)]
	return true
}

func (d *decoder) id(value string) []byte {
	d.ids = append(d.ids, value...)
	return d.ids[len(d.ids)-len(value) : len(d.ids) : len(d.ids)]
}

func (d *decoder) status(content string, to *tracepb.Status) bool {
	d.seen.messages++
	for w := (wire{message: content}); !w.ends(); {
		field, kind, value, number, ok := w.next()
		switch {
		case !ok:
			return false
		case field == 2 && kind == protowire.BytesType:
			if to.Message = value; !utf8.ValidString(value) {
				return false
			}
		case field == 3 && kind == protowire.VarintType:
			to.Code = tracepb.Status_StatusCode(int32(number))
		}
	}
	return true
}

func (d *decoder) pair(content string, of *shape, to *commonpb.KeyValue) bool {
	d.seen.messages++
	for w := (wire{message: content}); !w.ends(); {
		field, kind, value, _, ok := w.next()
		switch {
		case !ok:
			return false
		case kind != protowire.BytesType:
		case field == 1:
			if to.Key = value; !utf8.ValidString(value) {
				return false
			}
		case field == 2:
			if to.Value != nil {
				return false
			}
			to.Value = d.values.next()
			if !d.value(value, of.fields[2].message, to.Value) {
				return false
			}
		}
	}
	return true
}

func (d *decoder) value(content string, of *shape, to *commonpb.AnyValue) bool {
	const depth = 5
	w := wire{message: content}
	if w.ends() {
		d.seen.messages++
		return true
	}
	field, kind, value, number, ok := w.next()
	switch {
	case !ok:
		return false
	case !w.ends(): // several fields
		return d.message(content, of, depth, to)
	case kind == protowire.BytesType && field == 1:
		text := d.texts.next()
		text.StringValue, to.Value = value, text
		if !utf8.ValidString(value) {
			return false
		}
	case kind == protowire.VarintType && field == 2:
		to.Value = &commonpb.AnyValue_BoolValue{BoolValue: number != 0}
	case kind == protowire.VarintType && field == 3:
		integer := d.numbers.next()
		integer.IntValue, to.Value = int64(number), integer
	case kind == protowire.Fixed64Type && field == 4:
		to.Value = &commonpb.AnyValue_DoubleValue{DoubleValue: math.Float64frombits(number)}
	default:
		return d.message(content, of, depth, to)
	}
	d.seen.messages++
	return true
}
