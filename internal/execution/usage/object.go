package usage

import (
	"strconv"
	"strings"
)

const (
	maxNamed     = 64 << 10  // bytes of an object that is usage
	maxContainer = 512 << 10 // bytes of one that may contain usage
	maxDepth     = 16        // nesting depth of objects; deeper ones are ignored
	maxPath      = 256       // bytes of a member's path
	maxLabel     = 16        // bytes
)

// object parses an object in JSON or in Python's notation: quotes of both kinds, None, True, tuples, and classes such
// as Usage(prompt_tokens=5). It takes time linear in the length of the text.
type object struct {
	text string
	at   int
	into *statement
	path []byte
	// costs reports that the object contains costs instead of counts.
	costs bool
	// searching reports that usage is searched for: only the value of a member with such a name is read.
	searching bool
	// element reports that the next object is an element of a list that has counts by kind.
	element bool
	// step reports that the object is one of a call's steps.
	step bool
	// answer reports that the object is a response. Parts of it that a model wrote are ignored.
	answer bool
	// nested reports that strings in the response that are objects are read as well.
	nested bool
}

// readObject adds an object's usage to a statement, and reports whether the text is a whole object. If it is not, part
// of it may have been added.
func readObject(text string, prefix string, costs, searching bool, into *statement) bool {
	limit := maxNamed
	if searching {
		limit = maxContainer
	}
	if len(text) > limit {
		return false
	}
	o := object{text: text, into: into, path: append(make([]byte, 0, maxPath), prefix...), costs: costs, searching: searching}
	o.blanks()
	return o.value(0) && o.ends()
}

func (o *object) ends() bool {
	o.blanks()
	return o.at == len(o.text)
}

func (o *object) blanks() {
	for o.at < len(o.text) && (o.text[o.at] == ' ' || o.text[o.at] == '\n' || o.text[o.at] == '\t' || o.text[o.at] == '\r') {
		o.at++
	}
}

func (o *object) peek() byte {
	if o.at < len(o.text) {
		return o.text[o.at]
	}
	return 0
}

// take skips a byte and the blanks after it if it is next.
func (o *object) take(b byte) bool {
	if o.peek() != b {
		return false
	}
	o.at++
	o.blanks()
	return true
}

// value reads a value. The path is set.
func (o *object) value(depth int) bool {
	if depth > maxDepth {
		return o.skip()
	}
	switch b := o.peek(); {
	case b == '{':
		o.at++
		return o.members('}', ':', depth)
	case b == '[' || b == '(':
		return o.list(depth)
	case b == '"' || b == '\'':
		from := o.at
		text, ok := o.quoted()
		switch {
		case ok && !o.searching:
			o.into.memberText(o.path, text, o.costs)
		case ok && o.nested && b == '"':
			o.searchText(o.text[from:o.at])
		}
		return ok
	case b == '<':
		return o.opaque()
	case isLetter(b) || b == '_':
		return o.word(depth)
	case b == '-' || b == '+' || b == '.' || isDigit(b):
		return o.number()
	}
	return false
}

// members reads the members of an object up to its end.
func (o *object) members(end, separator byte, depth int) bool {
	outer, searching, element := len(o.path), o.searching, o.element
	o.element = false
	defer func() { o.path, o.searching = o.path[:outer], searching }()
	var label string
	held := -1 // the position of the count that a label belongs to
	o.blanks()
	for !o.take(end) {
		name, ok := o.memberName(separator)
		if !ok {
			return false
		}
		o.path, o.searching = o.path[:outer], searching
		switch {
		case !o.enter(name):
			ok = o.skip()
		case element && isLabel(name) && (o.peek() == '"' || o.peek() == '\''):
			label, ok = o.quoted()
		case element && held < 0 && isLabelled(name) && isDigit(o.peek()):
			held = o.at
			ok = o.skip()
		default:
			ok = o.value(depth + 1)
		}
		if !ok || !o.comma(end) {
			return false
		}
	}
	if held >= 0 {
		return o.labelled(held, label, outer)
	}
	return true
}

// enter sets the path and the search to those of a member's value, and reports whether the value is read.
func (o *object) enter(name string) bool {
	switch {
	case o.searching && (o.peek() == '{' || isLetter(o.peek())) && o.holdsUsage(name):
		o.path, o.searching = o.path[:0], false
		return true
	case o.searching:
		return !o.answer || !isWritten(name)
	case len(o.path)+len(name)+1 > maxPath:
		return false
	}
	if len(o.path) > 0 && o.path[len(o.path)-1] != '.' {
		o.path = append(o.path, '.')
	}
	o.path = append(o.path, name...)
	return true
}

// labelled reads the count of a list element that names its kind, as in [{"modality":"AUDIO","tokenCount":5}].
func (o *object) labelled(held int, label string, outer int) bool {
	after := o.at
	o.at = held
	o.path = o.path[:outer]
	ok := true
	if label != "" && len(label) <= maxLabel && len(o.path)+len(label)+1 <= maxPath {
		o.path = append(append(o.path, '.'), label...)
		ok = o.number()
	}
	o.at = after
	return ok
}

func isLabel(name string) bool { return name == "modality" || name == "ttl" }

func isLabelled(name string) bool {
	switch name {
	case "tokenCount", "token_count", "tokens", "inputTokens", "input_tokens":
		return true
	}
	return false
}

// memberName reads the name of a member and the separator. Arguments of a class may have no name.
func (o *object) memberName(separator byte) (name string, ok bool) {
	switch b := o.peek(); {
	case b == '"' || b == '\'':
		if name, ok = o.quoted(); !ok {
			return "", false
		}
		if separator == '=' {
			o.at -= len(name) + 2 // an argument without a name, to be read as a value; escapes are not resolved
			return "", true
		}
	case isLetter(b) || b == '_':
		from := o.at
		name = o.identifier()
		if separator == '=' && (o.blanksThen() != '=') {
			o.at = from
			return "", true
		}
	case separator == '=':
		return "", true
	case isDigit(b): // Python's names may be numbers
		from := o.at
		o.digits()
		name = o.text[from:o.at]
	default:
		return "", false
	}
	o.blanks()
	return name, o.take(separator)
}

func (o *object) blanksThen() byte {
	o.blanks()
	return o.peek()
}

// comma reads the comma between members, if the end is not next.
func (o *object) comma(end byte) bool {
	o.blanks()
	return o.take(',') || o.peek() == end
}

// list reads a list or a tuple. Only its labelled objects count.
func (o *object) list(depth int) bool {
	end := byte(']')
	if o.peek() == '(' {
		end = ')'
	}
	o.at++
	o.blanks()
	iterations := !o.searching && !o.step && string(o.path) == "iterations"
	for !o.take(end) {
		ok := false
		switch {
		case iterations && o.peek() == '{':
			ok = o.iteration()
		case o.peek() == '{' && !o.searching && o.ofKinds():
			o.element = true
			ok = o.value(depth + 1)
			o.element = false
		case o.searching && o.answer:
			ok = o.value(depth + 1)
		default:
			ok = o.skip()
		}
		if !ok || !o.comma(end) {
			return false
		}
	}
	return true
}

// ofKinds reports whether the next object names the kind of its count.
func (o *object) ofKinds() bool {
	ahead := o.text[o.at:min(len(o.text), o.at+128)]
	end := strings.IndexByte(ahead, '}')
	return end > 0 && (strings.Contains(ahead[:end], "modality") || strings.Contains(ahead[:end], "ttl"))
}

// quoted reads a string. Escapes are not resolved, since nothing searched for has any.
func (o *object) quoted() (text string, ok bool) {
	quote := o.text[o.at]
	from := o.at + 1
	for i := from; i < len(o.text); i++ {
		switch o.text[i] {
		case '\\':
			i++
		case quote:
			o.at = i + 1
			return o.text[from:i], true
		}
	}
	o.at = len(o.text)
	return "", false
}

func (o *object) identifier() string {
	from := o.at
	for o.at < len(o.text) && (isLetter(o.text[o.at]) || isDigit(o.text[o.at]) || o.text[o.at] == '_' || o.text[o.at] == '.') {
		o.at++
	}
	return o.text[from:o.at]
}

// word reads null, true, None, a string with a prefix, or a class with arguments.
func (o *object) word(depth int) bool {
	name := o.identifier()
	switch o.peek() {
	case '"', '\'':
		if len(name) > 2 {
			return false
		}
		_, ok := o.quoted()
		return ok
	case '(':
		o.at++
		return o.members(')', '=', depth)
	}
	switch name {
	case "true", "True":
		if !o.searching {
			o.into.memberFlag(o.path)
		}
		return true
	case "null", "false", "None", "False", "NaN", "nan", "Infinity", "inf", "undefined":
		return true
	}
	if _, value, enumerated := strings.Cut(name, "."); enumerated && !o.searching { // TrafficType.ON_DEMAND_FLEX
		o.into.memberText(o.path, value, o.costs)
		return true
	}
	return o.searching
}

func (o *object) digits() {
	for o.at < len(o.text) {
		switch b := o.text[o.at]; {
		case isDigit(b), b == '-', b == '+', b == '.', b == 'e', b == 'E', b == '_':
			o.at++
		default:
			return
		}
	}
}

func (o *object) number() bool {
	from := o.at
	o.digits()
	if o.searching {
		return o.at > from
	}
	if o.at-from > 64 {
		return false
	}
	f, err := strconv.ParseFloat(o.text[from:o.at], 64)
	if err != nil && f == 0 { // a number out of range becomes infinite
		return false
	}
	o.into.memberNumber(o.path, f, o.costs)
	return true
}

// skip skips a value.
func (o *object) skip() bool {
	depth := 0
	for o.at < len(o.text) {
		switch b := o.text[o.at]; b {
		case '{', '[', '(':
			depth++
			o.at++
		case '}', ']', ')':
			if depth == 0 {
				return true
			}
			depth--
			o.at++
			if depth == 0 {
				return true
			}
		case '"', '\'':
			if _, ok := o.quoted(); !ok {
				return false
			}
			if depth == 0 {
				return true
			}
		case ',':
			if depth == 0 {
				return true
			}
			o.at++
		default:
			o.at++
		}
	}
	return false
}
