package input

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/server/problem"
)

// Limits of JSON.
const (
	MaxBody      = 1 << 20  // bytes of a JSON body
	MaxSmallBody = 64 << 10 // bytes of a JSON body that is always small
	maxDepth     = 64       // of nested arrays and objects

	// Numbers must fit a float64 and PostgreSQL's numeric, which jsonb uses. PostgreSQL prints numerics in full: 1e300
	// would come back as 301 digits, so the growth of a body is limited too.
	maxNumber   = 1024 // bytes as written
	maxExponent = 400
	maxGrowth   = 256 << 10 // bytes
)

// BrokenBody returns the problem to respond with if a body could not be read to its end.
func BrokenBody(err error) error {
	var known *openapi.Problem
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, os.ErrDeadlineExceeded):
		return problem.New(http.StatusRequestTimeout, "slow_body", "", "the body did not arrive in time")
	}
	return problem.BadRequest("truncated_body", "", "the body ended early")
}

// ErrTooLarge returns the problem of a body that is longer than limit bytes.
func ErrTooLarge(limit int64) error {
	return problem.New(http.StatusRequestEntityTooLarge, "body_too_large", "", "the body must be at most %d bytes", limit)
}

// CheckMediaType returns an error unless the body has one of the media types, is not compressed, and has no charset
// other than UTF-8.
func CheckMediaType(header http.Header, wanted ...string) (mediaType string, err error) {
	if encoding := header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return "", problem.New(http.StatusUnsupportedMediaType, "unsupported_content_encoding", "Content-Encoding",
			"compressed bodies are not accepted")
	}
	given := header.Get("Content-Type")
	if slices.Contains(wanted, given) {
		return given, nil
	}
	mediaType, parameters, err := mime.ParseMediaType(given)
	charset, hasCharset := parameters["charset"]
	delete(parameters, "charset")
	if err != nil || !slices.Contains(wanted, mediaType) || len(parameters) > 0 || hasCharset && !strings.EqualFold(charset, "utf-8") {
		return "", problem.New(http.StatusUnsupportedMediaType, "unsupported_media_type", "Content-Type",
			"must be %s, not %s", strings.Join(wanted, " or "), strconv.Quote(problem.Clip(given)))
	}
	return mediaType, nil
}

// DecodeJSON decodes a JSON object into the value that into points to. It rejects unknown members, and what CheckJSON
// rejects; null is accepted only inside the opaque members, which callers define.
func DecodeJSON(body []byte, into any, opaque ...string) error {
	if err := CheckJSON(body, opaque); err != nil {
		return err
	}
	err := json.Unmarshal(body, into, json.RejectUnknownMembers(true))
	var fault *json.SemanticError
	if errors.As(err, &fault) {
		return semanticProblem(fault)
	}
	if err != nil { // cannot happen: checkJSON rejects invalid JSON
		return problem.BadRequest("malformed_json", "", "the body cannot be read")
	}
	return nil
}

// CheckJSON returns the first fault of a body that does not depend on the type it is decoded into.
func CheckJSON(body []byte, opaque []string) error {
	if len(bytes.TrimLeft(body, " \t\r\n")) == 0 {
		return problem.BadRequest("malformed_json", "", "the body is empty; it must be a JSON object")
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(body))
	c := checker{d: d, opaque: opaque, mayHaveNUL: bytes.Contains(body, []byte(`\u0000`))}
	for first := true; ; first = false {
		whole := !first && d.StackDepth() == 0
		token, err := d.ReadToken()
		switch {
		case whole && errors.Is(err, io.EOF):
			return nil
		case whole:
			return problem.BadRequest("trailing_data", "", "there is more after the JSON object")
		case err != nil:
			return SyntaxProblem(err)
		case first && token.Kind() != jsontext.KindBeginObject:
			return problem.BadRequest("invalid_type", "", "the body must be a JSON object")
		case d.StackDepth() > maxDepth:
			return problem.BadRequest("too_deep", FieldPath(d.StackPointer()), "is nested more than %d deep", maxDepth)
		}
		if err := c.check(token); err != nil {
			return err
		}
	}
}

// checker checks a body's tokens one by one.
type checker struct {
	d          *jsontext.Decoder // the decoder that read the token
	opaque     []string
	mayHaveNUL bool // if false, as usual, strings need no check
	growth     int  // digits that the numbers so far would grow by
}

func (c *checker) check(token jsontext.Token) error {
	at := func() string { return FieldPath(c.d.StackPointer()) }
	switch token.Kind() {
	case jsontext.KindString:
		if c.mayHaveNUL && strings.ContainsRune(token.String(), 0) {
			return problem.BadRequest("nul_character", at(), "must not contain a NUL character")
		}
	case jsontext.KindNumber:
		growth, ok := storable(token.String())
		if c.growth += growth; !ok || c.growth > maxGrowth {
			return problem.BadRequest("number_out_of_range", at(), "is a number out of range, or there are too many with large exponents")
		}
	case jsontext.KindNull:
		top, _, _ := strings.Cut(strings.TrimPrefix(string(c.d.StackPointer()), "/"), "/")
		if !slices.Contains(c.opaque, top) {
			return problem.BadRequest("null_value", at(), "must not be null; omit it instead")
		}
	}
	return nil
}

// storable reports whether a JSON number fits both a float64 and PostgreSQL's numeric, and returns the number of digits
// by which it may grow there.
func storable(number string) (growth int, ok bool) {
	if len(number) > maxNumber {
		return 0, false
	}
	if i := strings.IndexAny(number, "eE"); i >= 0 {
		exponent, err := strconv.Atoi(number[i+1:])
		if err != nil || exponent < -maxExponent || exponent > maxExponent {
			return 0, false
		}
		growth = max(exponent, -exponent)
	}
	_, err := strconv.ParseFloat(number, 64)
	return growth, err == nil
}

// SyntaxProblem returns the problem of malformed JSON.
func SyntaxProblem(err error) *openapi.Problem {
	var fault *jsontext.SyntacticError
	if !errors.As(err, &fault) {
		return problem.BadRequest("malformed_json", "", "this is not JSON")
	}
	field := FieldPath(fault.JSONPointer)
	switch {
	case errors.Is(fault.Err, jsontext.ErrDuplicateName):
		return problem.BadRequest("duplicate_field", field, "is duplicated")
	case fault.Err.Error() == "invalid UTF-8": // the library does not export this error
		return problem.BadRequest("invalid_utf8", field, "must be valid UTF-8")
	default:
		return problem.BadRequest("malformed_json", field, "this is not JSON: %s at byte %d", problem.Clip(fault.Err.Error()), fault.ByteOffset)
	}
}

func semanticProblem(fault *json.SemanticError) *openapi.Problem {
	field := FieldPath(fault.JSONPointer)
	switch {
	case errors.Is(fault.Err, json.ErrUnknownName):
		return problem.BadRequest("unknown_field", field, "is not a field of this request")
	case errors.Is(fault.Err, strconv.ErrRange):
		return problem.BadRequest("number_out_of_range", field, "is a number out of range")
	default:
		return problem.BadRequest("invalid_type", field, "must be %s", nameOf(fault.GoType))
	}
}

// nameOf describes the JSON value that a field of the type holds.
func nameOf(t reflect.Type) string {
	if t == reflect.TypeFor[time.Time]() {
		return "a time as in RFC 3339, such as 2006-01-02T15:04:05Z"
	}
	if t == nil {
		return "of another type"
	}
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "a whole number"
	case reflect.Slice, reflect.Array:
		return "an array"
	default:
		return "an object"
	}
}

// FieldPath formats a JSON pointer for people: /spec/steps/0/run becomes spec.steps[0].run.
func FieldPath(pointer jsontext.Pointer) string {
	var path strings.Builder
	for token := range pointer.Tokens() {
		switch {
		case isIndex(token):
			path.WriteString("[" + token + "]")
		case path.Len() == 0:
			path.WriteString(token)
		default:
			path.WriteString("." + token)
		}
	}
	return problem.Clip(path.String())
}

func isIndex(token string) bool {
	_, err := strconv.ParseUint(token, 10, 31)
	return err == nil
}
