package gateway

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const (
	maxAgentsFile = 1 << 20 // bytes
	maxFaults     = 100     // that are listed
	maxQuoted     = 60      // bytes of the file that come into a fault
)

// AgentFault is something wrong with a file of agents.
type AgentFault struct {
	Line   int
	Field  string // a path such as agents[0].timeout
	Detail string
}

// AgentFaults is all that is wrong with a file of agents.
type AgentFaults []AgentFault

func (f AgentFaults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fmt.Sprintf("line %d: %s: %s", fault.Line, fault.Field, fault.Detail)
	}
	return strings.Join(lines, "\n")
}

// fileReader reads the nodes of a file, and notes what is wrong with them.
type fileReader struct{ faults AgentFaults }

func (r *fileReader) fault(n *yaml.Node, field, format string, args ...any) {
	r.faultAt(n.Line, field, format, args...)
}

func (r *fileReader) faultAt(line int, field, format string, args ...any) {
	if len(r.faults) <= maxFaults {
		r.faults = append(r.faults, AgentFault{max(line, 1), field, fmt.Sprintf(format, args...)})
	}
}

func (r *fileReader) err() error {
	if len(r.faults) == 0 {
		return nil
	}
	if len(r.faults) > maxFaults {
		last := &r.faults[maxFaults]
		last.Field, last.Detail = "file", "has more faults than are listed"
	}
	slices.SortStableFunc(r.faults, func(a, b AgentFault) int { return cmp.Compare(a.Line, b.Line) })
	return r.faults
}

var yamlPlace = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?`)

// document finds the one mapping of a file; nil if there is none.
func (r *fileReader) document(file []byte) *yaml.Node {
	switch {
	case len(file) > maxAgentsFile:
		r.faultAt(1, "file", "must be at most %d bytes", maxAgentsFile)
		return nil
	case !utf8.Valid(file) || bytes.IndexByte(file, 0) >= 0:
		r.faultAt(1, "file", "must be UTF-8 without NUL characters")
		return nil
	}
	decoder := yaml.NewDecoder(bytes.NewReader(file))
	var document, more yaml.Node
	err := decoder.Decode(&document)
	if errors.Is(err, io.EOF) || err == nil && len(document.Content) == 0 {
		r.faultAt(1, "file", "is empty; it needs agents")
		return nil
	}
	if err == nil {
		if err = decoder.Decode(&more); err == nil {
			r.fault(&more, "file", "must be one YAML document, not several")
			return nil
		}
	}
	if !errors.Is(err, io.EOF) {
		place := yamlPlace.FindStringSubmatch(err.Error())
		line, _ := strconv.Atoi(place[1]) // 0 where it names none
		r.faultAt(line, "file", "is not YAML: %s", clip(err.Error()[len(place[0]):]))
		return nil
	}
	return document.Content[0]
}

// mapping reads the fields of a mapping, each known and there once.
func (r *fileReader) mapping(n *yaml.Node, field string, known ...string) map[string]*yaml.Node {
	fields := map[string]*yaml.Node{}
	if n.Kind != yaml.MappingNode {
		r.wrongKind(n, cmp.Or(field, "file"), "a mapping")
		return fields
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Kind != yaml.ScalarNode:
			r.fault(key, under(field, "key"), "must be a name")
		case len(known) > 0 && !slices.Contains(known, key.Value):
			r.fault(key, under(field, plain(key.Value)), "is not a field here; known are %s", strings.Join(known, ", "))
		case fields[key.Value] != nil:
			r.fault(key, under(field, plain(key.Value)), "is there twice, first in line %d", fields[key.Value].Line)
		default:
			fields[key.Value] = value
		}
	}
	return fields
}

// list reads the items of a sequence.
func (r *fileReader) list(n *yaml.Node, field string, most int) []*yaml.Node {
	switch {
	case n.Kind != yaml.SequenceNode:
		r.wrongKind(n, field, "a list")
	case len(n.Content) == 0:
		r.fault(n, field, "must not be empty")
	case len(n.Content) > most:
		r.fault(n, field, "must have at most %d items", most)
	default:
		return n.Content
	}
	return nil
}

func (r *fileReader) wrongKind(n *yaml.Node, field, want string) {
	if n.Kind == yaml.AliasNode {
		r.fault(n, field, "is an alias, which are not followed here; write it out")
		return
	}
	r.fault(n, field, "must be %s", want)
}

// text reads a scalar as it is written, whatever YAML takes it for; n may be nil.
func (r *fileReader) text(n *yaml.Node, field string, most int) string {
	switch {
	case n == nil:
		return ""
	case n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" || n.ShortTag() == "!!bool" || n.ShortTag() == "!!binary":
		r.wrongKind(n, field, "text")
	case strings.TrimSpace(n.Value) == "":
		r.fault(n, field, "must not be empty")
	case len(n.Value) > most:
		r.fault(n, field, "must be at most %d bytes", most)
	default:
		return n.Value
	}
	return ""
}

// word is text on one line.
func (r *fileReader) word(n *yaml.Node, field string, most int) string {
	text := r.text(n, field, most)
	if strings.ContainsFunc(text, unicode.IsControl) {
		r.fault(n, field, "must not contain control characters")
		return ""
	}
	return text
}

// duration reads a time such as 30s; without one it is the usual.
func (r *fileReader) duration(n *yaml.Node, field string, usual, least, most time.Duration) time.Duration {
	if n == nil {
		return usual
	}
	text := r.text(n, field, 100)
	if text == "" {
		return usual
	}
	d, err := time.ParseDuration(text)
	switch {
	case err != nil:
		r.fault(n, field, "must be a duration such as 90s or 2m, not %s", quote(text))
	case d < least || d > most:
		r.fault(n, field, "must be from %s to %s", least, most)
	default:
		return d
	}
	return usual
}

// value makes what json.Marshal takes of any node.
func (r *fileReader) value(n *yaml.Node, field string) any {
	switch n.Kind {
	case yaml.MappingNode:
		object := map[string]any{}
		for key, value := range r.mapping(n, field) {
			object[key] = r.value(value, under(field, plain(key)))
		}
		return object
	case yaml.SequenceNode:
		list := []any{}
		for i, item := range n.Content {
			list = append(list, r.value(item, fmt.Sprintf("%s[%d]", field, i)))
		}
		return list
	case yaml.ScalarNode:
		var scalar any
		if err := n.Decode(&scalar); err != nil {
			r.fault(n, field, "cannot be read: %s", clip(err.Error()))
			return nil
		}
		switch scalar.(type) {
		case nil, bool, string, int, int64, uint64:
			return scalar
		case float64:
			if encode(scalar) != nil { // NaN and infinities have no JSON
				return scalar
			}
		case time.Time:
			return n.Value
		}
	}
	r.wrongKind(n, field, "something that JSON knows")
	return nil
}

func under(field, name string) string {
	if field == "" {
		return name
	}
	return field + "." + name
}

var plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

// plain is a field's name as it may stand in a path.
func plain(name string) string {
	if name = clip(name); plainName.MatchString(name) {
		return name
	}
	return strconv.Quote(name)
}

func quote(text string) string { return strconv.Quote(clip(text)) }

func clip(text string) string {
	if len(text) <= maxQuoted {
		return text
	}
	return cut(text, maxQuoted) + "…"
}
