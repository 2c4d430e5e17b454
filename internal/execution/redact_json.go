package execution

import (
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// walk masks JSON text: the payload itself at depth 0, or what a string within so many strings holds. It goes on from one
// value to the next, as where there is one on each line, and ends where it reads no more: the rest stays as it is. But if
// that is within a member that is to be masked, the rest is masked with it.
func (r *Redaction) walk(raw []byte, depth int) []byte {
	d := newPayloadDecoder(raw)
	var out, text []byte // of raw[:copied]; what is written in a string
	copied := 0
	replace := func(value jsontext.Value, text string) {
		end := int(d.InputOffset())
		out = append(out, raw[copied:end-len(value)]...)
		out, _ = jsontext.AppendQuote(out, text) // what was read is valid UTF-8
		copied = end
	}
	for {
		if d.PeekKind() != jsontext.KindString {
			if _, err := d.ReadToken(); err != nil {
				break
			}
			continue
		}
		value, err := d.ReadValue()
		if err != nil {
			break
		}
		if text, err = jsontext.AppendUnquote(text[:0], value); err != nil {
			break
		}
		if kind, length := d.StackIndex(d.StackDepth()); kind == jsontext.KindBeginObject && length%2 == 1 {
			if !r.masks(string(text)) {
				continue
			}
			name := d.InputOffset()
			if value, err = d.ReadValue(); err != nil {
				return append(append(out, raw[copied:name]...), `:"`+redacted+`"`...)
			}
			if string(value) != `"`+redacted+`"` {
				replace(value, redacted)
			}
			continue
		}
		if len(r.find) == 0 && !mayBeJSON(text) {
			continue
		}
		whole := string(text)
		masked := whole
		if depth == 0 {
			masked = r.Text(whole)
		} else {
			masked = r.once(whole, depth)
		}
		if masked != whole {
			replace(value, masked)
		}
	}
	if copied == 0 {
		return raw
	}
	return append(out, raw[copied:]...)
}

// masks says whether members of a name are masked.
func (r *Redaction) masks(name string) bool {
	name = strings.ToLower(name)
	return r.names[name] || slices.ContainsFunc(r.globs, func(glob string) bool { return matchGlob(glob, name, noSeparator) })
}
