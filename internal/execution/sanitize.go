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

// Limits of what PostgreSQL's jsonb stores and returns in a predictable size. It has no NUL characters. Its numbers are
// numeric, which is printed in full: 1e300 is returned as 301 digits.
const (
	maxPayloadDepth = 64
	maxNumber       = 1024 // bytes as written
	maxExponent     = 400
	maxGrowth       = 256 << 10 // bytes by which the numbers of a payload may grow
	shortNumber     = 300       // bytes; shorter numbers without an exponent always fit
)

// Sanitize returns a payload that jsonb can store. Text that is not JSON, or is nested too deep, becomes a JSON string. A
// number out of range becomes a string of its digits. NUL, unpaired surrogates and invalid UTF-8 become U+FFFD. Empty input
// becomes nil. Sanitize is idempotent.
//
// Most payloads need no change. They are returned unchanged after one pass without allocations.
func Sanitize(raw []byte) json.RawMessage {
	switch {
	case len(raw) == 0:
		return nil
	case storable(raw):
		return raw
	}
	return replaceUnstorable(raw)
}

// replaceUnstorable is Sanitize for payloads that are not storable.
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
			if err != nil || bytes.IndexByte(text, 0) >= 0 { // an error reports invalid UTF-8; text is complete nevertheless
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

// storableNumber reports whether a JSON number fits both float64 and numeric, and by how many digits it grows.
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

// SanitizeText replaces NUL and invalid UTF-8 by U+FFFD.
func SanitizeText(text string) string {
	if strings.IndexByte(text, 0) >= 0 {
		text = strings.ReplaceAll(text, "\x00", "\uFFFD")
	}
	if utf8.ValidString(text) {
		return text
	}
	return string([]rune(text)) // one U+FFFD per byte, as JSON decoders do
}

// quote appends a text as a storable JSON string.
func quote(to []byte, text string) []byte {
	to, _ = jsontext.AppendQuote(to, SanitizeText(text)) // now it is valid UTF-8
	return to
}
