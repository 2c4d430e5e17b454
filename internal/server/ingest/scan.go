package ingest

import (
	"bytes"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/watchbill/watchbill/internal/execution"
)

// Nearly all executions are ordinary, valid JSON. These are scanned in one pass that takes less than half the time of a
// decoder (BenchmarkExecutions). All others are left to decoders, which also report faults.

// scan reads the execution that begins at i and returns the index after it, or -1 if a decoder must read it.
func (r *executionReader) scan(raw []byte, i int, e *execution.Execution) (end int) {
	r.begin(e, false)
	r.names = nameSet{names: r.names.names[:0]}
	i, more := afterOpening(raw, i, '{', '}')
	for more {
		name, from := nextName(raw, i)
		if from < 0 || bytes.IndexByte(name, '\\') >= 0 || !r.names.add(name) {
			return -1
		}
		end := execution.AfterValue(raw, from)
		if end < 0 || raw[from] == '{' && hasDuplicate(name, raw[from:end]) || r.member(name, raw[from:end]) != nil {
			return -1
		}
		i, more = afterElement(raw, end, '}')
	}
	if i < 0 || r.finish() != nil {
		return -1
	}
	return i
}

// hasDuplicate reports whether an object has duplicate members. It ignores payloads, which may have them.
func hasDuplicate(name []byte, value jsontext.Value) bool {
	return string(name) != "input_data" && string(name) != "output_data" && !value.IsValid()
}

// afterUnusual returns the index after the JSON value that begins at i, or -1 if there is none. It accepts duplicate
// members and invalid UTF-8.
func afterUnusual(raw []byte, i int) (end int) {
	d := jsontext.NewDecoder(bytes.NewBuffer(raw[i:]), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if err := d.SkipValue(); err != nil {
		return -1
	}
	return i + int(d.InputOffset())
}

// afterOpening returns the index of the first element of the container that begins at i and true. If the container is
// empty it returns the index after it, and if there is no container -1.
func afterOpening(raw []byte, i int, opening, closing byte) (next int, more bool) {
	if i >= len(raw) || raw[i] != opening {
		return -1, false
	}
	if i = execution.AfterBlanks(raw, i+1); i < len(raw) && raw[i] == closing {
		return i + 1, false
	}
	return i, true
}

// afterElement returns the index of the element that follows the one ending at i and true. If that was the last one it
// returns the index after the container, and if neither follows -1.
func afterElement(raw []byte, i int, closing byte) (next int, more bool) {
	i = execution.AfterBlanks(raw, i)
	switch {
	case i < len(raw) && raw[i] == ',':
		return execution.AfterBlanks(raw, i+1), true
	case i < len(raw) && raw[i] == closing:
		return i + 1, false
	}
	return -1, false
}

// nextName returns the member name that begins at i, still escaped, and the index of its value, or -1 if there is none.
func nextName(raw []byte, i int) (name []byte, value int) {
	if i >= len(raw) || raw[i] != '"' {
		return nil, -1
	}
	end := execution.AfterString(raw, i)
	if end < 0 {
		return nil, -1
	}
	colon := execution.AfterBlanks(raw, end)
	if colon >= len(raw) || raw[colon] != ':' {
		return nil, -1
	}
	return raw[i+1 : end-1], execution.AfterBlanks(raw, colon+1)
}

// scanList calls read with the index of each execution in a body whose only member is executions. read returns the
// index after the execution, or -1 to stop. scanList reports whether the whole body was scanned.
func scanList(body []byte, read func(i int) int) bool {
	i, more := afterOpening(body, execution.AfterBlanks(body, 0), '{', '}')
	if !more {
		return false
	}
	name, i := nextName(body, i)
	if i < 0 || string(name) != "executions" {
		return false
	}
	for i, more = afterOpening(body, i, '[', ']'); more; {
		if i = read(i); i < 0 {
			return false
		}
		i, more = afterElement(body, i, ']')
	}
	if i < 0 {
		return false
	}
	i, more = afterElement(body, i, '}')
	return !more && i >= 0 && execution.AfterBlanks(body, i) == len(body)
}

// nameSet is a set of member names, optimized for the few that an execution has.
type nameSet struct {
	names [][]byte
	marks uint64 // hash bits of the names; few names share a bit
}

// add adds a name and reports whether it is new.
func (s *nameSet) add(name []byte) bool {
	n := len(name)
	if n == 0 {
		return false // not the name of any member
	}
	mark := uint64(1) << ((3*name[0] + 5*name[n-1] + 11*byte(n)) % 64)
	if s.marks&mark != 0 && slices.ContainsFunc(s.names, func(other []byte) bool { return bytes.Equal(other, name) }) {
		return false
	}
	s.marks |= mark
	s.names = append(s.names, name)
	return true
}
