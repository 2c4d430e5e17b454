package fleet_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/fleet"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func backoff(attempt int) time.Duration { return time.Duration(attempt) * time.Minute }

func ptr[T any](v T) *T { return &v }

// pending returns a deployment as created; running returns it claimed by "c1".
func pending() fleet.Deployment {
	return fleet.Deployment{Status: fleet.Pending, Attempt: 1, MaxAttempts: 2, Lease: time.Minute, AvailableAt: noon, CreatedAt: noon}
}

func running() fleet.Deployment {
	d := pending()
	d.Status, d.Claim, d.StartedAt, d.LeaseExpiresAt = fleet.Running, "c1", noon, noon.Add(time.Minute)
	return d
}

func with(d fleet.Deployment, change func(*fleet.Deployment)) fleet.Deployment {
	change(&d)
	return d
}

func finished(s fleet.Status) fleet.Deployment {
	return with(running(), func(d *fleet.Deployment) { d.Status, d.FinishedAt, d.LeaseExpiresAt = s, noon, time.Time{} })
}

func TestApply(t *testing.T) {
	now := noon.Add(10 * time.Second)
	retried := with(pending(), func(d *fleet.Deployment) { d.Attempt, d.AvailableAt = 2, now.Add(time.Minute) })
	past := &fleet.Attempt{Number: 1, Claim: "c1", Status: fleet.Failed, Message: ptr("no disk"), StartedAt: noon, FinishedAt: now}

	for name, tt := range map[string]struct {
		in     fleet.Deployment
		past   *fleet.Attempt
		report fleet.Report
		want   fleet.Transition // Next only if it differs from in
		err    error
	}{
		"claim": {
			in: pending(), report: fleet.Report{Attempt: 1, Claim: "c1", Status: fleet.Running},
			want: fleet.Transition{Changed: true, Delivery: true, Next: with(running(), func(d *fleet.Deployment) {
				d.StartedAt, d.LeaseExpiresAt = now, now.Add(time.Minute)
			})},
		},
		"claim before it is due": {
			in:     with(pending(), func(d *fleet.Deployment) { d.AvailableAt = now.Add(1) }),
			report: fleet.Report{Attempt: 1, Claim: "c1", Status: fleet.Running}, err: fleet.ErrNotDue,
		},
		"claim of a past attempt": {
			in: retried, report: fleet.Report{Attempt: 1, Claim: "c1", Status: fleet.Running}, err: fleet.ErrStaleAttempt,
		},
		"claim of an attempt to come": {
			in: pending(), report: fleet.Report{Attempt: 2, Claim: "c1", Status: fleet.Running}, err: fleet.ErrStaleAttempt,
		},
		"result without a claim": {
			in: pending(), report: fleet.Report{Attempt: 1, Claim: "c1", Status: fleet.Succeeded}, err: fleet.ErrNotClaimed,
		},
		"second claim": {
			in: running(), report: fleet.Report{Attempt: 1, Claim: "c2", Status: fleet.Running}, err: fleet.ErrClaimed,
		},
		"renewal": {
			in: running(), report: fleet.Report{Attempt: 1, Claim: "c1", Status: fleet.Running, Progress: ptr(40.0)},
			want: fleet.Transition{Changed: true, Next: with(running(), func(d *fleet.Deployment) {
				d.LeaseExpiresAt, d.Progress = now.Add(time.Minute), ptr(40.0)
			})},
		},
		"success": {
			in: running(), report: fleet.Report{Attempt: 1, Claim: "c1", Status: fleet.Succeeded, Output: ptr("done")},
			want: fleet.Transition{Changed: true, Next: with(finished(fleet.Succeeded), func(d *fleet.Deployment) {
				d.FinishedAt, d.Output = now, ptr("done")
			})},
		},
		"another's success": {
			in: running(), report: fleet.Report{Attempt: 1, Claim: "c2", Status: fleet.Succeeded}, err: fleet.ErrClaimed,
		},
		"retryable failure": {
			in: running(), report: fleet.Report{Attempt: 1, Claim: "c1", Status: fleet.Failed, Retryable: true, Message: ptr("no disk")},
			want: fleet.Transition{Changed: true, Delivery: true, Next: retried, Superseded: past},
		},
		"failure that no retry can help": {
			in: running(), report: fleet.Report{Attempt: 1, Claim: "c1", Status: fleet.Failed},
			want: fleet.Transition{Changed: true, Next: with(finished(fleet.Failed), func(d *fleet.Deployment) { d.FinishedAt = now })},
		},
		"retryable failure of the last attempt": {
			in:     with(running(), func(d *fleet.Deployment) { d.Attempt = 2 }),
			report: fleet.Report{Attempt: 2, Claim: "c1", Status: fleet.Failed, Retryable: true},
			want: fleet.Transition{Changed: true, Next: with(finished(fleet.Failed), func(d *fleet.Deployment) {
				d.FinishedAt, d.Attempt = now, 2
			})},
		},
		"repeated success":                      {in: finished(fleet.Succeeded), report: fleet.Report{Attempt: 1, Claim: "c1", Status: fleet.Succeeded}},
		"repeated failure after its retry":      {in: retried, past: past, report: fleet.Report{Attempt: 1, Claim: "c1", Status: fleet.Failed, Message: ptr("no disk")}},
		"failure with another message":          {in: retried, past: past, report: fleet.Report{Attempt: 1, Claim: "c1", Status: fleet.Failed, Message: ptr("x")}, err: fleet.ErrStaleAttempt},
		"another's failure after a retry":       {in: retried, past: past, report: fleet.Report{Attempt: 1, Claim: "c2", Status: fleet.Failed}, err: fleet.ErrStaleAttempt},
		"success after its failure was retried": {in: retried, past: past, report: fleet.Report{Attempt: 1, Claim: "c1", Status: fleet.Succeeded}, err: fleet.ErrStaleAttempt},
		"failure after success":                 {in: finished(fleet.Succeeded), report: fleet.Report{Attempt: 1, Claim: "c1", Status: fleet.Failed}, err: fleet.ErrAlreadyRecorded},
		"renewal after success":                 {in: finished(fleet.Succeeded), report: fleet.Report{Attempt: 1, Claim: "c1", Status: fleet.Running}, err: fleet.ErrFinished},
		"success after the time ran out":        {in: finished(fleet.TimedOut), report: fleet.Report{Attempt: 1, Claim: "c1", Status: fleet.Succeeded}, err: fleet.ErrFinished},
		"success after a cancellation":          {in: finished(fleet.Cancelled), report: fleet.Report{Attempt: 1, Claim: "c1", Status: fleet.Succeeded}, err: fleet.ErrCancelled},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tt.in.Apply(tt.report, tt.past, now, backoff)
			if !errors.Is(err, tt.err) {
				t.Fatalf("fault: want %v, got %v", tt.err, err)
			}
			if err == nil && !tt.want.Changed {
				tt.want.Next = tt.in
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("transition (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExpire(t *testing.T) {
	late := noon.Add(time.Minute)
	if _, expired := running().Expire(late.Add(-1), backoff); expired {
		t.Error("a lease that holds was expired")
	}
	if _, expired := pending().Expire(late, backoff); expired {
		t.Error("a pending deployment was expired")
	}
	got, _ := running().Expire(late, backoff)
	if got.Next.Status != fleet.Pending || got.Next.Attempt != 2 || got.Superseded.Status != fleet.TimedOut || !got.Delivery {
		t.Errorf("first attempt: want a second one, got %+v", got)
	}
	last := with(running(), func(d *fleet.Deployment) { d.Attempt = 2 })
	if got, _ := last.Expire(late, backoff); got.Next.Status != fleet.TimedOut || got.Superseded != nil || got.Delivery {
		t.Errorf("last attempt: want timed_out, got %+v", got)
	}
}

func TestCancel(t *testing.T) {
	for _, tt := range []struct {
		in       fleet.Deployment
		changed  bool
		delivery bool
		err      error
	}{
		{in: pending(), changed: true, delivery: true},
		{in: running(), changed: true},
		{in: finished(fleet.Cancelled)},
		{in: finished(fleet.Succeeded), err: fleet.ErrFinished},
		{in: finished(fleet.TimedOut), err: fleet.ErrFinished},
	} {
		t.Run(fmt.Sprint(tt.in.Status), func(t *testing.T) {
			got, err := tt.in.Cancel(noon)
			if !errors.Is(err, tt.err) || got.Changed != tt.changed || got.Delivery != tt.delivery {
				t.Errorf("want changed %v, delivery %v, fault %v; got %+v, %v", tt.changed, tt.delivery, tt.err, got, err)
			}
			if err == nil && got.Next.Status != fleet.Cancelled {
				t.Errorf("want cancelled, got %s", got.Next.Status)
			}
		})
	}
}
