package ingest

import (
	"bytes"
	"errors"
	"io"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/server/input"
	"github.com/watchbill/watchbill/internal/server/problem"
)

// Limits of a request, and the media type of one execution per line.
const (
	MaxBody       = 8 << 20 // bytes
	MaxExecutions = 1000

	NDJSON = "application/x-ndjson"
)

// split returns the executions in a body, undecoded. Each is checked later, independently of the others.
func split(body []byte, mediaType string) ([][]byte, error) {
	if mediaType == NDJSON {
		return splitLines(body)
	}
	return splitExecutions(body)
}

// splitLines returns the executions of an NDJSON body. It ignores blank lines.
func splitLines(body []byte) ([][]byte, error) {
	var found [][]byte
	for line := range bytes.SplitSeq(body, []byte("\n")) {
		if line = bytes.Trim(line, " \t\r"); len(line) == 0 {
			continue
		}
		if len(found) == MaxExecutions {
			return nil, errTooManyExecutions
		}
		found = append(found, line)
	}
	if len(found) == 0 {
		return nil, errNoExecutions("")
	}
	return found, nil
}

// splitExecutions returns the executions of a JSON body: the elements of its member executions, or the body itself if
// it has none. It checks only what surrounds them: duplicate members and invalid UTF-8 within one fail only that one.
func splitExecutions(body []byte) ([][]byte, error) {
	if len(bytes.TrimLeft(body, " \t\r\n")) == 0 {
		return nil, problem.BadRequest("malformed_json", "", "the body is empty; it must be a JSON object")
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	start, err := d.ReadToken()
	switch {
	case err != nil:
		return nil, input.SyntaxProblem(err)
	case start.Kind() != jsontext.KindBeginObject:
		return nil, problem.BadRequest("invalid_type", "", "the body must be a JSON object")
	}
	var (
		found  [][]byte
		listed bool   // the member executions was found
		other  string // the first other member
		others bool
	)
	for d.PeekKind() == jsontext.KindString {
		name, err := d.ReadToken()
		if err != nil {
			return nil, input.SyntaxProblem(err)
		}
		switch isList := name.String() == "executions"; {
		case isList && listed:
			return nil, problem.BadRequest("duplicate_field", "executions", "is duplicated")
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
		return nil, input.SyntaxProblem(err)
	}
	_, err = d.ReadToken()
	switch {
	case !errors.Is(err, io.EOF):
		return nil, problem.BadRequest("trailing_data", "", "there is more after the JSON object")
	case !listed:
		return [][]byte{bytes.Trim(body, " \t\r\n")}, nil
	case others:
		return nil, problem.BadRequest("unknown_field", fieldName(other), "is not a field of this request")
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
		return nil, problem.BadRequest("invalid_type", "executions", "must be an array")
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
		if len(found) == MaxExecutions {
			return nil, errTooManyExecutions
		}
		end := int(d.InputOffset())
		found = append(found, body[end-len(value):end]) // not the decoder's copy
	}
	_, err := d.ReadToken()
	return found, err
}

// problemOr returns the problem that err is, or the one for a syntax error.
func problemOr(err error) error {
	var p *openapi.Problem
	if errors.As(err, &p) {
		return p
	}
	return input.SyntaxProblem(err)
}

var errTooManyExecutions = problem.New(http.StatusRequestEntityTooLarge, "too_many_executions", "",
	"a request may have at most %d executions; send the others in another one", MaxExecutions)

func errNoExecutions(field string) error {
	return problem.BadRequest("no_executions", field, "the request has no execution")
}
