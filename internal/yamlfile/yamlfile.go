// Package yamlfile reads YAML files written by people strictly, and reports every fault with its line and field.
//
// It rejects what YAML allows but is most likely a mistake in such a file: several documents, aliases, unknown or
// duplicate fields. The size of files and the number of faults are limited. Callers define the fields. The package is
// pure: a file is a slice of bytes.
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

// Fault is a fault of a file.
type Fault struct {
	Line   int    // from 1
	Field  string // a path such as agents[0].timeout, or file if it is not about a field
	Detail string // continues the field: is missing
}

// Faults is all faults of a file, ordered by line.
type Faults []Fault

func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fmt.Sprintf("line %d: %s: %s", fault.Line, fault.Field, fault.Detail)
	}
	return strings.Join(lines, "\n")
}

// Reader reads the nodes of a file and records their faults. A nil node is a missing field: it is no fault and reads as
// the zero value.
type Reader struct {
	faults    Faults
	maxFaults int
	more      bool // there are more than maxFaults
}

// Read starts reading a file of at most maxBytes. Up to maxFaults faults are listed. The root may be any node; it is
// nil if the file is not one YAML document, and Err returns why.
func Read(file []byte, maxBytes, maxFaults int) (r *Reader, root *yaml.Node) {
	r = &Reader{maxFaults: maxFaults}
	return r, r.document(file, maxBytes)
}

// Fault records a fault of a field.
func (r *Reader) Fault(n *yaml.Node, field, format string, args ...any) {
	r.FaultAt(n.Line, field, format, args...)
}

// FaultAt records a fault of a line.
func (r *Reader) FaultAt(line int, field, format string, args ...any) {
	if len(r.faults) == r.maxFaults {
		r.more = true
		return
	}
	r.faults = append(r.faults, Fault{max(line, 1), field, fmt.Sprintf(format, args...)})
}

// Err returns the recorded faults as Faults, or nil if there are none.
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

func (r *Reader) document(file []byte, limit int) *yaml.Node {
	if len(file) > limit {
		r.FaultAt(1, "file", "must be at most %d bytes", limit)
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
		r.FaultAt(min(line, lines), "file", "is not YAML: %s", text.Clip(problem, 60)) // may point beyond the last line
		return nil
	}
	return document.Content[0]
}

var (
	yamlError = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?`)
	// parserProblem matches errors of the library's parser, which counts lines from 0; its scanner counts from 1.
	parserProblem = regexp.MustCompile(`^(?:did not find expected (?:node content|'-' indicator|key|',' or ']'|',' or '}'|<)|found undefined tag)`)
)

// yamlProblem splits an error of the library. The line is 0 if the error has none.
func yamlProblem(err error) (line int, problem string) {
	place := yamlError.FindStringSubmatch(err.Error())
	line, _ = strconv.Atoi(place[1])
	problem = err.Error()[len(place[0]):]
	if parserProblem.MatchString(problem) {
		line++
	}
	return line, problem
}
