// Package fault has the errors that packages share, each with a kind, so that an edge can answer it in its own terms. A
// package declares its own faults; those here are for any.
package fault

import "fmt"

// Kind says what sort of fault an Error is, so that an edge can answer it in its own terms without knowing each one.
type Kind int

// The kinds of fault.
const (
	Invalid     Kind = iota + 1 // the request can never succeed as it stands
	NotFound                    // what it names does not exist
	Conflict                    // it contradicts what is recorded; nothing was changed
	TooLarge                    // it is more than we keep
	Forbidden                   // it is another's
	Unavailable                 // what is needed to answer cannot be reached or fails; the same request may succeed later
	Limited                     // it is one too many; the same request may succeed later
)

// Error is a fault of the domain. Two Errors are the same for errors.Is when their Codes are.
type Error struct {
	Kind   Kind
	Code   string // stable, snake_case, part of the API
	Field  string // the input at fault, as a JSON path; empty where there is no single one
	Detail string // one sentence for a person
}

func (e *Error) Error() string {
	if e.Field == "" {
		return e.Detail
	}
	return e.Field + ": " + e.Detail
}

// Is matches by Code, so that a detailed Error is still the sentinel it was made from.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// With returns the fault with another detail.
func (e *Error) With(format string, args ...any) *Error {
	return &Error{Kind: e.Kind, Code: e.Code, Field: e.Field, Detail: fmt.Sprintf(format, args...)}
}

// InvalidField returns an Invalid fault of the field.
func InvalidField(field, format string, args ...any) *Error {
	return &Error{Kind: Invalid, Code: "invalid_field", Field: field, Detail: fmt.Sprintf(format, args...)}
}

// ErrUnavailable says that the database cannot be reached. Whether a write took place is then unknown; every write may be
// repeated. What fails for another reason that may pass is UnavailableBecause of that, and the same for errors.Is.
var ErrUnavailable = &Error{Kind: Unavailable, Code: "unavailable", Detail: "the database cannot be reached; try again later"}

// ErrShuttingDown says that this replica takes nothing more; another one does.
var ErrShuttingDown = UnavailableBecause("this replica is shutting down; try again")

// ErrNoAnswer says that the answer took too long.
var ErrNoAnswer = UnavailableBecause("there was no answer in time; try again later")

// UnavailableBecause returns an ErrUnavailable that tells clients another reason.
func UnavailableBecause(format string, args ...any) *Error {
	return ErrUnavailable.With(format, args...)
}
