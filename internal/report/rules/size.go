package rules

import (
	"fmt"
	"strings"

	"github.com/watchbill/watchbill/internal/report"
)

// maxSize is prometheus-operator's maximum size of a rule file, in bytes.
const maxSize = 512 << 10

// tooLarge returns report.FieldErrors if prometheus-operator would reject the file. Writing YAML takes several times as long
// as making the rules, so it is written only if the file may be too large.
func (f File) tooLarge() error {
	if f.sizeAtMost() <= maxSize {
		return nil
	}
	text, err := f.YAML()
	if err != nil || len(text) <= maxSize {
		return err
	}
	return report.FieldErrors{{
		Field: "objectives",
		Problem: fmt.Sprintf("make rules of %d bytes, and prometheus-operator takes no more than %d: "+
			"have fewer objectives, or shorter routes and labels", len(text), maxSize),
	}}
}

// sizeAtMost returns an upper bound of the file's size as YAML.
func (f File) sizeAtMost() int {
	const (
		escaped = 4  // maximum bytes of an escaped byte, as in "\x01"
		line    = 24 // a line's indentation, the longest key with its colon, quotes, the line's end
	)
	size := line // groups:
	text := func(s string) { size += escaped*len(s) + line*(1+strings.Count(s, "\n")) }
	pairs := func(all map[string]string) {
		for name, value := range all {
			text(name)
			text(value)
		}
	}
	for _, g := range f.Groups {
		text(g.Name)
		text(g.Interval)
		size += line // rules:
		for _, r := range g.Rules {
			for _, s := range [...]string{r.Record, r.Alert, r.Expr, r.For, r.KeepFiringFor} {
				text(s)
			}
			size += 2 * line // labels:, annotations:
			pairs(r.Labels)
			pairs(r.Annotations)
		}
	}
	return size
}
