package httpapi

import (
	"bytes"
	"encoding/json"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/watchbill/watchbill/internal/execution"
)

// payload keeps what an agent was given or answered as it came; what cannot be stored in it is replaced. It is a copy: whatever waits to be stored should not keep
// all of the body that it came in.
func (r *executionReader) payload(value jsontext.Value, into *json.RawMessage) error {
	if value == nil {
		return nil
	}
	if !r.lenient {
		growth, ok := scanPayload(value)
		if r.growth += growth; ok && r.growth <= maxGrowth {
			*into = bytes.Clone(value)
			return nil
		}
	}
	*into = execution.Sanitize(bytes.Clone(value))
	return nil
}

// scanPayload says of a value that is valid JSON whether it can be kept, as checkJSON does token by token and an order
// of magnitude slower; and by how many digits its numbers would grow.
func scanPayload(value []byte) (growth int, ok bool) {
	depth := 1 // of the execution itself
	for i := 0; i < len(value); {
		switch c := value[i]; {
		case c == '{', c == '[':
			if depth++; depth > maxDepth {
				return 0, false
			}
			i++
		case c == '}', c == ']':
			depth--
			i++
		case c == '"':
			n, ok := scanString(value[i:])
			if !ok {
				return 0, false
			}
			i += n
		case c == '-' || '0' <= c && c <= '9':
			n, plain := scanNumber(value[i:])
			if !plain {
				more, ok := storable(string(value[i : i+n]))
				if !ok {
					return 0, false
				}
				growth += more
			}
			i += n
		default:
			i++
		}
	}
	return growth, true
}

// scanString returns how long the string is that begins here, and whether it is free of NUL characters. One that was not
// escaped would not be JSON.
func scanString(value []byte) (n int, ok bool) {
	for n = 1; value[n] != '"'; n++ {
		if value[n] != '\\' {
			continue
		}
		if n++; value[n] == 'u' && bytes.HasPrefix(value[n+1:], []byte("0000")) {
			return 0, false
		}
	}
	return n + 1, true
}

// scanNumber returns how long the number is that begins here, and whether a glance says that it is storable.
func scanNumber(value []byte) (n int, plain bool) {
	const short = 300 // digits, fewer than a float64's range has
	for plain = true; n < len(value); n++ {
		switch c := value[n]; {
		case '0' <= c && c <= '9', c == '-', c == '.':
		case c == '+', c == 'e', c == 'E':
			plain = false
		default:
			return n, plain && n <= short
		}
	}
	return n, plain && n <= short
}
