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
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"

	"github.com/watchbill/watchbill/internal/execution"
)

// maxDepth is how deep lists and objects in an attribute's value may lie in one another. What lies deeper is left out, so
// that what is around it is kept.
const maxDepth = 32

// encodeValue makes JSON of an attribute's value.
func encodeValue(value *commonpb.AnyValue) json.RawMessage { return encodeNested(value, 0) }

func encodeNested(value *commonpb.AnyValue, depth int) json.RawMessage {
	if depth > maxDepth {
		return encodeText("[nested too deep]")
	}
	switch v := value.GetValue().(type) {
	case *commonpb.AnyValue_StringValue:
		// Most messages come as a text that is a list or an object in JSON, since few SDKs have attributes that are one.
		if text := strings.TrimSpace(v.StringValue); beginsAsJSON(text) {
			return execution.Sanitize([]byte(text)) // a text still if it only begins like one
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
		said := collect(v.KvlistValue.GetValues())
		for _, member := range said.pairs {
			members[member.GetKey()] = encodeNested(member.GetValue(), depth+1)
		}
		return sorted(members).encode()
	}
	return json.RawMessage("null")
}

func beginsAsJSON(text string) bool { return text != "" && (text[0] == '{' || text[0] == '[') }

func encodeText(text string) json.RawMessage { return appendText(nil, text) }

func appendText(to []byte, text string) []byte {
	to, _ = jsontext.AppendQuote(to, clean(text)) // fails on broken UTF-8 alone
	return to
}

// list is the elements of one, in JSON.
type list [][]byte

func (l list) encode() json.RawMessage {
	return slices.Concat([]byte{'['}, bytes.Join(l, []byte{','}), []byte{']'})
}

// object is the members of one, in JSON.
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

// sorted is an object with its members in the order of their names, so that the same span always comes to the same.
func sorted(members map[string]json.RawMessage) object {
	o := make(object, 0, len(members))
	for _, name := range slices.Sorted(maps.Keys(members)) {
		o = append(o, member{name, members[name]})
	}
	return o
}
