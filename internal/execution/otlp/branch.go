package otlp

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// branch is a part of a document that was flattened into attributes with dotted names.
type branch struct {
	value    json.RawMessage // of the attribute with exactly this name
	children map[string]*branch
}

// add inserts a value under its dotted name.
func (b *branch) add(name string, value json.RawMessage) {
	const deepest = 16
	for _, step := range strings.SplitN(name, ".", deepest) {
		if b.children == nil {
			b.children = make(map[string]*branch)
		}
		if b.children[step] == nil {
			b.children[step] = &branch{}
		}
		b = b.children[step]
	}
	b.value = value
}

// encode returns a list if all names are numbers, and otherwise an object.
func (b *branch) encode() json.RawMessage {
	if len(b.children) == 0 {
		return b.value
	}
	names := slices.Collect(maps.Keys(b.children))
	if b.value == nil && !slices.ContainsFunc(names, isNoNumber) {
		return b.encodeList(names)
	}
	// OpenInference wraps every list element in an object that names its type: {"message": {"role": …}}. The wrapper is
	// dropped.
	if inner := b.children[names[0]]; len(names) == 1 && slices.Contains(wrappers, names[0]) && len(inner.children) > 0 {
		return inner.encode()
	}
	members := make(map[string]json.RawMessage, len(names)+1)
	if b.value != nil { // prompt.0.content in addition to prompt.0.content.text
		members["value"] = b.value
	}
	for name, child := range b.children {
		members[name] = child.encode()
	}
	return sorted(members).encode()
}

var wrappers = []string{"message", "message_content", "tool_call", "prompt", "completion", "embedding"}

// encodeList encodes the children as a list, in numerical order.
func (b *branch) encodeList(names []string) json.RawMessage {
	slices.SortFunc(names, func(x, y string) int { return cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y)) })
	elements := make(list, 0, len(names))
	for _, name := range names {
		elements = append(elements, b.children[name].encode())
	}
	return elements.encode()
}

func isNoNumber(name string) bool { return !isNumber(name) }

func isNumber(name string) bool {
	return name != "" && strings.Trim(name, "0123456789") == ""
}
