package server

import (
	"bytes"
	"errors"
	"io"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/watchbill/watchbill/api/openapi"
)

const (
	maxExecutionBody = 8 << 20 // bytes
	maxExecutions    = 1000    // of one request

	ndjson = "application/x-ndjson"
)

// split finds the executions in a body, each of which is judged later and for itself.
func split(body []byte, mediaType string) ([][]byte, error) {
	if mediaType == ndjson {
		return splitLines(body)
	}
	return splitExecutions(body)
}

// splitLines finds the executions of an NDJSON body. Blank lines do not count.
func splitLines(body []byte) ([][]byte, error) {
	var found [][]byte
	for line := range bytes.SplitSeq(body, []byte("\n")) {
		if line = bytes.Trim(line, " \t\r"); len(line) == 0 {
			continue
		}
		if len(found) == maxExecutions {
			return nil, errTooManyExecutions
		}
		found = append(found, line)
	}
	if len(found) == 0 {
		return nil, errNoExecutions("")
	}
	return found, nil
}

// splitExecutions finds the executions of a JSON body: those under executions, or the one that the body is. It judges
// only what is around them, so that duplicate members and bad UTF-8 within one are that one's fault.
func splitExecutions(body []byte) ([][]byte, error) {
	if len(bytes.TrimLeft(body, " \t\r\n")) == 0 {
		return nil, badRequest("malformed_json", "", "the body is empty; it must be a JSON object")
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	start, err := d.ReadToken()
	switch {
	case err != nil:
		return nil, syntaxProblem(err)
	case start.Kind() != jsontext.KindBeginObject:
		return nil, badRequest("invalid_type", "", "the body must be a JSON object")
	}
	var (
		found  [][]byte
		listed bool   // there are executions
		other  string // the first member that is something else
		others bool
	)
	for d.PeekKind() == jsontext.KindString {
		name, err := d.ReadToken()
		if err != nil {
			return nil, syntaxProblem(err)
		}
		switch isList := name.String() == "executions"; {
		case isList && listed:
			return nil, badRequest("duplicate_field", "executions", "is there twice")
		case isList:
			listed = true
			found, err = readList(d, body)
		default:
			if !others {
				other, others = name.String(), true
			}
			err = d.SkipValue()
		}
		if err != nil {
			return nil, problemOr(err)
		}
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, syntaxProblem(err)
	}
	_, err = d.ReadToken()
	switch {
	case !errors.Is(err, io.EOF):
		return nil, badRequest("trailing_data", "", "there is more after the JSON object")
	case !listed:
		return [][]byte{bytes.Trim(body, " \t\r\n")}, nil
	case others:
		return nil, badRequest("unknown_field", fieldName(other), "is not a field of this request")
	case len(found) == 0:
		return nil, errNoExecutions("executions")
	}
	return found, nil
}

// readList reads the array of executions.
func readList(d *jsontext.Decoder, body []byte) ([][]byte, error) {
	if d.PeekKind() != jsontext.KindBeginArray {
		if err := d.SkipValue(); err != nil {
			return nil, err
		}
		return nil, badRequest("invalid_type", "executions", "must be an array")
	}
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	var found [][]byte
	for d.PeekKind() != jsontext.KindEndArray {
		value, err := d.ReadValue()
		if err != nil {
			return nil, err
		}
		if len(found) == maxExecutions {
			return nil, errTooManyExecutions
		}
		end := int(d.InputOffset())
		found = append(found, body[end-len(value):end]) // what the decoder returns is its own
	}
	_, err := d.ReadToken()
	return found, err
}

// problemOr is the problem that an error is, or that a fault of syntax becomes.
func problemOr(err error) error {
	var p *openapi.Problem
	if errors.As(err, &p) {
		return p
	}
	return syntaxProblem(err)
}

var errTooManyExecutions = newProblem(http.StatusRequestEntityTooLarge, "too_many_executions", "",
	"a request may have at most %d executions; send the others in another one", maxExecutions)

func errNoExecutions(field string) error {
	return badRequest("no_executions", field, "there is no execution in it")
}
