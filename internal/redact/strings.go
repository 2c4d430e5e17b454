package redact

import (
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/watchbill/watchbill/internal/text"
)

// inStrings masks the contents of the strings in a text, without their escape sequences. The text need not be JSON,
// since models return JSON in prose, in fenced blocks, or cut off.
func (r *Rules) inStrings(text string, depth int) string {
	if depth >= maxNested || strings.IndexByte(text, '\\') < 0 {
		return text
	}
	var out []byte // of text[:done]
	done := 0
	for at := 0; at < len(text); {
		next := strings.IndexByte(text[at:], '"')
		if next < 0 {
			break
		}
		from := at + next
		at = from + 1
		if from > 0 && text[from-1] == '\\' {
			continue // a quotation mark of a nested string
		}
		end, after := closing(text, from+1, '"', 0)
		content := text[from+1 : end]
		if end == after || strings.IndexByte(content, '\n') >= 0 {
			continue // it has no end, or starts no string
		}
		at = after
		if strings.IndexByte(content, '\\') < 0 {
			continue
		}
		inner := unescape(content)
		if masked := r.once(inner, depth+1); masked != inner {
			out = append(out, text[done:from]...)
			out, _ = jsontext.AppendQuote(out, masked) // it replaces invalid UTF-8
			done = after
		}
	}
	if done == 0 {
		return text
	}
	return string(append(out, text[done:]...))
}

// unescape returns a text with JSON's escape sequences decoded; invalid ones are unchanged.
func unescape(text string) string {
	i := strings.IndexByte(text, '\\')
	if i < 0 {
		return text
	}
	out := append(make([]byte, 0, len(text)), text[:i]...)
	for i < len(text) {
		c := text[i]
		if c != '\\' || i+1 == len(text) {
			out = append(out, c)
			i++
			continue
		}
		i += 2
		switch e := text[i-1]; e {
		case '"', '\\', '/', '\'':
			out = append(out, e)
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'u':
			char, size := unescapeRune(text[i-2:])
			if size == 0 {
				out = append(out, '\\', 'u')
				continue
			}
			out = utf8.AppendRune(out, char)
			i += size - 2
		default:
			out = append(out, '\\', e)
		}
	}
	return string(out)
}

// unescapeRune returns the character of the \u sequence at the beginning of a text, and its size; 0 if it is invalid.
func unescapeRune(s string) (char rune, size int) {
	const one = len(`\u0000`)
	head := []byte(s[:min(len(s), 2*one)])
	unit := text.HexUnit(head, 0)
	switch {
	case unit < 0:
		return 0, 0
	case unit < 0xD800 || unit > 0xDFFF:
		return rune(unit), one
	case unit < 0xDC00 && len(head) == 2*one:
		if low := text.HexUnit(head, one); 0xDC00 <= low && low <= 0xDFFF {
			return rune(unit-0xD800)<<10 + rune(low-0xDC00) + 0x10000, 2 * one
		}
	}
	return utf8.RuneError, one
}

// closing finds the end of a string that began before from with a quotation mark, which has level backslashes before it
// in nested strings. It returns the end of the content and the index after the closing mark. They are equal if the
// string does not end, or if a string around it ends first.
func closing(text string, from int, mark byte, level int) (end, after int) {
	for at := from; ; {
		next := strings.IndexByte(text[at:], mark)
		if next < 0 {
			return len(text), len(text)
		}
		i := at + next
		at = i + 1
		run := backslashes(text, from, i)
		switch {
		case run < level:
			return i - run, i - run
		case run&(2*level+1) == level:
			return i - level, i + 1
		}
	}
}

// backslashes counts the backslashes directly before i, back to from.
func backslashes(text string, from, i int) int {
	n := 0
	for i-n > from && text[i-n-1] == '\\' {
		n++
	}
	return n
}
