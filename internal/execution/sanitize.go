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

// The limits of what PostgreSQL's jsonb stores, and returns in a size that can be told. It has no NUL characters. Its
// numbers are numeric, which prints in full: 1e300 is returned as 301 digits.
const (
	maxPayloadDepth = 64
	maxNumber       = 1024 // bytes as written
	maxExponent     = 400
	maxGrowth       = 256 << 10 // bytes, by which the numbers of a payload may grow
	shortNumber     = 300       // bytes: without an exponent, such a number fits whatever its digits are
)

// Sanitize returns a payload that jsonb stores, whatever it is given. A text that is not JSON, or is nested too deep,
// becomes a JSON string. A number out of range becomes a string of its digits. NUL characters, halves of surrogate pairs
// and bytes that are not UTF-8 become U+FFFD. Of nothing it returns nil. Applied again it changes nothing.
//
// Most payloads need no change. Those are returned as they are, after one pass that allocates nothing.
func Sanitize(raw []byte) json.RawMessage {
	switch {
	case len(raw) == 0:
		return nil
	case storable(raw):
		return raw
	}
	return replaceUnstorable(raw)
}

// replaceUnstorable is Sanitize for payloads that storable refused.
func replaceUnstorable(raw []byte) json.RawMessage {
	// Duplicate names may stay: jsonb keeps the last.
	d := jsontext.NewDecoder(bytes.NewBuffer(raw), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
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
			if err != nil || bytes.IndexByte(text, 0) >= 0 { // an error reports bad UTF-8; text is whole all the same
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

// storableNumber reports whether a JSON number fits both a float64 and numeric, and by how many digits it grows there.
func storableNumber(number []byte) (growth int, ok bool) {
	i := bytes.IndexAny(number, "eE")
	switch {
	case i < 0 && len(number) <= shortNumber:
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

// SanitizeText replaces what cannot be stored in a text, NUL characters and bytes that are not UTF-8, by U+FFFD.
func SanitizeText(text string) string {
	if strings.IndexByte(text, 0) >= 0 {
		text = strings.ReplaceAll(text, "\x00", "\uFFFD")
	}
	if utf8.ValidString(text) {
		return text
	}
	return string([]rune(text)) // one for each byte, as decoders of JSON have it
}

// quote appends a text as a JSON string that can be stored.
func quote(to []byte, text string) []byte {
	to, _ = jsontext.AppendQuote(to, SanitizeText(text)) // now it is valid UTF-8
	return to
}
