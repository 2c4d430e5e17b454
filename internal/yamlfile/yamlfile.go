// Package yamlfile reads a person's YAML file strictly and tells every fault by line and field.
//
// What YAML allows, and hardly anyone means in such a file, is refused: several documents, aliases, fields that are not
// known or there twice. What is read is bounded, and so is what is said about it. What the fields are for is the matter
// of those who read them. It is pure: a file comes as bytes.
package yamlfile

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
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/watchbill/watchbill/internal/text"
)

// Fault is one thing wrong with a file.
type Fault struct {
	Line   int    // from 1
	Field  string // a path such as agents[0].timeout; file where it is no field's
	Detail string // goes on after the field: is missing
}

// Faults are all that is wrong with a file, in the order of their lines.
type Faults []Fault

func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fmt.Sprintf("line %d: %s: %s", fault.Line, fault.Field, fault.Detail)
	}
	return strings.Join(lines, "\n")
}

// Reader reads the nodes of a file, and notes what is wrong with them. A nil node is a field that is not there: that is no
// fault, it reads as nothing.
type Reader struct {
	faults    Faults
	maxFaults int
	more      bool // than maxFaults
}

// Read begins to read a file of at most maxBytes. Of its faults maxFaults are listed. The root, which may be any node, is
// nil where the file is not one YAML document; Err has the reason.
func Read(file []byte, maxBytes, maxFaults int) (r *Reader, root *yaml.Node) {
	r = &Reader{maxFaults: maxFaults}
	return r, r.document(file, maxBytes)
}

// Fault notes what is wrong with a field.
func (r *Reader) Fault(n *yaml.Node, field, format string, args ...any) {
	r.FaultAt(n.Line, field, format, args...)
}

// FaultAt notes what is wrong in a line.
func (r *Reader) FaultAt(line int, field, format string, args ...any) {
	if len(r.faults) == r.maxFaults {
		r.more = true
		return
	}
	r.faults = append(r.faults, Fault{max(line, 1), field, fmt.Sprintf(format, args...)})
}

// Err returns what was noted, as Faults; nil if it is nothing.
func (r *Reader) Err() error {
	if len(r.faults) == 0 {
		return nil
	}
	slices.SortStableFunc(r.faults, func(a, b Fault) int { return cmp.Compare(a.Line, b.Line) })
	if r.more {
		last := r.faults[len(r.faults)-1].Line
		return append(slices.Clip(r.faults), Fault{last, "file", "has more faults than are listed"})
	}
	return r.faults
}

func (r *Reader) document(file []byte, most int) *yaml.Node {
	if len(file) > most {
		r.FaultAt(1, "file", "must be at most %d bytes", most)
		return nil
	}
	lines := 0
	for line := range bytes.Lines(file) {
		lines++
		switch {
		case !utf8.Valid(line):
			r.FaultAt(lines, "file", "must be valid UTF-8")
			return nil
		case bytes.IndexByte(line, 0) >= 0:
			r.FaultAt(lines, "file", "must not contain NUL characters")
			return nil
		}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(file))
	var document, more yaml.Node
	err := decoder.Decode(&document)
	if errors.Is(err, io.EOF) || err == nil && len(document.Content) == 0 {
		r.FaultAt(1, "file", "is empty")
		return nil
	}
	if err == nil {
		if err = decoder.Decode(&more); err == nil {
			r.Fault(&more, "file", "must be one YAML document, not several")
			return nil
		}
	}
	if !errors.Is(err, io.EOF) {
		line, problem := yamlProblem(err)
		r.FaultAt(min(line, lines), "file", "is not YAML: %s", text.Clip(problem, 60)) // it may point behind the last
		return nil
	}
	return document.Content[0]
}

var (
	yamlError = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?`)
	// parserProblem is what the library counts lines from 0 for; those of its scanner it counts from 1.
	parserProblem = regexp.MustCompile(`^(?:did not find expected (?:node content|'-' indicator|key|',' or ']'|',' or '}'|<)|found undefined tag)`)
)

// yamlProblem takes an error of the library apart. The line is 0 where it names none.
func yamlProblem(err error) (line int, problem string) {
	place := yamlError.FindStringSubmatch(err.Error())
	line, _ = strconv.Atoi(place[1])
	problem = err.Error()[len(place[0]):]
	if parserProblem.MatchString(problem) {
		line++
	}
	return line, problem
}
