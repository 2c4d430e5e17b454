package execution

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/watchbill/watchbill/internal/text"
)

// storable reports whether raw is one JSON value that jsonb stores unchanged. It is far cheaper than a decoder
// (BenchmarkSanitize), and enough for most payloads.
func storable(raw []byte) bool {
	end := AfterValue(raw, AfterBlanks(raw, 0))
	return end >= 0 && AfterBlanks(raw, end) == len(raw)
}

// AfterValue returns the index after the JSON value at i; -1 if there is none that jsonb stores unchanged.
func AfterValue(raw []byte, i int) int {
	objects := uint64(0) // a bit per open container, the innermost lowest: 1 for an object
	depth, growth := 0, 0
	for {
		if i >= len(raw) {
			return -1
		}
		switch c := raw[i]; {
		case c == '{' || c == '[':
			if depth++; depth > maxPayloadDepth {
				return -1
			}
			objects <<= 1
			if c == '{' {
				objects |= 1
			}
			i = AfterBlanks(raw, i+1)
			if i < len(raw) && raw[i] == c+2 { // the closing bracket
				break
			}
			if c == '{' {
				i = afterName(raw, i)
			}
			if i < 0 {
				return -1
			}
			i = AfterBlanks(raw, i)
			continue
		case c == '"':
			i = AfterString(raw, i)
		case c == '-' || isDigit(c):
			var more int
			i, more = afterNumber(raw, i)
			growth += more
		default:
			i = afterLiteral(raw, i)
		}
		if i < 0 || growth > maxGrowth {
			return -1
		}
		for next := false; !next; {
			if depth == 0 {
				return i
			}
			if i = AfterBlanks(raw, i); i >= len(raw) {
				return -1
			}
			inObject := objects&1 != 0
			switch c := raw[i]; {
			case c == ',':
				i, next = AfterBlanks(raw, i+1), true
				if inObject {
					if i = afterName(raw, i); i < 0 {
						return -1
					}
					i = AfterBlanks(raw, i)
				}
			case c == '}' && inObject || c == ']' && !inObject:
				i++
				depth--
				objects >>= 1
			default:
				return -1
			}
		}
	}
}

// AfterBlanks returns the index of the first byte from i on that is not JSON white space.
func AfterBlanks(raw []byte, i int) int {
	for i < len(raw) && (raw[i] == ' ' || raw[i] == '\n' || raw[i] == '\t' || raw[i] == '\r') {
		i++
	}
	return i
}

// afterName returns the index after a member's name and colon; -1 if there is none that can be stored.
func afterName(raw []byte, i int) int {
	if i >= len(raw) || raw[i] != '"' {
		return -1
	}
	if i = AfterString(raw, i); i < 0 {
		return -1
	}
	if i = AfterBlanks(raw, i); i >= len(raw) || raw[i] != ':' {
		return -1
	}
	return i + 1
}

// plain are the bytes that need no escape in a JSON string: printable ASCII except quotation mark and backslash.
var plain = func() (is [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		is[c] = c != '"' && c != '\\'
	}
	return is
}()

// AfterString returns the index after the JSON string at i; -1 if there is none that can be stored.
func AfterString(raw []byte, i int) int {
	for i++; ; {
		for len(raw)-i >= 8 && plainWord(binary.LittleEndian.Uint64(raw[i:])) {
			i += 8
		}
		for i < len(raw) && plain[raw[i]] {
			i++
		}
		if i >= len(raw) {
			return -1
		}
		switch c := raw[i]; {
		case c == '"':
			return i + 1
		case c == '\\':
			if i = afterEscape(raw, i); i < 0 {
				return -1
			}
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRune(raw[i:])
			if r == utf8.RuneError && size == 1 {
				return -1
			}
			i += size
		default: // a control character
			return -1
		}
	}
}

// plainWord reports whether all eight bytes are plain. For the lowest that is not, a subtraction sets the highest bit.
func plainWord(word uint64) bool {
	const each = 0x0101010101010101
	quote, backslash := word^each*'"', word^each*'\\'
	return (word|(word-each*' ')|(quote-each)|(backslash-each))&(each*0x80) == 0
}

// afterEscape returns the index after the escape sequence, or pair of them, at i; -1 if it cannot be stored.
func afterEscape(raw []byte, i int) int {
	if i+1 >= len(raw) {
		return -1
	}
	switch raw[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
	default:
		return -1
	}
	const size = len(`\u0000`)
	switch unit := text.HexUnit(raw, i); {
	case unit <= 0: // not an escape, or NUL
		return -1
	case unit < 0xD800 || unit > 0xDFFF:
		return i + size
	case unit >= 0xDC00:
		return -1
	}
	if low := text.HexUnit(raw, i+size); low < 0xDC00 || low > 0xDFFF {
		return -1
	}
	return i + 2*size
}

// afterNumber returns the index after the number at i, and by how many digits it grows in the database; -1 if it cannot
// be stored.
func afterNumber(raw []byte, i int) (next, growth int) {
	begin := i
	if raw[i] == '-' {
		i++
	}
	switch {
	case i >= len(raw) || !isDigit(raw[i]):
		return -1, 0
	case raw[i] == '0':
		i++
	default:
		i = afterDigits(raw, i)
	}
	if i < len(raw) && raw[i] == '.' {
		from := i + 1
		if i = afterDigits(raw, from); i == from {
			return -1, 0
		}
	}
	exponent := i < len(raw) && raw[i]|0x20 == 'e'
	if exponent {
		i++
		if i < len(raw) && (raw[i] == '+' || raw[i] == '-') {
			i++
		}
		from := i
		if i = afterDigits(raw, from); i == from {
			return -1, 0
		}
	}
	if !exponent && i-begin <= shortNumber {
		return i, 0
	}
	growth, ok := storableNumber(raw[begin:i])
	if !ok {
		return -1, 0
	}
	return i, growth
}

func afterDigits(raw []byte, i int) int {
	for i < len(raw) && isDigit(raw[i]) {
		i++
	}
	return i
}

// afterLiteral returns the index after the true, false or null at i; -1 if there is none.
func afterLiteral(raw []byte, i int) int {
	for _, literal := range [...]string{"true", "false", "null"} {
		if len(raw)-i >= len(literal) && string(raw[i:i+len(literal)]) == literal {
			return i + len(literal)
		}
	}
	return -1
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
