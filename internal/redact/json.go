package redact

import (
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// TruncatedMark begins a payload that was truncated.
const TruncatedMark = `{"truncated":`

// members masks JSON, which must be valid: the values of masked names, and matches in names, strings and numbers.
func (r *Rules) members(raw []byte) []byte {
	w := masker{r: r, text: string(raw)}
	w.cut = strings.HasPrefix(w.text, TruncatedMark)
	for i := 0; i < len(w.text); {
		switch c := w.text[i]; {
		case c == '"':
			i = w.str(i)
		case c == '-' || isDigit(c):
			i = w.number(i)
		case c == '{' || c == '[':
			w.masked = append(w.masked, 0)
			i++
		case c == '}' || c == ']':
			w.masked = w.masked[:max(len(w.masked)-1, 0)]
			i++
		default:
			i++
		}
	}
	if w.copied == 0 {
		return raw
	}
	return append(w.out, w.text[w.copied:]...)
}

// masker is the state of masking JSON.
type masker struct {
	r      *Rules
	text   string
	out    []byte // of text[:copied]
	copied int
	masked []int // number of masked names in each open container
	cut    bool  // text is a truncated payload; see TruncatedMark
}

// ours reports whether a name or number belongs to the object around a truncated payload, and not to the payload.
func (w *masker) ours(from, to int) bool {
	if !w.cut || len(w.masked) != 1 || to-from > len(`"truncated"`) {
		return false
	}
	word := w.text[from:to]
	return word == `"truncated"` || word == `"bytes"` || word == `"head"` || runLength(word, isDigit) == len(word)
}

func (w *masker) replace(from, to int, with string) {
	w.out = append(w.out, w.text[w.copied:from]...)
	w.out, _ = jsontext.AppendQuote(w.out, with) // from valid UTF-8
	w.copied = to
}

// str masks the string at i, or the member that it names, and returns the index after it.
func (w *masker) str(i int) int {
	end := endOfString(w.text, i)
	colon := skipBlanks(w.text, end)
	if colon >= len(w.text) || w.text[colon] != ':' {
		w.content(i, end)
		return end
	}
	if !w.r.masks(unquoted(w.text[i:end])) {
		w.name(i, end)
		return colon + 1
	}
	from := skipBlanks(w.text, colon+1)
	to := endOfValue(w.text, from)
	if w.text[from:to] != `"`+Mark+`"` {
		w.replace(from, to, Mark)
	}
	return to
}

// content masks a string that is a value.
func (w *masker) content(from, to int) {
	if len(w.r.find) == 0 && !mayNameValues(w.text[from+1:to]) {
		return
	}
	whole := unquoted(w.text[from:to])
	if masked := w.r.Text(whole); masked != whole {
		w.replace(from, to, masked)
	}
}

// name masks matches in a name. Names of one object that become equal are numbered, so that no member replaces another.
func (w *masker) name(from, to int) {
	if len(w.r.find) == 0 && !mayNameValues(w.text[from:to]) || w.ours(from, to) {
		return
	}
	whole := unquoted(w.text[from:to])
	masked := w.r.Text(whole)
	if masked == whole || len(w.masked) == 0 {
		return
	}
	n := &w.masked[len(w.masked)-1]
	if *n++; *n > 1 {
		if numbered := masked + " " + strconv.Itoa(*n); w.r.Text(numbered) == numbered {
			masked = numbered
		}
	}
	w.replace(from, to, masked)
}

// number masks the number at i if a rule matches it, and returns the index after it.
func (w *masker) number(i int) int {
	end := endOfScalar(w.text, i)
	if len(w.r.find) > 0 && !w.ours(i, end) && w.r.findsNumber(w.text[i:end]) {
		w.replace(i, end, Mark)
	}
	return end
}

// findsNumber reports whether a rule matches a number, as written or in full.
func (r *Rules) findsNumber(number string) bool {
	if len(r.find) == 0 {
		return false
	}
	if r.finds(number) {
		return true
	}
	const limit = 1e21 // beyond it, the digits are not those intended
	if !strings.ContainsAny(number, "eE") {
		return false
	}
	f, err := strconv.ParseFloat(number, 64)
	return err == nil && -limit < f && f < limit && r.finds(strconv.FormatFloat(f, 'f', -1, 64))
}

// mayNameValues reports whether a text may name a value, or contain a string that does.
func mayNameValues(text string) bool {
	for i := range len(text) {
		switch text[i] {
		case ':', '=', '>', '\\', wideLead:
			return true
		}
	}
	return false
}

// unquoted returns the value of a JSON string.
func unquoted(quoted string) string {
	if strings.IndexByte(quoted, '\\') < 0 {
		return strings.Trim(quoted, `"`)
	}
	text, _ := jsontext.AppendUnquote(nil, quoted) // it is valid
	return string(text)
}

func skipBlanks(text string, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\n' || text[i] == '\t' || text[i] == '\r') {
		i++
	}
	return i
}

// endOfString returns the index after the JSON string at i.
func endOfString(text string, i int) int {
	for i++; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

// endOfScalar returns the index after the number or word at i.
func endOfScalar(text string, i int) int {
	for i < len(text) && (isWordByte(text[i]) || text[i] == '.' || text[i] == '-' || text[i] == '+') {
		i++
	}
	return i
}

// endOfValue returns the index after the JSON value at i.
func endOfValue(text string, i int) int {
	for depth := 0; i < len(text); {
		switch c := text[i]; {
		case c == '"':
			i = endOfString(text, i)
		case c == '{' || c == '[':
			depth++
			i++
		case c == '}' || c == ']':
			depth--
			i++
		case isWordByte(c) || c == '-':
			i = endOfScalar(text, i)
		default: // between values
			i++
			continue
		}
		if depth <= 0 {
			return i
		}
	}
	return len(text)
}
