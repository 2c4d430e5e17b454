package main

import (
	"fmt"
	"time"

	"github.com/watchbill/watchbill/internal/fleet"
)

// history is everything that agents and administrators saw of one deployment, in any order.
type history struct {
	id          string
	maxAttempts int
	lease       time.Duration
	events      []event
}

// event is an action on a deployment or an observation of it. It took effect at one moment between asked and answered.
type event struct {
	asked    time.Time
	answered time.Time // zero if the outcome is unknown; then it may take effect at any time after asked, or never

	// Exactly one of these is set.
	report *fleet.Report // a status report of an agent
	cancel bool          // a cancellation by an administrator
	seen   *snapshot     // an observation

	refused string // the error code of a rejected report or cancellation; empty if it was accepted
}

// snapshot is an observed state of a deployment.
type snapshot struct {
	status  fleet.Status
	attempt int
	whole   bool // whether claim and past are known
	claim   string
	past    []fleet.Attempt // the attempts superseded by retries, in order; numbers, claims and states
}

func (e event) known() bool { return !e.answered.IsZero() }

func (e event) String() string {
	what := "cancel"
	switch {
	case e.seen != nil:
		what = fmt.Sprintf("saw %s, attempt %d", e.seen.status, e.seen.attempt)
		if e.seen.whole {
			what += fmt.Sprintf(", claim %q, after %d others", e.seen.claim, len(e.seen.past))
		}
	case e.report != nil:
		what = fmt.Sprintf("report %s, attempt %d, claim %q", e.report.Status, e.report.Attempt, e.report.Claim)
		if e.report.Status == fleet.Failed && e.report.Retryable {
			what += ", retryable"
		}
	}
	const clock = "05.000000"
	switch {
	case !e.known():
		return fmt.Sprintf("%s–…: %s: not known", e.asked.Format(clock), what)
	case e.refused != "":
		what += ": " + e.refused
	case e.seen == nil:
		what += ": taken"
	}
	return fmt.Sprintf("%s–%s: %s", e.asked.Format(clock), e.answered.Format(clock), what)
}
