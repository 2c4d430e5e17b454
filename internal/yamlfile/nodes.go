package yamlfile

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go.yaml.in/yaml/v3"

	"github.com/watchbill/watchbill/internal/text"
)

// Mapping reads the fields of a mapping and rejects duplicates. field is empty for the root of a file. Without known
// names, any name is accepted.
func (r *Reader) Mapping(n *yaml.Node, field string, known ...string) map[string]*yaml.Node {
	fields := map[string]*yaml.Node{}
	if n == nil {
		return fields
	}
	if n.Kind != yaml.MappingNode {
		r.WrongKind(n, cmp.Or(field, "file"), "a mapping")
		return fields
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		switch {
		case name.Kind != yaml.ScalarNode:
			r.Fault(name, Under(field, "key"), "must be a name")
		case len(known) > 0 && !slices.Contains(known, name.Value):
			r.Fault(name, Under(field, name.Value), "is not a field here; known are %s", strings.Join(known, ", "))
		case fields[name.Value] != nil:
			r.Fault(name, Under(field, name.Value), "is duplicated, first in line %d", fields[name.Value].Line)
		default:
			fields[name.Value] = value
		}
	}
	return fields
}

// List reads the entries of a list, each with its field, such as types[0]. If their number is not from least to most,
// it records a fault and returns none.
func (r *Reader) List(n *yaml.Node, field string, minimum, limit int) iter.Seq2[string, *yaml.Node] {
	var entries []*yaml.Node
	switch {
	case n == nil:
	case n.Kind != yaml.SequenceNode:
		r.WrongKind(n, field, "a list")
	case len(n.Content) < minimum:
		r.Fault(n, field, "must not be empty")
	case len(n.Content) > limit:
		r.Fault(n, field, "must have at most %d entries", limit)
	default:
		entries = n.Content
	}
	return func(yield func(string, *yaml.Node) bool) {
		for i, entry := range entries {
			if !yield(fmt.Sprintf("%s[%d]", field, i), entry) {
				return
			}
		}
	}
}

// WrongKind records that a field is of the wrong kind; want names the right one: a list.
func (r *Reader) WrongKind(n *yaml.Node, field, want string) {
	if n.Kind == yaml.AliasNode {
		r.Fault(n, field, "is an alias, which are not followed here; write it out")
		return
	}
	r.Fault(n, field, "must be %s", want)
}

var textTags = []string{"!!str", "!!int", "!!float", "!!timestamp"}

// Text reads a scalar of up to most bytes as written, whatever its type in YAML. It returns "" only for a missing field
// or a fault.
func (r *Reader) Text(n *yaml.Node, field string, limit int) string {
	switch {
	case n == nil:
	case n.Kind != yaml.ScalarNode || !slices.Contains(textTags, n.ShortTag()):
		r.WrongKind(n, field, "text")
	case strings.TrimSpace(n.Value) == "":
		r.Fault(n, field, "must not be empty")
	case len(n.Value) > limit:
		r.Fault(n, field, "must be at most %d bytes", limit)
	default:
		return n.Value
	}
	return ""
}

// OneLine reads text without control characters.
func (r *Reader) OneLine(n *yaml.Node, field string, limit int) string {
	text := r.Text(n, field, limit)
	if strings.ContainsFunc(text, unicode.IsControl) {
		r.Fault(n, field, "must not contain control characters")
		return ""
	}
	return text
}

// Duration reads a duration such as 30s. It returns usual for a missing field or a fault.
func (r *Reader) Duration(n *yaml.Node, field string, usual, minimum, limit time.Duration) time.Duration {
	written := r.Text(n, field, 100)
	if written == "" {
		return usual
	}
	d, err := time.ParseDuration(written)
	switch {
	case err != nil:
		r.Fault(n, field, "must be a duration such as 90s or 2m, not %s", Quote(written))
	case d < minimum || d > limit:
		r.Fault(n, field, "must be from %s to %s", text.Duration(minimum), text.Duration(limit))
	default:
		return d
	}
	return usual
}

// Value reads any node as a value for json.Marshal.
func (r *Reader) Value(n *yaml.Node, field string) any {
	if n == nil {
		return nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		fields := r.Mapping(n, field)
		object := map[string]any{}
		for _, name := range slices.Sorted(maps.Keys(fields)) { // so that the faults of a line have an order
			object[name] = r.Value(fields[name], Under(field, name))
		}
		return object
	case yaml.SequenceNode:
		list := []any{}
		for at, entry := range r.List(n, field, 0, len(n.Content)) {
			list = append(list, r.Value(entry, at))
		}
		return list
	case yaml.ScalarNode:
		var scalar any
		if err := n.Decode(&scalar); err != nil {
			r.Fault(n, field, "cannot be read: %s", text.Clip(err.Error(), 60))
			return nil
		}
		switch v := scalar.(type) {
		case nil, bool, string, int, int64, uint64:
			return v
		case float64:
			if !math.IsNaN(v) && !math.IsInf(v, 0) { // these have no JSON
				return v
			}
		case time.Time:
			return n.Value
		}
	}
	r.WrongKind(n, field, "a value that JSON has")
	return nil
}

// Under returns the path of a field in another, which is empty at the root. It quotes names that are not words.
func Under(field, name string) string {
	if name = text.Clip(name, 60); name == "" || !IsWord(name) {
		name = strconv.Quote(name)
	}
	if field == "" {
		return name
	}
	return field + "." + name
}

// IsWord reports whether a text is visible and has no blanks.
func IsWord(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsGraphic(r) })
}

// Quote quotes a text from a file, or its beginning.
func Quote(s string) string { return strconv.Quote(text.Clip(s, 60)) }
