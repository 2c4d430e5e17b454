package report

import (
	"fmt"

	"github.com/watchbill/watchbill/internal/text"
)

// fields checks the fields below a path and collects their faults.
type fields struct {
	path   string
	faults *FieldErrors
}

func (f fields) in(field string) fields {
	return fields{path: f.at(field), faults: f.faults}
}

func (f fields) at(field string) string {
	if f.path == "" {
		return field
	}
	return f.path + "." + field
}

// index returns the path of an element of a list.
func (f fields) index(i int) string { return fmt.Sprintf("%s[%d]", f.path, i) }

func (f fields) fault(field, format string, args ...any) {
	f.faults.add(f.at(field), format, args...)
}

// text checks a text for people.
func (f fields) text(field, s string, limit int) {
	if problem := text.Unprintable(s, limit); problem != "" {
		f.fault(field, "%s", problem)
	}
}
