package main

import (
	"fmt"
	"time"

	"github.com/watchbill/watchbill/internal/fleet"
)

// history is all that was seen of one deployment, by agents and by admins, in any order.
type history struct {
	id          string
	maxAttempts int
	lease       time.Duration
	events      []event
}

// event is something that one party did to a deployment or saw of it. It took effect at one moment of asked to answered.
type event struct {
	asked    time.Time
	answered time.Time // zero: the answer is not known; it may take effect at any time from asked on, or never

	// One of these is set.
	report *fleet.Report // an agent reported
	cancel bool          // an admin cancelled
	saw    *sight        // somebody looked

	refused string // the code of the refusal of a report or a cancellation; empty: it was taken
}

// sight is what somebody saw of a deployment.
type sight struct {
	status  fleet.Status
	attempt int
	whole   bool // claim and past were seen too
	claim   string
	past    []fleet.Attempt // what retries have superseded, in order; numbers, claims and states
}

func (e event) known() bool { return !e.answered.IsZero() }

func (e event) String() string {
	what := "cancel"
	switch {
	case e.saw != nil:
		what = fmt.Sprintf("saw %s, attempt %d", e.saw.status, e.saw.attempt)
		if e.saw.whole {
			what += fmt.Sprintf(", claim %q, after %d others", e.saw.claim, len(e.saw.past))
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
	case e.saw == nil:
		what += ": taken"
	}
	return fmt.Sprintf("%s–%s: %s", e.asked.Format(clock), e.answered.Format(clock), what)
}
