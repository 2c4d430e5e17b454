package fleet

import (
	"time"

	"github.com/watchbill/watchbill/internal/fault"
)

// Report is an agent's status report about one attempt at a deployment. A nil pointer leaves the field unchanged.
type Report struct {
	Attempt   int
	Claim     string // the run's random string
	Status    Status // Running, Succeeded or Failed
	Retryable bool   // of Failed: whether another attempt may help
	Progress  *float64
	Message   *string
	Output    *string
}

// Validate returns an error for the first invalid field.
func (r *Report) Validate() error {
	switch {
	case r.Attempt < 1 || r.Attempt > MaxAttempts:
		return fault.InvalidField("attempt", "must be from 1 to %d", MaxAttempts)
	case r.Status != Running && r.Status != Succeeded && r.Status != Failed:
		return fault.InvalidField("status", "must be running, succeeded or failed")
	case r.Progress != nil && !(*r.Progress >= 0 && *r.Progress <= 100):
		return fault.InvalidField("progress", "must be from 0 to 100")
	}
	if err := validateText("claim", r.Claim, 1, MaxClaim); err != nil {
		return err
	}
	if r.Message != nil {
		if err := validateText("message", *r.Message, 0, MaxMessage); err != nil {
			return err
		}
	}
	if r.Output != nil {
		return validateText("output", *r.Output, 0, MaxOutput)
	}
	return nil
}

// Transition is the result of a decision: the next state of the deployment and what must be written with it.
type Transition struct {
	Next       Deployment
	Superseded *Attempt // the attempt that a retry supersedes; nil unless Next is a retry
	Changed    bool     // false if the report repeats the recorded one
	Delivery   bool     // whether the agent's set of pending deployments changes
}

// Apply returns the effect of a report on a deployment. superseded is the record of the report's attempt if a retry has
// superseded it, otherwise nil. If it returns an error nothing changes. backoff is called only if the attempt is retried.
func (d Deployment) Apply(r Report, superseded *Attempt, now time.Time, backoff Backoff) (Transition, error) {
	if r.Attempt != d.Attempt {
		if superseded.records(r) {
			return Transition{Next: d}, nil
		}
		return Transition{}, ErrStaleAttempt.With("the deployment is on attempt %d", d.Attempt)
	}
	switch d.Status {
	case Pending:
		return d.claim(r, now)
	case Running:
		return d.advance(r, now, backoff)
	case Cancelled:
		return Transition{}, ErrCancelled
	default:
		if d.current().records(r) {
			return Transition{Next: d}, nil
		}
		if r.Claim == d.Claim && r.Status != Running && d.Status != TimedOut {
			return Transition{}, ErrAlreadyRecorded.With("%s is recorded for attempt %d", d.Status, d.Attempt)
		}
		return Transition{}, ErrFinished.With("the deployment is %s", d.Status)
	}
}

func (d Deployment) claim(r Report, now time.Time) (Transition, error) {
	if r.Status != Running {
		return Transition{}, ErrNotClaimed
	}
	if d.AvailableAt.After(now) {
		return Transition{}, ErrNotDue
	}
	d.Status = Running
	d.Claim = r.Claim
	d.StartedAt = now
	d.LeaseExpiresAt = now.Add(d.Lease)
	d.note(r)
	return Transition{Next: d, Changed: true, Delivery: true}, nil
}

func (d Deployment) advance(r Report, now time.Time, backoff Backoff) (Transition, error) {
	if r.Claim != d.Claim {
		return Transition{}, ErrClaimed
	}
	d.note(r)
	switch {
	case r.Status == Running:
		d.LeaseExpiresAt = now.Add(d.Lease)
		return Transition{Next: d, Changed: true}, nil
	case r.Status == Failed && r.Retryable && d.Attempt < d.MaxAttempts:
		return d.retry(Failed, now, backoff), nil
	default:
		return Transition{Next: d.finish(r.Status, now), Changed: true}, nil
	}
}

// Expire returns the effect of an expired lease on a running deployment: another attempt, or timed_out if none is left. It
// returns false if the lease has not expired.
func (d Deployment) Expire(now time.Time, backoff Backoff) (Transition, bool) {
	if d.Status != Running || d.LeaseExpiresAt.After(now) {
		return Transition{}, false
	}
	if d.Attempt < d.MaxAttempts {
		return d.retry(TimedOut, now, backoff), true
	}
	return Transition{Next: d.finish(TimedOut, now), Changed: true}, true
}

// Cancel returns the effect of a cancellation. Cancelling a cancelled deployment changes nothing. Other finished deployments
// cannot be cancelled.
func (d Deployment) Cancel(now time.Time) (Transition, error) {
	if d.Status == Cancelled {
		return Transition{Next: d}, nil
	}
	if d.Status.Finished() {
		return Transition{}, ErrFinished.With("the deployment is %s", d.Status)
	}
	wasPending := d.Status == Pending
	return Transition{Next: d.finish(Cancelled, now), Changed: true, Delivery: wasPending}, nil
}

func (d Deployment) retry(outcome Status, now time.Time, backoff Backoff) Transition {
	past := d.current()
	past.Status, past.FinishedAt = outcome, now
	d.AvailableAt = now.Add(backoff(d.Attempt))
	d.Status = Pending
	d.Attempt++
	d.Claim = ""
	d.StartedAt, d.LeaseExpiresAt = time.Time{}, time.Time{}
	d.Progress, d.Message, d.Output = nil, nil, nil
	return Transition{Next: d, Superseded: past, Changed: true, Delivery: true}
}

func (d Deployment) finish(s Status, now time.Time) Deployment {
	d.Status = s
	d.FinishedAt = now
	d.LeaseExpiresAt = time.Time{}
	return d
}

// note sets the deployment's fields from the report's optional ones.
func (d *Deployment) note(r Report) {
	if r.Progress != nil {
		d.Progress = r.Progress
	}
	if r.Message != nil {
		d.Message = r.Message
	}
	if r.Output != nil {
		d.Output = r.Output
	}
}

func (d Deployment) current() *Attempt {
	return &Attempt{
		Number: d.Attempt, Claim: d.Claim, Status: d.Status,
		Progress: d.Progress, Message: d.Message, Output: d.Output,
		StartedAt: d.StartedAt, FinishedAt: d.FinishedAt,
	}
}

// records reports whether r repeats the record of its attempt and claim: the same result, and no different field. Fields
// missing in r do not differ. An attempt that was retried had failed retryably.
func (a *Attempt) records(r Report) bool {
	return a != nil && a.Number == r.Attempt && a.Claim == r.Claim && a.Status == r.Status && r.Status != Running &&
		agrees(r.Progress, a.Progress) && agrees(r.Message, a.Message) && agrees(r.Output, a.Output)
}

func agrees[T comparable](reported, recorded *T) bool {
	return reported == nil || recorded != nil && *reported == *recorded
}
