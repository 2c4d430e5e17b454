package redact

import "strings"

// valued is a value in a text.
type valued struct {
	from, to int    // what is masked; nothing if equal
	after    int    // where to continue in the text
	quote    string // to put around the mask
}

// valueAfter returns the value of a name, after its separator.
func (r *Rules) valueAfter(text string, at int, n named) valued {
	if n.sep == '>' {
		return elementAt(text, at)
	}
	i := at
	for i < len(text) && (text[i] == ' ' || text[i] == '\t' || n.quote != "" && isBlank(text[i])) {
		i++
	}
	if !n.masked {
		return r.numberAt(text, i, n)
	}
	if n.quote == "" && strings.HasPrefix(text[i:], "**") { // closes the bold name, of which the colon is part
		i += 2
		for i < len(text) && (text[i] == ' ' || text[i] == '\t') {
			i++
		}
	}
	if end := i + len(Mark); strings.HasPrefix(text[i:], Mark) && (end == len(text) || !isWordByte(text[end])) {
		return valued{after: end}
	}
	if v, ok := stringAt(text, i); ok {
		return v
	}
	switch {
	case i < len(text) && (text[i] == '{' || text[i] == '[') && !strings.HasPrefix(text[i:], Mark):
		end := endOfBrackets(text, i, n.level)
		return valued{from: i, to: end, after: end, quote: n.around()}
	case n.quote != "":
		end := trimBlanks(text, i, endOfPlain(text, i))
		return valued{from: i, to: end, after: end, quote: n.around()}
	case n.line && (n.sep == ':' || n.spaced):
		return lineAt(text, i, n)
	}
	end := endOfWord(text, i, n.escaped)
	if isScheme(text[i:end]) && end < len(text) && text[end] == ' ' {
		end = endOfWord(text, end+1, n.escaped)
	}
	return valued{from: i, to: end, after: end}
}

// around returns the quotation mark to put around a mask: that of the name, so that JSON stays JSON.
func (n named) around() string { return strings.Trim(n.quote, "`") }

// numberAt returns the value if it is a number that a rule matches.
func (r *Rules) numberAt(text string, i int, n named) valued {
	if i == len(text) || text[i] != '-' && !isDigit(text[i]) {
		return valued{}
	}
	end := endOfScalar(text, i)
	if next := skipBlanks(text, end); next < len(text) && strings.IndexByte(",}]", text[next]) < 0 || !r.findsNumber(text[i:end]) {
		return valued{}
	}
	return valued{from: i, to: end, after: end, quote: n.around()}
}

// elementAt returns the content of an XML element, from after its opening tag.
func elementAt(text string, at int) valued {
	end := len(text)
	if i := strings.Index(text[at:], "</"); i >= 0 {
		end = at + i
	}
	if text[at:end] == Mark {
		return valued{after: end}
	}
	return valued{from: at, to: end, after: end}
}

// stringAt returns the content of the string at i, which may have a prefix or three quotation marks as in Python.
func stringAt(text string, i int) (valued, bool) {
	for n := 0; n < 2 && i < len(text) && strings.IndexByte("bBrRfFuU", text[i]) >= 0; n++ {
		i++
	}
	from := i
	for i < len(text) && text[i] == '\\' {
		i++
	}
	if i == len(text) || !isQuote(text[i]) {
		return valued{}, false
	}
	mark, level := text[i], i-from
	i++
	var end, after int
	if three := strings.Repeat(string(mark), 3); level == 0 && strings.HasPrefix(text[i-1:], three) {
		i += 2
		if end = strings.Index(text[i:], three); end < 0 {
			end, after = len(text), len(text)
		} else {
			end, after = i+end, i+end+len(three)
		}
	} else {
		end, after = closing(text, i, mark, level)
	}
	if text[i:end] == Mark {
		return valued{after: after}, true
	}
	return valued{from: i, to: end, after: after}, true
}

// endOfBrackets returns the index after the list or object at i. In a string with level backslashes before its
// quotation marks, it ends with the string around it.
func endOfBrackets(text string, i, level int) int {
	begin, depth := i, 0
	for i < len(text) {
		switch c := text[i]; {
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return i + 1
			}
		case c == '"' || c == '\'' && !isWordByte(text[i-1]):
			run := backslashes(text, begin, i)
			if run < level {
				return i - run
			}
			end, after := closing(text, i+1, c, run)
			if end == after {
				return end
			}
			i = after
			continue
		}
		i++
	}
	return len(text)
}

// endOfPlain returns the end of an unquoted value whose name is quoted.
func endOfPlain(text string, i int) int {
	for i < len(text) && strings.IndexByte(",;{}[])\n\"'`\\", text[i]) < 0 {
		i++
	}
	return i
}

func trimBlanks(text string, from, to int) int {
	for to > from && isBlank(text[to-1]) {
		to--
	}
	return to
}

// lineAt returns the rest of a line or, if that is empty, the lines of the YAML block below it.
func lineAt(text string, i int, n named) valued {
	end := i
	for end < len(text) && text[end] != '\n' && !endsLine(text, end, n) {
		end++
	}
	to := trimBlanks(text, i, end)
	block := strings.TrimLeft(text[i:to], "|>")
	if block = strings.Trim(block, "+-0123456789"); (block == "" && (to == i || text[i] == '|' || text[i] == '>')) && n.opened == 0 && !n.escaped {
		return blockAt(text, end, n.indent)
	}
	return valued{from: i, to: to, after: to}
}

// endsLine reports whether the string around a line ends at i, or an escape sequence ends the line.
func endsLine(text string, i int, n named) bool {
	switch c := text[i]; {
	case n.opened != 0 && c == n.opened:
		return backslashes(text, 0, i) <= n.level
	case n.opened != 0 && c == '\\':
		run := runLength(text[i:min(len(text), i+maxLevel+1)], func(c byte) bool { return c == '\\' })
		return i+run < len(text) && text[i+run] == n.opened && run <= n.level
	case n.escaped && c == '\\':
		return i+1 < len(text) && strings.IndexByte(`nr"'`, text[i+1]) >= 0
	}
	return false
}

// blockAt returns the lines after end that are indented more than their name, or are a list under it.
func blockAt(text string, end, indent int) valued {
	from, to := 0, 0
	for end < len(text) {
		begin := end + 1
		next := len(text)
		if i := strings.IndexByte(text[min(begin, len(text)):], '\n'); i >= 0 {
			next = begin + i
		}
		line := text[min(begin, len(text)):next]
		content := strings.TrimLeft(line, " \t")
		if in := len(line) - len(content); strings.TrimSpace(content) != "" {
			if in <= indent && (in < indent || !strings.HasPrefix(content, "- ")) {
				break
			}
			if from == 0 {
				from = begin + in
			}
			to = trimBlanks(text, from, next)
		}
		end = next
	}
	if to <= from || text[from:to] == Mark {
		return valued{after: to}
	}
	return valued{from: from, to: to, after: to}
}

// endOfWord returns the end of an unquoted value that is part of a line.
func endOfWord(text string, i int, escaped bool) int {
	for ; i < len(text); i++ {
		next := byte(' ')
		if i+1 < len(text) {
			next = text[i+1]
		}
		switch c := text[i]; {
		case isBlank(c), c == '"', c == '`', c == '<', c == '>', c == '&':
			return i
		case c == '\'' || c == ')' || c == ']' || c == '}':
			if !isWordByte(next) {
				return i
			}
		case c == ',' || c == ';' || c == '|':
			if isBlank(next) || isQuote(next) || next == '\\' || namesNext(text[i+1:]) {
				return i
			}
		case c == '\\':
			if isQuote(next) || next == '\\' || escaped && strings.IndexByte("nrt", next) >= 0 {
				return i
			}
		}
	}
	return i
}

// namesNext reports whether a text begins with a name and a separator.
func namesNext(text string) bool {
	const limit = 64 // bytes of a name
	text = text[:min(len(text), limit)]
	i := runLength(text, isBareByte)
	return i > 0 && i < len(text) && (text[i] == '=' || text[i] == ':')
}

// isScheme reports whether a word is an authentication scheme, which is not a secret.
func isScheme(word string) bool {
	for _, scheme := range [...]string{"basic", "bearer", "digest", "token", "negotiate"} {
		if strings.EqualFold(word, scheme) {
			return true
		}
	}
	return false
}
