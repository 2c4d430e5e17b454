package otlp

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"math/big"
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	collectorpb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"

	"github.com/watchbill/watchbill/internal/text"
)

// maxJSONNesting corresponds to maxNesting: a value nested in an attribute's value takes an array and two objects.
const maxJSONNesting = 3 * maxNesting

// lenient accepts broken UTF-8, which becomes U+FFFD, as in protobuf. Unknown fields are ignored, as the protocol
// requires.
var lenient = jsontext.AllowInvalidUTF8(true)

func decodeJSON(content []byte, maxSpans int) (*collectorpb.ExportTraceServiceRequest, error) {
	if err := surveyJSON(content, maxSpans); err != nil {
		return nil, err
	}
	var request exportJSON
	err := json.Unmarshal(content, &request, lenient)
	var semantic *json.SemanticError
	switch {
	case err == nil:
		return request.proto(), nil
	case errors.As(err, &semantic):
		return nil, refuse(http.StatusBadRequest, "%s %s", place(semantic.JSONPointer), detailOf(semantic))
	default: // surveyJSON has rejected what is not JSON
		return nil, refuse(http.StatusBadRequest, "the body cannot be read")
	}
}

// surveyJSON checks a message before it is decoded, as survey does.
func surveyJSON(content []byte, maxSpans int) error {
	const spanDepth = 7 // {resourceSpans: [{scopeSpans: [{spans: [{
	decoder := jsontext.NewDecoder(bytes.NewReader(content), lenient)
	spans, messages := 0, 0
	for first := true; ; first = false {
		whole := !first && decoder.StackDepth() == 0
		token, err := decoder.ReadToken()
		switch {
		case whole && errors.Is(err, io.EOF):
			return nil
		case whole:
			return refuse(http.StatusBadRequest, "there is more after the JSON object")
		case err != nil:
			return syntaxRefusal(err)
		case first && token.Kind() != jsontext.KindBeginObject:
			return refuse(http.StatusBadRequest, "the body must be a JSON object")
		}
		depth := decoder.StackDepth()
		switch token.Kind() {
		case jsontext.KindBeginObject, jsontext.KindBeginArray:
		case jsontext.KindNull: // in a list it is an empty message, which costs as much as any other
			if around, _ := decoder.StackIndex(depth); around != jsontext.KindBeginArray {
				continue
			}
			depth++
		default:
			continue
		}
		if messages++; messages > maxMessages {
			return errTooMany
		}
		if depth > maxJSONNesting {
			return errTooDeep
		}
		if depth == spanDepth {
			if around, _ := decoder.StackIndex(depth - 1); around == jsontext.KindBeginArray {
				spans++
			}
		}
		if spans > maxSpans {
			return errTooManySpans(maxSpans)
		}
	}
}

func syntaxRefusal(err error) error {
	var fault *jsontext.SyntacticError
	switch {
	case !errors.As(err, &fault):
		return refuse(http.StatusBadRequest, "the body is not JSON: it ends early")
	case errors.Is(fault.Err, jsontext.ErrDuplicateName):
		return refuse(http.StatusBadRequest, "%s is duplicated", place(fault.JSONPointer))
	default:
		return refuse(http.StatusBadRequest, "the body is not JSON: %s at byte %d", clean(fault.Err.Error()), fault.ByteOffset)
	}
}

// place returns the path of a value in a document, truncated.
func place(pointer jsontext.Pointer) string { return text.Clip(string(pointer), 200) }

func detailOf(fault *json.SemanticError) string {
	var wrong *wrongValue
	if errors.As(fault.Err, &wrong) {
		return wrong.Error()
	}
	switch fault.JSONKind {
	case jsontext.KindBeginObject:
		return "must not be an object"
	case jsontext.KindBeginArray:
		return "must not be an array"
	case jsontext.KindString:
		return "must not be a string, or not this one"
	case jsontext.KindNumber:
		return "must not be a number"
	case jsontext.KindNull:
		return "must not be null"
	default:
		return "must not be true or false"
	}
}

// wrongValue is returned for a value that is not what it should be.
type wrongValue struct{ want string }

func (w *wrongValue) Error() string { return "must be " + w.want }

// scalar reads a string, number or null, which are the forms of numbers. null and the empty string mean no value.
func scalar(decoder *jsontext.Decoder, want string) (string, error) {
	switch decoder.PeekKind() {
	case jsontext.KindString, jsontext.KindNumber, jsontext.KindNull:
	default:
		return "", &wrongValue{want}
	}
	token, err := decoder.ReadToken()
	if err != nil || token.Kind() == jsontext.KindNull {
		return "", err
	}
	return token.String(), nil
}

// hexID is the id of a trace or span. OTLP encodes it in hexadecimal, unlike ProtoJSON, which uses base64.
type hexID []byte

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (id *hexID) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	const want = "an id in hexadecimal"
	if kind := decoder.PeekKind(); kind == jsontext.KindNumber {
		return &wrongValue{want}
	}
	text, err := scalar(decoder, want)
	if err != nil {
		return err
	}
	if *id, err = hex.DecodeString(text); err != nil {
		return &wrongValue{want}
	}
	return nil
}

// nanos is a time in nanoseconds since 1970. Times outside of uint64, before 1970 or after 2554, become the nearest
// valid one: the ledger then rejects the span, and accepts the rest of the export.
type nanos uint64

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (n *nanos) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	const want = "a time in nanoseconds"
	text, err := scalar(decoder, want)
	if err != nil || text == "" {
		return err
	}
	whole, ok := wholeNumber(text)
	switch {
	case !ok:
		return &wrongValue{want}
	case whole.Sign() < 0:
		*n = 0
	case !whole.IsUint64():
		*n = math.MaxUint64
	default:
		*n = nanos(whole.Uint64())
	}
	return nil
}

// integer is an integer attribute. One outside of int64 is kept as a float64, so that code that requires a smaller
// number can reject it with the attribute's name.
type integer struct {
	whole  int64
	beyond float64 // if not zero, the value is outside of int64
}

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (i *integer) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	const want = "a whole number"
	text, err := scalar(decoder, want)
	if err != nil {
		return err
	}
	whole, ok := wholeNumber(text)
	switch {
	case !ok:
		return &wrongValue{want}
	case whole.IsInt64():
		i.whole = whole.Int64()
	default:
		i.beyond, _ = new(big.Float).SetInt(whole).Float64()
	}
	return nil
}

// wholeNumber parses a whole number, which may be written with a fraction or an exponent.
func wholeNumber(text string) (*big.Int, bool) {
	const maxDigits = 400 // more than a float64 has
	if len(text) > maxDigits {
		return nil, false
	}
	if whole, ok := new(big.Int).SetString(text, 10); ok {
		return whole, true
	}
	float, err := strconv.ParseFloat(text, 64)
	if err != nil || float != math.Trunc(float) || math.IsInf(float, 0) {
		return nil, false
	}
	whole, _ := big.NewFloat(float).Int(nil)
	return whole, true
}

// double is a number, or a string for values that JSON numbers cannot express.
type double float64

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (d *double) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	const want = `a number, "NaN", "Infinity" or "-Infinity"`
	text, err := scalar(decoder, want)
	if err != nil || text == "" {
		return err
	}
	float, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return &wrongValue{want}
	}
	*d = double(float) // a number out of range becomes an infinity
	return nil
}

// statusCode is an enumeration. OTLP writes it as a number; some exporters write the name, as ProtoJSON does.
type statusCode int32

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (c *statusCode) UnmarshalJSONFrom(decoder *jsontext.Decoder) error {
	const want = "a status code: 0, 1 or 2"
	text, err := scalar(decoder, want)
	if err != nil {
		return err
	}
	switch strings.TrimPrefix(text, "STATUS_CODE_") {
	case "", "0", "UNSET":
		*c = 0
	case "1", "OK":
		*c = 1
	case "2", "ERROR":
		*c = 2
	default:
		if _, err := strconv.ParseInt(text, 10, 32); err != nil {
			return &wrongValue{want}
		}
		*c = 0 // from a later version of the protocol
	}
	return nil
}
