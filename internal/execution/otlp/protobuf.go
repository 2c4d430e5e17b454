package otlp

import (
	"net/http"
	"sync"
	"unicode/utf8"

	collectorlogspb "go.opentelemetry.io/proto/slim/otlp/collector/logs/v1"
	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const (
	// maxMessages limits the number of messages in an export; every attribute is two. A message takes two bytes on the
	// wire and a hundred in memory, so the limit of bytes alone would not bound the memory for decoding.
	maxMessages = 500_000
	// maxNesting limits the nesting of messages. Spans need six levels; attributes as many as their values have.
	maxNesting = 200
)

// decodeProtobuf decodes a request. The caller must call release when done with it.
func decodeProtobuf(content []byte, maxSpans int) (request *collectorpb.ExportTraceServiceRequest, release func(), err error) {
	d := decoders.Get().(*decoder)
	if request, ok := d.export(string(content), maxSpans); ok {
		return request, d.release, nil
	}
	d.release()
	seen := survey{maxSpans: maxSpans}
	if err := seen.walk(content, exportShape(), 0); err != nil {
		return nil, nil, err
	}
	if seen.brokenText {
		content = repair(nil, content, exportShape())
	}
	request = &collectorpb.ExportTraceServiceRequest{}
	if err := unmarshal(content, request); err != nil {
		return nil, nil, errNotProtobuf
	}
	return request, func() {}, nil
}

var (
	errNotProtobuf = refuse(http.StatusBadRequest, "the body is not an ExportTraceServiceRequest in protobuf")
	errTooDeep     = refuse(http.StatusBadRequest, "an attribute's value is nested too deep")
	errTooMany     = refuse(http.StatusRequestEntityTooLarge, "the body holds too many attributes: export fewer spans at once")
)

func errTooManySpans(limit int) error {
	return refuse(http.StatusRequestEntityTooLarge, "the body holds more than %d spans: export fewer at once", limit)
}

// survey checks a message before it is decoded: what decoding would cost, and whether its strings are valid UTF-8.
type survey struct {
	maxSpans        int
	spans, messages int
	brokenText      bool
}

func (s *survey) walk(content []byte, message *shape, depth int) error {
	if s.messages++; s.messages > maxMessages {
		return errTooMany
	}
	if message.span {
		if s.spans++; s.spans > s.maxSpans {
			return errTooManySpans(s.maxSpans)
		}
	}
	if depth > maxNesting {
		return errTooDeep
	}
	for len(content) > 0 {
		at, size := nextField(content, message)
		if size < 0 {
			return errNotProtobuf
		}
		switch {
		case at.text && !utf8.Valid(at.value):
			s.brokenText = true
		case at.message != nil:
			if err := s.walk(at.value, at.message, depth+1); err != nil {
				return err
			}
		}
		content = content[size:]
	}
	return nil
}

// shape describes a message type: which of its fields are strings and which are messages. It is built from the type's
// descriptor once: querying that for each field would make an export about 8 % slower (BenchmarkExport).
type shape struct {
	span   bool
	fields []shapeField // by number
}

type shapeField struct {
	text    bool
	message *shape // nil if it is not a message
}

// The shapes of exported messages, built on first use.
var (
	exportShape = sync.OnceValue(func() *shape { return shapeOfMessage(&collectorpb.ExportTraceServiceRequest{}) })
	logsShape   = sync.OnceValue(func() *shape { return shapeOfMessage(&collectorlogspb.ExportLogsServiceRequest{}) })
)

func shapeOfMessage(m proto.Message) *shape {
	return shapeOf(m.ProtoReflect().Descriptor(), map[protoreflect.FullName]*shape{})
}

// shapeOf builds a type's shape. known has the shapes that are being built, since types are recursive.
func shapeOf(message protoreflect.MessageDescriptor, known map[protoreflect.FullName]*shape) *shape {
	if made := known[message.FullName()]; made != nil {
		return made
	}
	made := &shape{span: message.FullName() == (&tracepb.Span{}).ProtoReflect().Descriptor().FullName()}
	known[message.FullName()] = made
	fields := message.Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		for int(field.Number()) >= len(made.fields) {
			made.fields = append(made.fields, shapeField{})
		}
		at := &made.fields[field.Number()]
		at.text = field.Kind() == protoreflect.StringKind
		if field.Message() != nil {
			at.message = shapeOf(field.Message(), known)
		}
	}
	return made
}

// field is one field on the wire.
type field struct {
	number protowire.Number
	value  []byte // of a string, or of a message without its length
	shapeField
}

// shortHead is the number of bytes before the value that shortBytes returns.
const shortHead = 2

// shortBytes reads the first field of content if it contains bytes and its tag and length take one byte each, as in
// most fields.
func shortBytes(content []byte) (number protowire.Number, value []byte, ok bool) {
	if len(content) < shortHead {
		return 0, nil, false
	}
	tag, length := content[0], int(content[1])
	if tag&7 != byte(protowire.BytesType) || tag < 1<<3 || tag >= 0x80 || length >= 0x80 || len(content) < shortHead+length {
		return 0, nil, false
	}
	return protowire.Number(tag >> 3), content[shortHead : shortHead+length], true
}

// nextField reads the first field of content. size is negative if there is none.
func nextField(content []byte, message *shape) (found field, size int) {
	if number, value, ok := shortBytes(content); ok {
		if found.number = number; int(number) < len(message.fields) {
			found.shapeField, found.value = message.fields[number], value
		}
		return found, shortHead + len(value)
	}
	number, wireType, tag := protowire.ConsumeTag(content)
	if tag < 0 {
		return field{}, tag
	}
	rest := content[tag:]
	if wireType == protowire.BytesType {
		value, length := protowire.ConsumeBytes(rest)
		if length < 0 {
			return field{}, length
		}
		if found.number = number; int(number) < len(message.fields) {
			found.shapeField, found.value = message.fields[number], value
		}
		return found, tag + length
	}
	length := protowire.ConsumeFieldValue(number, wireType, rest)
	if length < 0 {
		return field{}, length
	}
	found.number = number
	return found, tag + length
}

// repair appends the message to out with its strings made valid UTF-8, as protobuf requires. Not every exporter ensures
// that, and one span's broken string should not lose the other spans. The message was surveyed.
func repair(out, content []byte, message *shape) []byte {
	for len(content) > 0 {
		at, size := nextField(content, message)
		switch {
		case at.text:
			out = protowire.AppendTag(out, at.number, protowire.BytesType)
			out = protowire.AppendString(out, clean(string(at.value)))
		case at.message != nil:
			out = protowire.AppendTag(out, at.number, protowire.BytesType)
			out = protowire.AppendBytes(out, repair(nil, at.value, at.message))
		default:
			out = append(out, content[:size]...)
		}
		content = content[size:]
	}
	return out
}
