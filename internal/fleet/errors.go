package fleet

import (
	"fmt"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/text"
)

// Errors of the fleet.
var (
	ErrAgentNotFound      = &fault.Error{Kind: fault.NotFound, Code: "agent_not_found", Detail: "no such agent"}
	ErrAgentExists        = &fault.Error{Kind: fault.Conflict, Code: "agent_exists", Field: "id", Detail: "an agent with this id is enrolled; an admin may rotate its token"}
	ErrDeploymentNotFound = &fault.Error{Kind: fault.NotFound, Code: "deployment_not_found", Detail: "no such deployment"}
	ErrGroupNotFound      = &fault.Error{Kind: fault.NotFound, Code: "group_not_found", Detail: "no such deployment group"}

	ErrNotYours        = &fault.Error{Kind: fault.Forbidden, Code: "forbidden", Detail: "the deployment is another agent's"}
	ErrStaleAttempt    = &fault.Error{Kind: fault.Conflict, Code: "stale_attempt", Field: "attempt", Detail: "the deployment is on another attempt"}
	ErrNotDue          = &fault.Error{Kind: fault.Conflict, Code: "not_due", Detail: "the deployment waits for its retry time"}
	ErrNotClaimed      = &fault.Error{Kind: fault.Conflict, Code: "not_claimed", Field: "status", Detail: "the attempt was not claimed; report running first"}
	ErrClaimed         = &fault.Error{Kind: fault.Conflict, Code: "claimed", Field: "claim", Detail: "the attempt is claimed by another run"}
	ErrCancelled       = &fault.Error{Kind: fault.Conflict, Code: "deployment_cancelled", Detail: "the deployment was cancelled"}
	ErrFinished        = &fault.Error{Kind: fault.Conflict, Code: "deployment_finished", Detail: "the deployment is finished"}
	ErrAlreadyRecorded = &fault.Error{Kind: fault.Conflict, Code: "already_recorded", Detail: "another result is recorded for this attempt"}

	ErrLogGap  = &fault.Error{Kind: fault.Conflict, Code: "log_gap", Field: "offset", Detail: "the chunk starts after the end of what is stored"}
	ErrLogFull = &fault.Error{Kind: fault.TooLarge, Code: "log_full", Detail: "the attempt's log is at its limit"}

	ErrIdempotencyMismatch = &fault.Error{Kind: fault.Conflict, Code: "idempotency_mismatch", Field: "Idempotency-Key", Detail: "the key was used with another request"}
)

// UnknownTarget returns the error for a create request that names an agent that is not enrolled.
func UnknownTarget(id string) error {
	return &fault.Error{Kind: fault.Invalid, Code: "unknown_agent", Field: "agent_ids", Detail: "no agent " + text.Clip(id, 80) + " is enrolled"}
}

// CheckTargets returns an error unless a create request may have n agents. field is the input that selected them.
func CheckTargets(field string, n int) error {
	switch {
	case n == 0:
		return &fault.Error{Kind: fault.Invalid, Code: "no_targets", Field: field, Detail: "picks no agent"}
	case n > MaxTargets:
		return &fault.Error{Kind: fault.Invalid, Code: "too_many_targets", Field: field, Detail: fmt.Sprintf("picks %d agents; one create may have at most %d", n, MaxTargets)}
	}
	return nil
}
