// Package input reads what clients send: queries, cursors of lists, and JSON bodies, which are checked strictly.
package input

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/server/problem"
)

// Query reads a request's query parameters, each at most once, and keeps the first error. Done rejects parameters that
// were not read.
type Query struct {
	values url.Values
	err    error
}

// ParseQuery parses a query string.
func ParseQuery(raw string) Query {
	var q Query
	if raw == "" {
		return q
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		q.err = problem.BadRequest("malformed_query", "", "the query string is malformed")
	}
	q.values = values
	return q
}

// Hide removes a parameter, which Done then does not reject.
func (q *Query) Hide(name string) { delete(q.values, name) }

// Has reports whether a parameter is given and not read yet.
func (q *Query) Has(name string) bool {
	_, given := q.values[name]
	return given
}

// Text removes and returns a parameter. given is false if it is missing.
func (q *Query) Text(name string) (value string, given bool) {
	values, given := q.values[name]
	if !given {
		return "", false
	}
	delete(q.values, name)
	if len(values) > 1 {
		q.Fault("repeated_parameter", name, "must be given once")
	}
	return values[0], true
}

// Integer reads a whole number from minimum to limit, which defaults to otherwise.
func (q *Query) Integer(name string, otherwise, minimum, limit int64) int64 {
	text, given := q.Text(name)
	if !given {
		return otherwise
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < minimum || n > limit {
		q.Fault("invalid_parameter", name, "must be a whole number from %d to %d", minimum, limit)
	}
	return n
}

// Required is like integer for a required parameter.
func (q *Query) Required(name string, minimum, limit int64) int64 {
	if _, given := q.values[name]; !given {
		q.Fault("missing_parameter", name, "is required: a whole number from %d to %d", minimum, limit)
	}
	return q.Integer(name, 0, minimum, limit)
}

// OneOf reads one of the words. It returns "" if the parameter is missing.
func OneOf[T ~string](q *Query, name string, words ...T) T {
	return Parsed(q, name, func(s string) (T, bool) { return T(s), slices.Contains(words, T(s)) }, words...)
}

// Parsed reads one of the words in any spelling that parse accepts. It returns "" if the parameter is missing.
func Parsed[T ~string](q *Query, name string, parse func(string) (T, bool), words ...T) T {
	text, given := q.Text(name)
	if !given {
		return ""
	}
	word, ok := parse(text)
	if !ok {
		all := make([]string, len(words))
		for i, word := range words {
			all[i] = string(word)
		}
		q.Fault("invalid_parameter", name, "must be one of %s", strings.Join(all, ", "))
	}
	return word
}

// Limit reads the maximum number of entries of a page.
func (q *Query) Limit() int { return q.LimitOr(50) }

// LimitOr is like limit with another default.
func (q *Query) LimitOr(otherwise int64) int { return int(q.Integer("limit", otherwise, 1, 500)) }

// Fault keeps a 400 that names the parameter, unless the query has an earlier error.
func (q *Query) Fault(code, name, format string, args ...any) {
	q.Keep(problem.BadRequest(code, name, format, args...))
}

// Keep keeps err, unless the query has an earlier error.
func (q *Query) Keep(err error) {
	if q.err == nil {
		q.err = err
	}
}

// Done returns the first error, or one for a parameter that was not read.
func (q *Query) Done() error {
	if q.err == nil && len(q.values) > 0 {
		names := make([]string, 0, len(q.values))
		for name := range q.values {
			names = append(names, name)
		}
		q.Fault("unknown_parameter", problem.Clip(slices.Min(names)), "is not a parameter of this endpoint")
	}
	return q.err
}

// UUID reads an id. It returns uuid.Nil if the parameter is missing.
func (q *Query) UUID(name string) uuid.UUID {
	text, given := q.Text(name)
	if !given {
		return uuid.Nil
	}
	id, ok := ParseUUID(text)
	if !ok {
		q.Fault("invalid_parameter", name, "must be a UUID")
	}
	return id
}

// ParseUUID accepts only the spelling that the server uses in responses; the library accepts others too.
func ParseUUID(text string) (uuid.UUID, bool) {
	id, err := uuid.Parse(text)
	return id, err == nil && len(text) == len(uuid.Nil.String())
}

// CheckUserID returns an error if an id cannot be that of a user.
func CheckUserID(id string) error {
	switch {
	case id == "":
		return problem.BadRequest("missing_field", "user_id", "is required")
	case len(id) > execution.MaxUser || !utf8.ValidString(id) || strings.ContainsFunc(id, unicode.IsControl):
		return problem.BadRequest("invalid_field", "user_id", "must be at most %d bytes of UTF-8 without control characters", execution.MaxUser)
	}
	return nil
}
