package execution

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// What PostgreSQL's jsonb can store, and gives back in a size that can be told. It has no NUL characters. Its numbers are
// numeric, which prints in full: 1e300 comes back as 301 digits.
const (
	maxPayloadDepth = 64
	maxNumber       = 1024 // bytes as written
	maxExponent     = 400
	maxGrowth       = 256 << 10 // bytes, by which the numbers of a payload may grow
)

// newPayloadDecoder reads JSON token by token, so that numbers stay as exact as they were written. A name that is there
// twice is no matter here: jsonb keeps the last.
//
// ADR 5 chose this library for requests. Payloads have the same needs: they are as hostile, and what is masked in them is
// found by offsets, which encoding/json does not give without decoding numbers, and losing bad UTF-8, on the way.
func newPayloadDecoder(raw []byte, options ...jsontext.Options) *jsontext.Decoder {
	return jsontext.NewDecoder(bytes.NewBuffer(raw), append(options, jsontext.AllowDuplicateNames(true))...)
}

// checkPayload finds the first thing in a payload that cannot be stored.
func checkPayload(field string, raw json.RawMessage) *Fault {
	d := newPayloadDecoder(raw)
	mayHaveNUL := bytes.Contains(raw, []byte(`\u0000`)) // seldom, and only then are strings worth a look
	growth := 0
	for first := true; ; first = false {
		whole := !first && d.StackDepth() == 0
		kind := d.PeekKind()
		if whole {
			if _, err := d.ReadToken(); errors.Is(err, io.EOF) {
				return nil
			}
			return faulty("malformed_json", field, "must be one JSON value, and has more after it")
		}
		if kind != jsontext.KindString && kind != jsontext.KindNumber {
			if _, err := d.ReadToken(); err != nil {
				return malformed(field, raw, err)
			}
			if d.StackDepth() > maxPayloadDepth {
				return faulty("too_deep", field, "must not be nested more than %d deep", maxPayloadDepth)
			}
			continue
		}
		value, err := d.ReadValue()
		switch {
		case err != nil:
			return malformed(field, raw, err)
		case kind == jsontext.KindNumber:
			digits, ok := storableNumber(value)
			if growth += digits; !ok || growth > maxGrowth {
				return faulty("number_out_of_range", field, "has a number out of range, or too many with large exponents")
			}
		case mayHaveNUL:
			if text, _ := jsontext.AppendUnquote(nil, value); bytes.IndexByte(text, 0) >= 0 { // it was read, so it is a string
				return faulty("nul_character", field, "must not contain NUL characters")
			}
		}
	}
}

func malformed(field string, raw []byte, err error) *Fault {
	if !utf8.Valid(raw) {
		return faulty("invalid_utf8", field, "must be valid UTF-8")
	}
	var fault *jsontext.SyntacticError
	if errors.As(err, &fault) && fault.Err != nil {
		return faulty("malformed_json", field, "is not JSON: %s at byte %d", excerpt(fault.Err.Error()), fault.ByteOffset)
	}
	return faulty("malformed_json", field, "is not JSON")
}

// excerpt is a text, or its beginning.
func excerpt(text string) string {
	const most = 60 // bytes
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…" // a character that was cut goes
}

// storableNumber says whether a JSON number fits both a float64 and numeric, and by how many digits it grows there.
func storableNumber(number []byte) (growth int, ok bool) {
	const fits = 300 // digits, whatever they are
	i := bytes.IndexAny(number, "eE")
	switch {
	case i < 0 && len(number) <= fits:
		return 0, true
	case len(number) > maxNumber:
		return 0, false
	case i >= 0:
		exponent, err := strconv.Atoi(string(number[i+1:]))
		if err != nil || exponent < -maxExponent || exponent > maxExponent {
			return 0, false
		}
		growth = max(exponent, -exponent)
	}
	_, err := strconv.ParseFloat(string(number), 64)
	return growth, err == nil
}

// Sanitize makes a payload that can be stored out of anything, for sources that cannot be told to send another: what is
// no JSON, or too deep, becomes a string of it; a number out of range a string of its digits; NUL characters and bytes
// that are no UTF-8 become U+FFFD. Nothing becomes nil.
func Sanitize(raw []byte) json.RawMessage {
	if len(raw) == 0 {
		return nil
	}
	d := newPayloadDecoder(raw, jsontext.AllowInvalidUTF8(true))
	var clean []byte // of raw[:copied]
	copied, growth := 0, 0
	replace := func(value jsontext.Value, text string) {
		end := int(d.InputOffset())
		clean = quote(append(clean, raw[copied:end-len(value)]...), text)
		copied = end
	}
	for first := true; ; first = false {
		switch kind := d.PeekKind(); {
		case !first && d.StackDepth() == 0:
			if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
				return quote(nil, string(raw))
			}
			if copied == 0 {
				return raw
			}
			return append(clean, raw[copied:]...)
		case kind == jsontext.KindString:
			value, err := d.ReadValue()
			if err != nil {
				return quote(nil, string(raw))
			}
			text, err := jsontext.AppendUnquote(nil, value)
			if err != nil || bytes.IndexByte(text, 0) >= 0 { // an error says that it is no UTF-8; text is whole all the same
				replace(value, string(text))
			}
		case kind == jsontext.KindNumber:
			value, err := d.ReadValue()
			if err != nil {
				return quote(nil, string(raw))
			}
			if digits, ok := storableNumber(value); !ok || growth+digits > maxGrowth {
				replace(value, string(value))
			} else {
				growth += digits
			}
		default:
			if _, err := d.ReadToken(); err != nil || d.StackDepth() > maxPayloadDepth {
				return quote(nil, string(raw))
			}
		}
	}
}

// SanitizeText replaces what cannot be stored in a text, NUL characters and bytes that are no UTF-8, by U+FFFD.
func SanitizeText(text string) string {
	if strings.IndexByte(text, 0) >= 0 {
		text = strings.ReplaceAll(text, "\x00", "\uFFFD")
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// quote appends a text as a JSON string that can be stored.
func quote(to []byte, text string) []byte {
	to, _ = jsontext.AppendQuote(to, SanitizeText(text)) // now it is valid UTF-8
	return to
}
