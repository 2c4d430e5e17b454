package server

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/server/problem"
)

// query reads a request's query parameters, each at most once, and keeps the first error. done rejects parameters that
// were not read.
type query struct {
	values url.Values
	err    error
}

// query parses the request's query string. It hides admin_token from endpoints.
func (x *exchange) query() query {
	var q query
	if x.r.URL.RawQuery == "" {
		return q
	}
	values, err := url.ParseQuery(x.r.URL.RawQuery)
	if err != nil {
		q.err = problem.BadRequest("malformed_query", "", "the query string is malformed")
	}
	delete(values, adminTokenParameter)
	q.values = values
	return q
}

// noQuery rejects any parameter.
func (x *exchange) noQuery() error {
	q := x.query()
	return q.done()
}

// text removes and returns a parameter. given is false if it is missing.
func (q *query) text(name string) (value string, given bool) {
	values, given := q.values[name]
	if !given {
		return "", false
	}
	delete(q.values, name)
	if len(values) > 1 {
		q.fault("repeated_parameter", name, "must be given once")
	}
	return values[0], true
}

// integer reads a whole number from minimum to limit, which defaults to otherwise.
func (q *query) integer(name string, otherwise, minimum, limit int64) int64 {
	text, given := q.text(name)
	if !given {
		return otherwise
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < minimum || n > limit {
		q.fault("invalid_parameter", name, "must be a whole number from %d to %d", minimum, limit)
	}
	return n
}

// required is like integer for a required parameter.
func (q *query) required(name string, minimum, limit int64) int64 {
	if _, given := q.values[name]; !given {
		q.fault("missing_parameter", name, "is required: a whole number from %d to %d", minimum, limit)
	}
	return q.integer(name, 0, minimum, limit)
}

// oneOf reads one of the words. It returns "" if the parameter is missing.
func oneOf[T ~string](q *query, name string, words ...T) T {
	text, given := q.text(name)
	if given && !slices.Contains(words, T(text)) {
		all := make([]string, len(words))
		for i, word := range words {
			all[i] = string(word)
		}
		q.fault("invalid_parameter", name, "must be one of %s", strings.Join(all, ", "))
	}
	return T(text)
}

// limit reads the maximum number of entries of a page.
func (q *query) limit() int { return q.limitOr(50) }

// limitOr is like limit with another default.
func (q *query) limitOr(otherwise int64) int { return int(q.integer("limit", otherwise, 1, 500)) }

func (q *query) fault(code, name, format string, args ...any) {
	q.keep(problem.BadRequest(code, name, format, args...))
}

func (q *query) keep(err error) {
	if q.err == nil {
		q.err = err
	}
}

// done returns the first error, or one for a parameter that was not read.
func (q *query) done() error {
	if q.err == nil && len(q.values) > 0 {
		names := make([]string, 0, len(q.values))
		for name := range q.values {
			names = append(names, name)
		}
		q.fault("unknown_parameter", problem.Clip(slices.Min(names)), "is not a parameter of this endpoint")
	}
	return q.err
}

// namespacePattern matches a DNS label as Kubernetes defines it.
var namespacePattern = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// namespace reads the name of a Kubernetes namespace. It returns "" if the parameter is missing.
func (q *query) namespace(name string) string {
	text, given := q.text(name)
	if given && !namespacePattern.MatchString(text) {
		q.fault("invalid_parameter", name, "must be the name of a Kubernetes namespace")
	}
	return text
}

// reportName reads a report's name. It returns "" if the parameter is missing.
func (q *query) reportName(name string) string {
	text, given := q.text(name)
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) }
	if n := utf8.RuneCountInString(text); given && (n < 1 || n > 100 || !utf8.ValidString(text) || strings.ContainsFunc(text, unprintable)) {
		q.fault("invalid_parameter", name, "must be the name of a report: 1 to 100 characters that can be printed")
	}
	return text
}

// uuid reads an id. It returns uuid.Nil if the parameter is missing.
func (q *query) uuid(name string) uuid.UUID {
	text, given := q.text(name)
	if !given {
		return uuid.Nil
	}
	id, ok := parseUUID(text)
	if !ok {
		q.fault("invalid_parameter", name, "must be a UUID")
	}
	return id
}

// parseUUID accepts only the spelling that the server uses in responses; the library accepts others too.
func parseUUID(text string) (uuid.UUID, bool) {
	id, err := uuid.Parse(text)
	return id, err == nil && len(text) == len(uuid.Nil.String())
}

// agentID reads the agent id in the path.
func (x *exchange) agentID() (string, error) {
	if err := fleet.ValidateAgentID("agent_id", x.param); err != nil {
		return "", err
	}
	return x.param, nil
}

// userID reads the user id in the path.
func (x *exchange) userID() (string, error) { return x.param, checkUserID(x.param) }

// id reads the UUID in the path. field is its name in errors.
func (x *exchange) id(field string) (uuid.UUID, error) {
	id, ok := parseUUID(x.param)
	if !ok {
		return uuid.UUID{}, problem.BadRequest("invalid_field", field, "must be a UUID")
	}
	return id, nil
}

// header reads a header that may be given once. given is false if it is missing.
func (x *exchange) header(name string) (value string, given bool, err error) {
	values := x.r.Header[http.CanonicalHeaderKey(name)]
	switch len(values) {
	case 0:
		return "", false, nil
	case 1:
		return values[0], true, nil
	default:
		return "", true, problem.BadRequest("repeated_parameter", name, "must be given once")
	}
}
