package otlp

import (
	"hash/maphash"
	"math"
	"sync"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// decoder makes messages of protobuf's encoding out of memory that it uses again for the next export. proto.Unmarshal allocates each
// message alone, and three objects for each attribute: with the garbage that makes, decoding is a fifth of an export's work.
//
// It decodes what was surveyed, and of spans only the fields that are read here. Messages that seldom come are left to proto.Unmarshal.
type decoder struct {
	spans    slab[tracepb.Span]
	statuses slab[tracepb.Status]
	pairs    slab[commonpb.KeyValue]
	values   slab[commonpb.AnyValue]
	texts    slab[commonpb.AnyValue_StringValue]
	numbers  slab[commonpb.AnyValue_IntValue]

	spanLists []*tracepb.Span      // of all scopes, one after the other
	pairLists []*commonpb.KeyValue // of all spans, likewise
	known     [knownTexts]string   // texts that came lately, each in the place that its hash says
	seed      maphash.Seed
}

const (
	knownTexts   = 512
	maxKnownText = 64 // bytes
	// maxKeptPairs bounds the memory that is kept for the next export, some 5 MiB. Only GOMAXPROCS or so of it are kept at a time, and
	// those until the second collection of garbage.
	maxKeptPairs = 32_000
)

var decoders = sync.Pool{New: func() any { return &decoder{seed: maphash.MakeSeed()} }}

// release gives the memory back. Nothing that was decoded may be used after that.
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
	d.spanLists, d.pairLists = d.spanLists[:0], d.pairLists[:0]
	decoders.Put(d)
}

// slab is memory for values of a type.
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

// text returns a string of the bytes, the one of before if they came lately.
func (d *decoder) text(value []byte) string {
	if len(value) > maxKnownText {
		return string(value)
	}
	at := &d.known[maphash.Bytes(d.seed, value)%knownTexts]
	if *at != string(value) {
		*at = string(value)
	}
	return *at
}

// wire is what is left of a message.
type wire []byte

// next takes the next field: its bytes, or its number.
func (w *wire) next() (field protowire.Number, kind protowire.Type, bytes []byte, number uint64, ok bool) {
	if field, bytes, ok := shortBytes(*w); ok {
		*w = (*w)[shortHead+len(bytes):]
		return field, protowire.BytesType, bytes, 0, true
	}
	field, kind, n := protowire.ConsumeTag(*w)
	if n < 0 {
		return 0, 0, nil, 0, false
	}
	rest := (*w)[n:]
	switch kind {
	case protowire.BytesType:
		bytes, n = protowire.ConsumeBytes(rest)
	case protowire.VarintType:
		number, n = protowire.ConsumeVarint(rest)
	case protowire.Fixed64Type:
		number, n = protowire.ConsumeFixed64(rest)
	default:
		n = protowire.ConsumeFieldValue(field, kind, rest)
	}
	if n < 0 {
		return 0, 0, nil, 0, false
	}
	*w = wire(rest[n:])
	return field, kind, bytes, number, true
}

// export decodes a request. ok is false where it is made in a way that is left to proto.Unmarshal: a message comes in several parts.
func (d *decoder) export(content []byte) (request *collectorpb.ExportTraceServiceRequest, ok bool) {
	request = &collectorpb.ExportTraceServiceRequest{}
	for w := wire(content); len(w) > 0; {
		field, kind, value, _, ok := w.next()
		if !ok {
			return nil, false
		}
		if field == 1 && kind == protowire.BytesType {
			spans := &tracepb.ResourceSpans{}
			if !d.resource(value, spans) {
				return nil, false
			}
			request.ResourceSpans = append(request.ResourceSpans, spans)
		}
	}
	return request, true
}

// rest decodes a message that comes once.
func rest[M any, P interface {
	*M
	proto.Message
}](value []byte, to *P) bool {
	if *to != nil {
		return false
	}
	*to = new(M)
	return unmarshal(value, *to) == nil
}

func unmarshal(value []byte, to proto.Message) error {
	return (proto.UnmarshalOptions{DiscardUnknown: true, RecursionLimit: maxNesting + 1}).Unmarshal(value, to)
}

func (d *decoder) resource(content []byte, to *tracepb.ResourceSpans) bool {
	for w := wire(content); len(w) > 0; {
		field, kind, value, _, ok := w.next()
		if !ok {
			return false
		}
		if kind != protowire.BytesType {
			continue
		}
		switch field {
		case 1:
			if !rest(value, &to.Resource) {
				return false
			}
		case 2:
			spans := &tracepb.ScopeSpans{}
			if !d.scope(value, spans) {
				return false
			}
			to.ScopeSpans = append(to.ScopeSpans, spans)
		}
	}
	return true
}

func (d *decoder) scope(content []byte, to *tracepb.ScopeSpans) bool {
	first := len(d.spanLists)
	for w := wire(content); len(w) > 0; {
		field, kind, value, _, ok := w.next()
		if !ok {
			return false
		}
		if kind != protowire.BytesType {
			continue
		}
		switch field {
		case 1:
			if !rest(value, &to.Scope) {
				return false
			}
		case 2:
			span := d.spans.next()
			if !d.span(value, span) {
				return false
			}
			d.spanLists = append(d.spanLists, span)
		}
	}
	to.Spans = d.spanLists[first:len(d.spanLists):len(d.spanLists)]
	return true
}

func (d *decoder) span(content []byte, to *tracepb.Span) bool {
	first := len(d.pairLists)
	for w := wire(content); len(w) > 0; {
		field, kind, value, number, ok := w.next()
		switch {
		case !ok:
			return false
		case kind == protowire.Fixed64Type && field == 7:
			to.StartTimeUnixNano = number
		case kind == protowire.Fixed64Type && field == 8:
			to.EndTimeUnixNano = number
		case kind != protowire.BytesType:
		case field == 1:
			to.TraceId = value
		case field == 2:
			to.SpanId = value
		case field == 4:
			to.ParentSpanId = value
		case field == 5:
			to.Name = d.text(value)
		case field == 9:
			pair := d.pairs.next()
			if !d.pair(value, pair) {
				return false
			}
			d.pairLists = append(d.pairLists, pair)
		case field == 11:
			event := &tracepb.Span_Event{}
			if unmarshal(value, event) != nil {
				return false
			}
			to.Events = append(to.Events, event)
		case field == 15:
			if to.Status != nil {
				return false
			}
			to.Status = d.statuses.next()
			if len(value) > 0 && unmarshal(value, to.Status) != nil {
				return false
			}
		}
	}
	to.Attributes = d.pairLists[first:len(d.pairLists):len(d.pairLists)]
	return true
}

func (d *decoder) pair(content []byte, to *commonpb.KeyValue) bool {
	for w := wire(content); len(w) > 0; {
		field, kind, value, _, ok := w.next()
		switch {
		case !ok:
			return false
		case kind != protowire.BytesType:
		case field == 1:
			to.Key = d.text(value)
		case field == 2:
			if to.Value != nil {
				return false
			}
			to.Value = d.values.next()
			if !d.value(value, to.Value) {
				return false
			}
		}
	}
	return true
}

func (d *decoder) value(content []byte, to *commonpb.AnyValue) bool {
	w := wire(content)
	if len(w) == 0 {
		return true
	}
	field, kind, value, number, ok := w.next()
	if !ok {
		return false
	}
	switch {
	case len(w) > 0: // more than one
		return unmarshal(content, to) == nil
	case kind == protowire.BytesType && field == 1:
		text := d.texts.next()
		text.StringValue = d.text(value)
		to.Value = text
	case kind == protowire.VarintType && field == 2:
		to.Value = &commonpb.AnyValue_BoolValue{BoolValue: number != 0}
	case kind == protowire.VarintType && field == 3:
		integer := d.numbers.next()
		integer.IntValue = int64(number)
		to.Value = integer
	case kind == protowire.Fixed64Type && field == 4:
		to.Value = &commonpb.AnyValue_DoubleValue{DoubleValue: math.Float64frombits(number)}
	default:
		return unmarshal(content, to) == nil
	}
	return true
}
