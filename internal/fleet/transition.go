package fleet

import (
	"time"

	"github.com/watchbill/watchbill/internal/fault"
)

// Report is what an agent says of one attempt at a deployment. A nil pointer says nothing of that field.
type Report struct {
	Attempt   int
	Claim     string // a random string of the run's own
	Status    Status // Running, Succeeded or Failed
	Retryable bool   // of Failed: whether another attempt may help
	Progress  *float64
	Message   *string
	Output    *string
}

// Validate names the first field that a report may not have.
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

// Transition is a decided move: the deployment as it will be and what has to be written with it.
type Transition struct {
	Next       Deployment
	Superseded *Attempt // the run that a retry leaves behind; nil unless Next is a retry
	Changed    bool     // false: the report repeats what is recorded
	Delivery   bool     // the agent's set of pending deployments differs
}

// Apply decides what a report does to a deployment. superseded is the record of the report's attempt if a retry has
// left it behind, else nil. A fault means that nothing changes. backoff is asked only when a retry is due.
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

// Expire decides what becomes of a running deployment whose lease ran out: another attempt, or timed_out when none
// is left. It reports false if the lease still holds.
func (d Deployment) Expire(now time.Time, backoff Backoff) (Transition, bool) {
	if d.Status != Running || d.LeaseExpiresAt.After(now) {
		return Transition{}, false
	}
	if d.Attempt < d.MaxAttempts {
		return d.retry(TimedOut, now, backoff), true
	}
	return Transition{Next: d.finish(TimedOut, now), Changed: true}, true
}

// Cancel decides a cancellation. Cancelling what is cancelled changes nothing; what is otherwise finished stays so.
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

// note takes over what the report says of its optional fields.
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

// records says whether r repeats what is recorded for its attempt and claim: the same result, and no field that
// differs. What r leaves out it does not contradict. An attempt that was retried had failed retryably.
func (a *Attempt) records(r Report) bool {
	return a != nil && a.Number == r.Attempt && a.Claim == r.Claim && a.Status == r.Status && r.Status != Running &&
		agrees(r.Progress, a.Progress) && agrees(r.Message, a.Message) && agrees(r.Output, a.Output)
}

func agrees[T comparable](said, recorded *T) bool {
	return said == nil || recorded != nil && *said == *recorded
}
