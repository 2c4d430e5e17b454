package ingest

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/server/input"
	"github.com/watchbill/watchbill/internal/server/problem"
)

// executionReader decodes executions member by member, directly into their fields, since it must handle tens of
// thousands a second. It does not decode agents' input and output at all. It is not safe for concurrent use.
type executionReader struct {
	d     *jsontext.Decoder
	arena arena
	names nameSet
	reading
}

// reading is the state of an executionReader for the current execution.
type reading struct {
	e *execution.Execution
	// Whether members were present, if a missing one differs from its zero value.
	hasID, hasTime, hasKind, hasStatus bool

	// lenient is set when an execution is read again because the strict decoder failed. The lenient decoder accepts
	// duplicate members and invalid UTF-8, which only payloads and the error message may contain.
	lenient bool
	seen    map[string]bool // the members read so far, if lenient
	usage   usageReader
}

// errUnread is returned when the decoder failed.
var errUnread = errors.New("cannot be read")

func newExecutionReader() *executionReader {
	return &executionReader{}
}

// Fields are the members that an execution may have.
var Fields = append([]string{
	"execution_id", "created_at", "user_id", "session_id", "request_id", "agent_name", "kind", "input_data", "output_data", "execution_time_ms",
	"tokens_used", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "model_used", "provider",
	"status", "error_message", "trace_id", "span_id", "parent_span_id", "variant",
}, usageFields...)

// begin resets the reader to read into e.
func (r *executionReader) begin(e *execution.Execution, lenient bool) {
	*e = execution.Execution{}
	r.reading = reading{e: e, lenient: lenient}
}

// read decodes one execution. It rejects unknown and duplicate members and values that PostgreSQL cannot store. Domain
// limits are checked by the ledger; missing values are filled in by API.complete.
func (r *executionReader) read(raw []byte, e *execution.Execution) *execution.Fault {
	if r.scan(raw, 0, e) == len(raw) {
		return nil
	}
	return r.decode(raw, e)
}

// decode is read with a JSON decoder, which reports the fault of an execution.
func (r *executionReader) decode(raw []byte, e *execution.Execution) *execution.Fault {
	r.begin(e, false)
	if r.d == nil {
		r.d = jsontext.NewDecoder(&bytes.Buffer{})
	}
	err := r.members(raw, r.d)
	if errors.Is(err, errUnread) {
		r.begin(e, true)
		r.seen = map[string]bool{}
		d := jsontext.NewDecoder(&bytes.Buffer{}, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
		if err = r.members(raw, d); errors.Is(err, errUnread) {
			err = explain(raw)
		}
	}
	if err == nil {
		err = r.finish()
	}
	if err != nil {
		return faultOf(err)
	}
	return nil
}

func (r *executionReader) members(raw []byte, d *jsontext.Decoder) error {
	if r.lenient {
		d.Reset(bytes.NewBuffer(raw), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	} else {
		d.Reset(bytes.NewBuffer(raw))
	}
	start, err := d.ReadToken()
	switch {
	case err == nil && start.Kind() == jsontext.KindBeginObject:
	case raw[0] == '[' || jsontext.Value(raw).IsValid():
		return problem.BadRequest("invalid_type", "", "must be an object")
	default:
		return errUnread
	}
	for d.PeekKind() == jsontext.KindString {
		name, err := d.ReadValue()
		if err != nil {
			return errUnread
		}
		from := int(d.InputOffset())
		value, err := d.ReadValue()
		if err != nil {
			return errUnread
		}
		end := int(d.InputOffset())
		name, value = raw[from-len(name):from], raw[end-len(value):end] // not the decoder's copies
		bare := unquote(name)
		if r.lenient {
			if err := r.checkLenient(string(bare), value); err != nil {
				return err
			}
		}
		if err := r.member(bare, value); err != nil {
			return err
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return errUnread
	}
	if len(bytes.Trim(raw[d.InputOffset():], " \t\r\n")) > 0 {
		return problem.BadRequest("trailing_data", "", "there is more after the JSON object")
	}
	return nil
}

// checkLenient rejects what the lenient decoder accepted and only payloads and the error message may contain.
func (r *executionReader) checkLenient(name string, value jsontext.Value) error {
	if r.seen[name] {
		return problem.BadRequest("duplicate_field", fieldName(strings.ToValidUTF8(name, "\uFFFD")), "is duplicated")
	}
	r.seen[name] = true
	switch name {
	case "input_data", "output_data", "error_message":
		return nil
	}
	if !utf8.ValidString(name) {
		return problem.BadRequest("invalid_utf8", fieldName(strings.ToValidUTF8(name, "\uFFFD")), "must be valid UTF-8")
	}
	if slices.Contains(Fields, name) && !value.IsValid() {
		return problem.BadRequest("invalid_utf8", name, "must be valid UTF-8, with no half of a surrogate pair")
	}
	return nil
}

// member stores a member's value in the execution.
func (r *executionReader) member(name []byte, value jsontext.Value) error {
	e := r.e
	if value[0] == 'n' { // null is the same as missing
		value = nil
	}
	switch string(name) {
	case "execution_id":
		return readText(&r.arena, value, "execution_id", &e.ID, &r.hasID)
	case "created_at":
		return readTime(value, "created_at", &e.CreatedAt, &r.hasTime)
	case "user_id":
		return readText(&r.arena, value, "user_id", &e.UserID, nil)
	case "session_id":
		return readText(&r.arena, value, "session_id", &e.SessionID, nil)
	case "request_id":
		return readText(&r.arena, value, "request_id", &e.RequestID, nil)
	case "agent_name":
		return readText(&r.arena, value, "agent_name", &e.AgentName, nil)
	case "kind":
		return readText(&r.arena, value, "kind", &e.Kind, &r.hasKind)
	case "input_data":
		e.Input = r.arena.payload(value)
	case "output_data":
		e.Output = r.arena.payload(value)
	case "execution_time_ms":
		return readMilliseconds(value, "execution_time_ms", &e.Duration)
	case "tokens_used":
		return readCount(value, "tokens_used", &e.Tokens.Used)
	case "input_tokens":
		r.usage.parts.Input = value != nil
		return readCount(value, "input_tokens", &e.Tokens.Input)
	case "output_tokens":
		r.usage.parts.Output = value != nil
		return readCount(value, "output_tokens", &e.Tokens.Output)
	case "cache_read_tokens":
		return readCount(value, "cache_read_tokens", &e.Tokens.CacheRead)
	case "cache_write_tokens":
		return readCount(value, "cache_write_tokens", &e.Tokens.CacheWrite)
	case "reasoning_tokens":
		return readCount(value, "reasoning_tokens", &e.Tokens.Reasoning)
	case "model_used":
		return readText(&r.arena, value, "model_used", &e.Model, nil)
	case "provider":
		return readText(&r.arena, value, "provider", &e.Provider, nil)
	case "status":
		err := readText(&r.arena, value, "status", &e.Status, &r.hasStatus)
		if status, ok := execution.ParseStatus(string(e.Status)); ok {
			e.Status = status
		}
		return err
	case "error_message":
		return readMessage(&r.arena, value, &e.ErrorMessage)
	case "trace_id":
		return readHex(&r.arena, value, "trace_id", &e.TraceID, 32)
	case "span_id":
		return readHex(&r.arena, value, "span_id", &e.SpanID, 16)
	case "parent_span_id":
		return readHex(&r.arena, value, "parent_span_id", &e.ParentSpanID, 16)
	case "variant":
		return readText(&r.arena, value, "variant", &e.Variant, nil)
	default:
		if known, err := r.usageMember(string(name), value); known {
			return err
		}
		return problem.BadRequest("unknown_field", fieldName(string(name)), "is not a field of an execution")
	}
	return nil
}

// finish checks and fills in what depends on more than one member.
func (r *executionReader) finish() error {
	e := r.e
	switch {
	case r.hasID && e.ID == "":
		return problem.BadRequest("invalid_field", "execution_id", "must not be empty; omit it and one is generated")
	case r.hasID && !r.hasTime:
		return problem.BadRequest("missing_field", "created_at", "is required with execution_id: together they identify a repetition")
	case !r.hasStatus:
		return problem.BadRequest("missing_field", "status", "is required")
	case e.SpanID != "" && e.TraceID == "":
		return problem.BadRequest("missing_field", "trace_id", "is required with span_id")
	case e.ParentSpanID != "" && e.SpanID == "":
		return problem.BadRequest("missing_field", "span_id", "is required with parent_span_id")
	case e.ParentSpanID != "" && e.ParentSpanID == e.SpanID:
		return problem.BadRequest("invalid_field", "parent_span_id", "must not be the span itself")
	}
	if !r.hasKind {
		e.Kind = execution.Agent
	}
	e.Request = e.Kind == execution.Agent || e.Kind == execution.Inference
	return r.settleUsage()
}

// explain returns the fault of an execution that could not be decoded. It is called only for rejected executions.
func explain(raw []byte) error {
	if err := input.CheckJSON(raw, Fields); err != nil {
		return err
	}
	return problem.BadRequest("malformed_json", "", "this cannot be read") // cannot happen: checkJSON finds the fault
}

func faultOf(err error) *execution.Fault {
	p := problem.Of(err)
	if p == nil {
		p = problem.ErrInternal
	}
	return &execution.Fault{Code: p.Code, Field: p.Field, Detail: p.Detail}
}

// readText reads a string. It sets given, if not nil, when the string is present.
func readText[T ~string](arena *arena, value jsontext.Value, field string, into *T, given *bool) error {
	if value == nil {
		return nil
	}
	text, err := textOf(value, field)
	if err != nil {
		return err
	}
	*into = T(arena.text(text))
	if given != nil {
		*given = true
	}
	return nil
}

// textOf returns the contents of a JSON string. It rejects strings with NUL characters.
func textOf(value jsontext.Value, field string) ([]byte, error) {
	if value[0] != '"' {
		return nil, problem.BadRequest("invalid_type", field, "must be a string")
	}
	inner := value[1 : len(value)-1]
	if bytes.IndexByte(inner, '\\') < 0 {
		return inner, nil
	}
	text := unquote(value)
	if bytes.IndexByte(text, 0) >= 0 {
		return nil, problem.BadRequest("nul_character", field, "must not contain a NUL character")
	}
	return text, nil
}

// readMessage reads the error message. It replaces characters that cannot be stored with U+FFFD.
func readMessage(arena *arena, value jsontext.Value, into *string) error {
	if value == nil {
		return nil
	}
	if value.Kind() != jsontext.KindString {
		return problem.BadRequest("invalid_type", "error_message", "must be a string")
	}
	*into = execution.SanitizeText(arena.text(unquote(value)))
	return nil
}

// unquote returns the contents of a JSON string, with U+FFFD for invalid UTF-8 if it has escapes.
func unquote(quoted []byte) []byte {
	if inner := quoted[1 : len(quoted)-1]; bytes.IndexByte(inner, '\\') < 0 {
		return inner
	}
	text, _ := jsontext.AppendUnquote(nil, quoted) // an error only reports invalid UTF-8; text is complete
	return text
}

func readTime(value jsontext.Value, field string, into *time.Time, given *bool) error {
	if value == nil {
		return nil
	}
	text, err := textOf(value, field)
	if err != nil {
		return err
	}
	*given = true
	if err := into.UnmarshalText(text); err != nil { // stricter than time.Parse
		return problem.BadRequest("invalid_field", field, "must be a time as in RFC 3339, such as 2006-01-02T15:04:05Z")
	}
	if into.Unix() < 0 { // also excludes the zero time, which means none
		return problem.BadRequest("too_old", field, "is before 1970")
	}
	*into = into.UTC().Truncate(time.Microsecond)
	return nil
}

func readCount(value jsontext.Value, field string, into *int64) error {
	if value == nil {
		return nil
	}
	n, err := strconv.ParseInt(string(value), 10, 64)
	if errors.Is(err, strconv.ErrSyntax) && value.Kind() == jsontext.KindNumber { // 10.0 and 1e2 are integers too
		const exact = 1 << 53
		if float, ferr := strconv.ParseFloat(string(value), 64); ferr != nil || math.Abs(float) >= exact {
			err = strconv.ErrRange
		} else if float == math.Trunc(float) {
			n, err = int64(float), nil
		}
	}
	switch {
	case err == nil:
	case errors.Is(err, strconv.ErrRange):
		return problem.BadRequest("number_out_of_range", field, "is a number out of range")
	default:
		return problem.BadRequest("invalid_type", field, "must be a whole number")
	}
	*into = n
	return nil
}

// readMilliseconds reads a duration in milliseconds and rounds it to microseconds.
func readMilliseconds(value jsontext.Value, field string, into *time.Duration) error {
	if value == nil {
		return nil
	}
	if value.Kind() != jsontext.KindNumber {
		return problem.BadRequest("invalid_type", field, "must be a number")
	}
	ms, err := strconv.ParseFloat(string(value), 64)
	if limit := execution.MaxDuration.Milliseconds(); err != nil || ms < 0 || ms > float64(limit) {
		return problem.BadRequest("invalid_field", field, "must be from 0 to %d", limit)
	}
	*into = time.Duration(ms*1e3+0.5) * time.Microsecond
	return nil
}

// readHex reads an OpenTelemetry id of a number of hexadecimal digits.
func readHex(arena *arena, value jsontext.Value, field string, into *string, digits int) error {
	var text string
	if err := readText(arena, value, field, &text, nil); err != nil || value == nil {
		return err
	}
	if len(text) != digits || strings.Trim(text, "0123456789abcdefABCDEF") != "" || strings.Trim(text, "0") == "" {
		return problem.BadRequest("invalid_field", field, "must be %d hexadecimal digits, not all 0", digits)
	}
	*into = strings.ToLower(text)
	return nil
}

func fieldName(name string) string {
	return input.FieldPath(jsontext.Pointer("").AppendToken(name))
}
