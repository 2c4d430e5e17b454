package fleet

import "fmt"

// Kind classifies an Error, so that an API can map it to a status without knowing each error.
type Kind int

// The kinds of fault.
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

func (e *Error) with(format string, args ...any) *Error {
	return &Error{Kind: e.Kind, Code: e.Code, Field: e.Field, Detail: fmt.Sprintf(format, args...)}
}

func invalid(field, format string, args ...any) *Error {
	return &Error{Kind: Invalid, Code: "invalid_field", Field: field, Detail: fmt.Sprintf(format, args...)}
}

// ErrUnavailable is returned when the database cannot be reached. Whether a write took place is then unknown; every write
// may be repeated. Other temporary failures are made by UnavailableBecause and match ErrUnavailable by errors.Is.
var ErrUnavailable = &Error{Kind: Unavailable, Code: "unavailable", Detail: "the database cannot be reached; try again later"}

// ErrShuttingDown is returned when this replica is shutting down. Another replica may accept the request.
var ErrShuttingDown = UnavailableBecause("this replica is shutting down; try again")

// ErrNoAnswer is returned when a deadline passed.
var ErrNoAnswer = UnavailableBecause("there was no answer in time; try again later")

// UnavailableBecause returns an ErrUnavailable with another message.
func UnavailableBecause(format string, args ...any) *Error {
	return ErrUnavailable.with(format, args...)
}

// Errors of the fleet.
var (
	ErrAgentNotFound      = &Error{Kind: NotFound, Code: "agent_not_found", Detail: "no such agent"}
	ErrAgentExists        = &Error{Kind: Conflict, Code: "agent_exists", Field: "id", Detail: "an agent with this id is enrolled; an admin may rotate its token"}
	ErrDeploymentNotFound = &Error{Kind: NotFound, Code: "deployment_not_found", Detail: "no such deployment"}
	ErrGroupNotFound      = &Error{Kind: NotFound, Code: "group_not_found", Detail: "no such deployment group"}

	ErrNotYours        = &Error{Kind: Forbidden, Code: "forbidden", Detail: "the deployment is another agent's"}
	ErrStaleAttempt    = &Error{Kind: Conflict, Code: "stale_attempt", Field: "attempt", Detail: "the deployment is on another attempt"}
	ErrNotDue          = &Error{Kind: Conflict, Code: "not_due", Detail: "the deployment waits for its retry time"}
	ErrNotClaimed      = &Error{Kind: Conflict, Code: "not_claimed", Field: "status", Detail: "the attempt was not claimed; report running first"}
	ErrClaimed         = &Error{Kind: Conflict, Code: "claimed", Field: "claim", Detail: "the attempt is claimed by another run"}
	ErrCancelled       = &Error{Kind: Conflict, Code: "deployment_cancelled", Detail: "the deployment was cancelled"}
	ErrFinished        = &Error{Kind: Conflict, Code: "deployment_finished", Detail: "the deployment is finished"}
	ErrAlreadyRecorded = &Error{Kind: Conflict, Code: "already_recorded", Detail: "another result is recorded for this attempt"}

	ErrLogGap  = &Error{Kind: Conflict, Code: "log_gap", Field: "offset", Detail: "the chunk starts after the end of what is stored"}
	ErrLogFull = &Error{Kind: TooLarge, Code: "log_full", Detail: "the attempt's log is at its limit"}

	ErrIdempotencyMismatch = &Error{Kind: Conflict, Code: "idempotency_mismatch", Field: "Idempotency-Key", Detail: "the key was used with another request"}
)

// UnknownTarget returns the error for a create that names an agent that is not enrolled.
func UnknownTarget(id string) error {
	return &Error{Kind: Invalid, Code: "unknown_agent", Field: "agent_ids", Detail: "no agent " + clip(id) + " is enrolled"}
}

// CheckTargets returns an error unless a create may have n agents. field is the input that selected them.
func CheckTargets(field string, n int) error {
	switch {
	case n == 0:
		return &Error{Kind: Invalid, Code: "no_targets", Field: field, Detail: "picks no agent"}
	case n > MaxTargets:
		return &Error{Kind: Invalid, Code: "too_many_targets", Field: field, Detail: fmt.Sprintf("picks %d agents; one create may have at most %d", n, MaxTargets)}
	}
	return nil
}
