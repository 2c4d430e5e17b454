package fleet

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

func (e *Error) with(format string, args ...any) *Error {
	return &Error{Kind: e.Kind, Code: e.Code, Field: e.Field, Detail: fmt.Sprintf(format, args...)}
}

func invalid(field, format string, args ...any) *Error {
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
	return ErrUnavailable.with(format, args...)
}

// The faults of the fleet.
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

// UnknownTarget says that a create names an agent which is not enrolled.
func UnknownTarget(id string) error {
	return &Error{Kind: Invalid, Code: "unknown_agent", Field: "agent_ids", Detail: "no agent " + clip(id) + " is enrolled"}
}

// CheckTargets says whether a create may have this many agents. field is the input that picked them.
func CheckTargets(field string, n int) error {
	switch {
	case n == 0:
		return &Error{Kind: Invalid, Code: "no_targets", Field: field, Detail: "picks no agent"}
	case n > MaxTargets:
		return &Error{Kind: Invalid, Code: "too_many_targets", Field: field, Detail: fmt.Sprintf("picks %d agents; one create may have at most %d", n, MaxTargets)}
	}
	return nil
}
