package otlp

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	commonpb "go.opentelemetry.io/proto/slim/otlp/common/v1"

	"github.com/watchbill/watchbill/internal/execution"
)

// maxDepth limits the nesting of lists and objects in an attribute's value. Deeper values are left out, so that the
// rest is kept.
const maxDepth = 32

// encodeValue encodes an attribute's value as JSON.
func encodeValue(value *commonpb.AnyValue) json.RawMessage { return encodeNested(value, 0) }

func encodeNested(value *commonpb.AnyValue, depth int) json.RawMessage {
	if depth > maxDepth {
		return encodeText("[nested too deep]")
	}
	switch v := value.GetValue().(type) {
	case *commonpb.AnyValue_StringValue:
		// Most messages are strings with JSON lists or objects, since few SDKs support structured attributes.
		if text := strings.TrimSpace(v.StringValue); beginsAsJSON(text) {
			return execution.Sanitize([]byte(text)) // encoded as text if it is not valid JSON
		}
		return encodeText(v.StringValue)
	case *commonpb.AnyValue_BoolValue:
		return strconv.AppendBool(nil, v.BoolValue)
	case *commonpb.AnyValue_IntValue:
		return strconv.AppendInt(nil, v.IntValue, 10)
	case *commonpb.AnyValue_DoubleValue:
		text := strconv.FormatFloat(v.DoubleValue, 'g', -1, 64)
		if math.IsNaN(v.DoubleValue) || math.IsInf(v.DoubleValue, 0) {
			return encodeText(text)
		}
		return json.RawMessage(text)
	case *commonpb.AnyValue_BytesValue:
		return encodeText(base64.StdEncoding.EncodeToString(v.BytesValue))
	case *commonpb.AnyValue_ArrayValue:
		elements := make(list, 0, len(v.ArrayValue.GetValues()))
		for _, element := range v.ArrayValue.GetValues() {
			elements = append(elements, encodeNested(element, depth+1))
		}
		return elements.encode()
	case *commonpb.AnyValue_KvlistValue:
		members := make(map[string]json.RawMessage)
		attrs := collect(v.KvlistValue.GetValues())
		for _, member := range attrs.pairs {
			members[member.GetKey()] = encodeNested(member.GetValue(), depth+1)
		}
		return sorted(members).encode()
	}
	return json.RawMessage("null")
}

func beginsAsJSON(text string) bool { return text != "" && (text[0] == '{' || text[0] == '[') }

func encodeText(text string) json.RawMessage { return appendText(nil, text) }

func appendText(to []byte, text string) []byte {
	to, _ = jsontext.AppendQuote(to, clean(text)) // fails only on broken UTF-8
	return to
}

// list is a list of elements in JSON.
type list [][]byte

func (l list) encode() json.RawMessage {
	return slices.Concat([]byte{'['}, bytes.Join(l, []byte{','}), []byte{']'})
}

// object is an object with members in JSON.
type object []member

type member struct {
	name  string
	value json.RawMessage
}

func (o object) encode() json.RawMessage {
	members := make([][]byte, 0, len(o))
	for _, m := range o {
		members = append(members, slices.Concat(encodeText(m.name), []byte{':'}, m.value))
	}
	return slices.Concat([]byte{'{'}, bytes.Join(members, []byte{','}), []byte{'}'})
}

// sorted returns an object with its members ordered by name, so that the encoding is deterministic.
func sorted(members map[string]json.RawMessage) object {
	o := make(object, 0, len(members))
	for _, name := range slices.Sorted(maps.Keys(members)) {
		o = append(o, member{name, members[name]})
	}
	return o
}
