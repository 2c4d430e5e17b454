package redact

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

const (
	// wideLead is the first byte of the full-width colon and equals sign in UTF-8.
	wideLead = 0xEF
	// maxLevel is the limit of backslashes before the quotation marks of a name: seven nested strings.
	maxLevel = 1<<7 - 1
)

// inMembers masks the values of masked names in a text: "name": value in JSON and in Python's notation, complete, cut
// off or in prose, and in strings of it; name=value and name: value; <name>value</name>. It reads the text and each
// value once. A value without an end is masked to the end of the text.
func (r *Rules) inMembers(text string) string {
	var out []byte // of text[:done]
	done, floor, word := 0, 0, 0
	for i := 0; i < len(text); {
		sep, width := separatorAt(text, i)
		if width == 0 {
			i++
			continue
		}
		n, found := r.nameBefore(text, floor, word, i, sep)
		i += width
		word = i
		if !found {
			continue
		}
		v := r.valueAfter(text, i, n)
		if i = max(i, v.after); v.from < v.to {
			out = append(append(append(append(out, text[done:v.from]...), v.quote...), Mark...), v.quote...)
			done = v.to
		}
		floor, word = i, i
	}
	if done == 0 {
		return text
	}
	return string(append(out, text[done:]...))
}

// separatorAt returns the separator of name and value at i, ':', '=' or '>', and its size; 0 if there is none.
func separatorAt(text string, i int) (sep byte, size int) {
	follows := func(c byte) bool { return i+1 < len(text) && text[i+1] == c }
	switch c := text[i]; {
	case c == ':' && follows('='):
		return '=', 2
	case c == '=' && (follows('>') || follows('=')):
		return c, 2
	case c == ':', c == '=', c == '>':
		return c, 1
	case c != wideLead:
		return 0, 0
	case strings.HasPrefix(text[i:], "\uFF1A"):
		return ':', 3
	case strings.HasPrefix(text[i:], "\uFF1D"):
		return '=', 3
	}
	return 0, 0
}

// named is a name in a text.
type named struct {
	masked  bool
	sep     byte
	quote   string // the quotation mark after it, with its backslashes; empty if there is none
	line    bool   // it is at the beginning of a line or a string
	spaced  bool   // there are blanks before the separator
	escaped bool   // it follows an escaped end of line
	indent  int    // bytes before it in its line
	opened  byte   // the quotation mark before it; 0 if there is none
	level   int    // backslashes before its quotation mark, or before opened
}

// nameBefore returns the name before a separator. It does not look back beyond floor, or beyond word for a name without
// quotation marks. It returns only names that are masked, or whose value may be a number to check.
func (r *Rules) nameBefore(text string, floor, word, at int, sep byte) (n named, found bool) {
	end := at
	for end > floor && isBlank(text[end-1]) {
		end--
	}
	n.sep, n.spaced = sep, end < at
	if n.spaced && sep == '>' {
		return n, false
	}
	lines := n.spaced && strings.IndexByte(text[end:at], '\n') >= 0
	end = beforeMarks(text, floor, end)
	switch {
	case end == floor:
		return n, false
	case isQuote(text[end-1]):
		return r.quotedName(text, floor, end, n)
	case lines:
		return n, false
	}
	return r.bareName(text, floor, min(word, end), end, n)
}

// beforeMarks returns the end of a text without marks such as those of bold text in Markdown.
func beforeMarks(text string, floor, end int) int {
	for range 3 {
		if end > floor && (text[end-1] == '*' || text[end-1] == ']') {
			end--
		}
	}
	for _, mark := range [...]string{"”", "’"} {
		if end-floor >= len(mark) && strings.HasSuffix(text[floor:end], mark) {
			end -= len(mark)
		}
	}
	return end
}

func (r *Rules) quotedName(text string, floor, end int, n named) (named, bool) {
	mark := text[end-1]
	n.level = backslashes(text, floor, end-1)
	if n.level > maxLevel || n.level&(n.level+1) != 0 {
		return n, false
	}
	end -= 1 + n.level
	n.quote = text[end : end+n.level+1]
	for i := end - 1; i >= floor && text[i] != '\n'; i-- {
		if text[i] != mark {
			continue
		}
		run := backslashes(text, floor, i)
		if run > n.level { // part of the name
			i -= run
			continue
		}
		if run < n.level {
			return n, false
		}
		name := text[i+1 : end]
		for level := n.level; strings.IndexByte(name, '\\') >= 0; level /= 2 {
			if name = unescape(name); level == 0 {
				break
			}
		}
		n.masked = r.masks(name)
		return n, n.masked || len(r.find) > 0
	}
	return n, false
}

func (r *Rules) bareName(text string, floor, word, end int, n named) (named, bool) {
	if !r.named() {
		return n, false
	}
	begin := end
	for begin > word && isBareByte(text[begin-1]) {
		begin--
	}
	if begin > word && begin < end && text[begin-1] == '\\' && strings.IndexByte("nrtbf", text[begin]) >= 0 {
		n.escaped, n.line = true, text[begin] == 'n' || text[begin] == 'r'
		begin++
	}
	if n.sep == '>' && (begin == 0 || text[begin-1] != '<') {
		return n, false
	}
	if n.masked = r.masksBare(text[begin:end]); !n.masked {
		size := r.oddName(text[floor:end])
		if n.masked = size > 0; !n.masked {
			return n, false
		}
		begin = end - size
	}
	before := begin
	for before > 0 && begin-before < 16 && strings.IndexByte(" \t-*>#+|.0123456789", text[before-1]) >= 0 {
		before--
	}
	n.indent = begin - before
	switch {
	case n.line:
	case before == 0 || text[before-1] == '\n':
		n.line = true
	case isQuote(text[before-1]):
		n.line, n.opened, n.level = true, text[before-1], backslashes(text, floor, before-1)
	}
	return n, true
}

// masksBare reports whether members are masked whose name is a word, or its last part as in user.name or user%5Bname.
func (r *Rules) masksBare(word string) bool {
	word = strings.TrimLeft(word, "-$.“‘")
	if word == "" {
		return false
	}
	if r.masks(word) {
		return true
	}
	if strings.IndexByte(word, '%') >= 0 {
		if decoded, err := url.QueryUnescape(word); err == nil {
			word = strings.TrimRight(decoded, "]")
		}
	}
	last := word[strings.LastIndexAny(word, ".[")+1:]
	return len(last) < len(word) && r.masks(last)
}

// oddName returns the size of the name at the end of a text, of those that are not bare words; 0 if there is none.
func (r *Rules) oddName(text string) int {
	for _, name := range r.odd {
		from := len(text) - len(name)
		if from < 0 || fold(text[from:]) != name { // folding may change the size: such names are not found here
			continue
		}
		if from == 0 || name[0] >= utf8.RuneSelf || !isWordByte(text[from-1]) {
			return len(name)
		}
	}
	return 0
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func isQuote(c byte) bool { return c == '"' || c == '\'' || c == '`' }

// isBareByte reports whether a byte may belong to a name without quotation marks.
func isBareByte(c byte) bool {
	return isWordByte(c) || c == '-' || c == '.' || c == '$' || c == '%' || c >= utf8.RuneSelf
}
