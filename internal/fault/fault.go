// Package fault defines Error, an error with a kind that an API can map to a status. Packages declare their own errors
// with it; the errors here are shared.
package fault

import "fmt"

// Kind classifies an Error, so that an API can map it to a status without knowing each error.
type Kind int

// The kinds of errors.
const (
	Invalid     Kind = iota + 1 // the request can never succeed
	NotFound                    // an object that it names does not exist
	Conflict                    // it contradicts what is recorded; nothing was changed
	TooLarge                    // it exceeds a size limit
	Forbidden                   // it concerns another caller's object
	Unavailable                 // a dependency is unreachable or fails; a retry may succeed
	Limited                     // it exceeds a rate or count limit; a retry may succeed
)

// Error is an error of the domain. errors.Is compares Codes.
type Error struct {
	Kind   Kind
	Code   string // stable, snake_case, part of the API
	Field  string // the input at fault, as a JSON path; empty if there is no single one
	Detail string // one sentence for people
}

func (e *Error) Error() string {
	if e.Field == "" {
		return e.Detail
	}
	return e.Field + ": " + e.Detail
}

// Is compares Codes, so that a detailed Error matches the sentinel that it was made from.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// With returns a copy of the error with another detail.
func (e *Error) With(format string, args ...any) *Error {
	return &Error{Kind: e.Kind, Code: e.Code, Field: e.Field, Detail: fmt.Sprintf(format, args...)}
}

// InvalidField returns an Invalid error for a field.
func InvalidField(field, format string, args ...any) *Error {
	return &Error{Kind: Invalid, Code: "invalid_field", Field: field, Detail: fmt.Sprintf(format, args...)}
}

// ErrUnavailable is returned when the database cannot be reached. Whether a write took place is then unknown; every
// write can be repeated. Errors of UnavailableBecause, for other temporary failures, match it with errors.Is.
var ErrUnavailable = &Error{Kind: Unavailable, Code: "unavailable", Detail: "the database cannot be reached; try again later"}

// ErrShuttingDown is returned when this replica is shutting down. Another replica may accept the request.
var ErrShuttingDown = UnavailableBecause("this replica is shutting down; try again")

// ErrNoResponse is returned when a deadline passes.
var ErrNoResponse = UnavailableBecause("the request timed out; try again later")

// UnavailableBecause returns a copy of ErrUnavailable with another message.
func UnavailableBecause(format string, args ...any) *Error {
	return ErrUnavailable.With(format, args...)
}
