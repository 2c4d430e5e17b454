package postgres_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/fleet"
)

// oneOfEach creates deployments for the agent: one each pending, running, succeeded, failed and cancelled.
func (r *replica) oneOfEach(t tester, agent string) map[fleet.Status]uuid.UUID {
	t.Helper()
	made := map[fleet.Status]uuid.UUID{}
	for _, status := range []fleet.Status{fleet.Pending, fleet.Running, fleet.Succeeded, fleet.Failed, fleet.Cancelled} {
		id := r.createOne(t, agent)
		made[status] = id
		switch status {
		case fleet.Running:
			r.report(t, agent, id, saying(fleet.Running, 1, "c"))
		case fleet.Succeeded, fleet.Failed:
			r.report(t, agent, id, saying(fleet.Running, 1, "c"))
			r.report(t, agent, id, saying(status, 1, "c"))
		case fleet.Cancelled:
			if _, err := r.deployments.Cancel(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
	}
	return made
}

func TestListDeployments(t *testing.T) {
	t.Parallel()
	_, r := newFleet(t, "a", "b")
	ofA, ofB := r.oneOfEach(t, "a"), r.oneOfEach(t, "b")
	newest := func(made map[fleet.Status]uuid.UUID) []uuid.UUID {
		return []uuid.UUID{made[fleet.Cancelled], made[fleet.Failed], made[fleet.Succeeded], made[fleet.Running], made[fleet.Pending]}
	}
	all := append(newest(ofB), newest(ofA)...)
	for name, tt := range map[string]struct {
		agent  string
		status fleet.Status
		before uuid.UUID
		limit  int
		want   []uuid.UUID
	}{
		"all":                    {before: uuid.Max, limit: 100, want: all},
		"the first page":         {before: uuid.Max, limit: 3, want: all[:3]},
		"the second page":        {before: all[2], limit: 3, want: all[3:6]},
		"the last page":          {before: all[8], limit: 3, want: all[9:]},
		"beyond the last page":   {before: all[9], limit: 3},
		"an agent's":             {agent: "a", before: uuid.Max, limit: 100, want: newest(ofA)},
		"an agent's second page": {agent: "b", before: all[1], limit: 2, want: all[2:4]},
		"nobody's":               {agent: "c", before: uuid.Max, limit: 100},
		"a status":               {status: fleet.Running, before: uuid.Max, limit: 100, want: []uuid.UUID{ofB[fleet.Running], ofA[fleet.Running]}},
		"a status, next page":    {status: fleet.Running, before: ofB[fleet.Running], limit: 100, want: []uuid.UUID{ofA[fleet.Running]}},
		"an agent's status":      {agent: "a", status: fleet.Failed, before: uuid.Max, limit: 100, want: []uuid.UUID{ofA[fleet.Failed]}},
		"a status nothing has":   {status: fleet.TimedOut, before: uuid.Max, limit: 100},
	} {
		found, err := r.deployments.List(t.Context(), fleet.DeploymentFilter{AgentID: tt.agent, Status: tt.status}, tt.before, tt.limit)
		if err != nil {
			t.Fatal(err)
		}
		var got []uuid.UUID
		for _, d := range found {
			got = append(got, d.ID)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestGroup(t *testing.T) {
	t.Parallel()
	_, r := newFleet(t, "a", "b", "c", "d")
	made := r.create(t, order("a", "b", "c", "d"))
	r.createOne(t, "a") // in another group
	r.report(t, "a", made.Deployments[0].ID, saying(fleet.Running, 1, "c"))
	r.report(t, "b", made.Deployments[1].ID, saying(fleet.Running, 1, "c"))
	r.report(t, "b", made.Deployments[1].ID, saying(fleet.Succeeded, 1, "c"))
	r.noted()

	want := fleet.Group{
		ID: made.ID, Name: "upgrade", CreatedAt: made.Deployments[0].CreatedAt,
		Counts: map[fleet.Status]int64{fleet.Running: 1, fleet.Succeeded: 1, fleet.Pending: 2},
	}
	got, err := r.deployments.Group(t.Context(), made.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}

	want.Counts = map[fleet.Status]int64{fleet.Succeeded: 1, fleet.Cancelled: 3}
	for i, notified := range [][]string{{"a", "c", "d"}, nil} { // the second time is a no-op
		got, err := r.deployments.CancelGroup(t.Context(), made.ID)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("cancelled %d times (-want +got):\n%s", i+1, diff)
		}
		if diff := cmp.Diff(notified, r.noted()); diff != "" {
			t.Errorf("cancelled %d times: told of changes (-want +got):\n%s", i+1, diff)
		}
	}
	if found, _ := r.deployments.Pending(t.Context(), "a"); len(found.Due) != 1 {
		t.Errorf("want the other group's deployment untouched, got %v", found)
	}
	_, ofNone := r.deployments.Group(t.Context(), uuid.Max)
	_, cancelNone := r.deployments.CancelGroup(t.Context(), uuid.Max)
	if !errors.Is(ofNone, fleet.ErrGroupNotFound) || !errors.Is(cancelNone, fleet.ErrGroupNotFound) {
		t.Errorf("want %v, got %v and %v", fleet.ErrGroupNotFound, ofNone, cancelNone)
	}
}

func TestPastAttempts(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t, "a")
	id := r.createOne(t, "a")
	failed := saying(fleet.Failed, 1, "c1", retryably, func(r *fleet.Report) {
		r.Progress, r.Message, r.Output = ptr(12.5), ptr("no disk"), ptr("df: 0")
	})
	claimed := r.report(t, "a", id, saying(fleet.Running, 1, "c1"))
	retry := r.report(t, "a", id, failed)
	db.retryComesDue(t, id)
	r.report(t, "a", id, saying(fleet.Running, 2, "c2", func(r *fleet.Report) { r.Progress = ptr(1.0) }))
	db.leaseRunsOut(t, id)
	if got := r.expireLeases(t); got != 1 {
		t.Fatalf("want one lease expired, got %d", got)
	}

	got, attempts, err := r.deployments.Deployment(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if got.Status != fleet.Pending || got.Attempt != 3 || got.Claim != "" || got.Progress != nil || got.Message != nil || got.Output != nil || !got.StartedAt.IsZero() {
		t.Errorf("want a third attempt without a past, got %+v", got)
	}
	if len(attempts) != 2 {
		t.Fatalf("want two attempts of the past, got %v", attempts)
	}
	first := fleet.Attempt{
		Number: 1, Claim: "c1", Status: fleet.Failed, Progress: failed.Progress, Message: failed.Message, Output: failed.Output,
		StartedAt: claimed.StartedAt, FinishedAt: retry.AvailableAt.Add(-retryAfter),
	}
	if diff := cmp.Diff(first, attempts[0]); diff != "" {
		t.Errorf("first attempt (-want +got):\n%s", diff)
	}
	if second := attempts[1]; second.Number != 2 || second.Claim != "c2" || second.Status != fleet.TimedOut || *second.Progress != 1 || second.Message != nil {
		t.Errorf("second attempt: got %+v", second)
	}
	if wait := got.AvailableAt.Sub(attempts[1].FinishedAt); wait != retryAfter {
		t.Errorf("want the third after %s, got %s", retryAfter, wait)
	}
}

// TestNotifiedAgents checks that only changes of an agent's pending set are
// announced: to this replica at once, to the others by their sweeps.
func TestNotifiedAgents(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t, "a")
	id := r.createOne(t, "a")
	r.noted()
	for _, step := range []struct {
		what     string
		do       func()
		notified bool
	}{
		{"claim", func() { r.report(t, "a", id, saying(fleet.Running, 1, "c")) }, true},
		{"renewal", func() { r.report(t, "a", id, saying(fleet.Running, 1, "c")) }, false},
		{"failure to be retried", func() { r.report(t, "a", id, saying(fleet.Failed, 1, "c", retryably)) }, true},
		{"the same again", func() { r.report(t, "a", id, saying(fleet.Failed, 1, "c", retryably)) }, false},
		{"second claim", func() { db.retryComesDue(t, id); r.report(t, "a", id, saying(fleet.Running, 2, "c")) }, true},
		{"no lease to expire", func() { r.expireLeases(t) }, false},
		{"expiry", func() { db.leaseRunsOut(t, id); r.expireLeases(t) }, true},
		{"third claim", func() { db.retryComesDue(t, id); r.report(t, "a", id, saying(fleet.Running, 3, "c")) }, true},
		{"success", func() { r.report(t, "a", id, saying(fleet.Succeeded, 3, "c")) }, false},
		{"refusal", func() { _, _ = r.deployments.Cancel(t.Context(), id) }, false},
		{"log", func() { _, _ = r.deployments.AppendLog(t.Context(), "a", id, 3, 0, []byte("x")) }, false},
	} {
		was := ask[string](t, db, `SELECT changed_xid::text FROM deployments`)
		step.do()
		notified, swept := len(r.noted()) > 0, ask[string](t, db, `SELECT changed_xid::text FROM deployments`) != was
		if notified != step.notified || swept != step.notified {
			t.Errorf("%s: want it told %v, got %v, and by sweeps %v", step.what, step.notified, notified, swept)
		}
	}
}

func TestExpiryIsBatched(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t, "a")
	for range 5 {
		id := r.createOne(t, "a")
		r.report(t, "a", id, saying(fleet.Running, 1, "c"))
		db.leaseRunsOut(t, id)
	}
	for _, want := range []int{2, 2, 1, 0} {
		got, err := r.deployments.ExpireLeases(t.Context(), 2)
		if err != nil || got != want {
			t.Errorf("want %d expired, got %d, %v", want, got, err)
		}
	}
}
