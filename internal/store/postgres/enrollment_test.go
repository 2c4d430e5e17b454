package postgres_test

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/fleet/mailbox"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

func enrolledBy(fingerprint string) func(*fleet.Agent) {
	return func(a *fleet.Agent) { a.EnrolledBy = fingerprint }
}

func TestEnrolmentsOfATokenAreLimited(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	replicas := []*replica{newReplica(t, postgres.Config{URL: db.url}), newReplica(t, postgres.Config{URL: db.url})}
	enroll := func(r *replica, id, by string, limit int) error {
		_, err := r.agents.Enroll(t.Context(), agent(id, enrolledBy(by)), fleet.HashToken(id), limit)
		return err
	}
	const limit = 5
	var enrolled, full atomic.Int64
	var all errgroup.Group
	for i := range 20 {
		all.Go(func() error {
			switch err := enroll(replicas[i%2], fmt.Sprint("a", i), "t1", limit); {
			case err == nil:
				enrolled.Add(1)
			case errors.Is(err, fleet.ErrEnrollmentFull):
				full.Add(1)
			default:
				return err
			}
			return nil
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	if enrolled.Load() != limit || full.Load() != 20-limit {
		t.Errorf("want %d enrolled, got %d; %d refused", limit, enrolled.Load(), full.Load())
	}
	if err := enroll(replicas[0], "b", "t2", limit); err != nil {
		t.Errorf("another token: %v", err)
	}
	if got, err := replicas[0].agents.Agent(t.Context(), "b"); err != nil || got.EnrolledBy != "t2" {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := replicas[1].agents.DeleteAgent(t.Context(), ask[string](t, db, "SELECT min(id) FROM agents WHERE enrolled_by = 't1'")); err != nil {
		t.Fatal(err)
	}
	if err := enroll(replicas[0], "again", "t1", limit); err != nil {
		t.Errorf("after one was deleted: %v", err)
	}
	if err := enroll(replicas[0], "again", "t2", limit); !errors.Is(err, fleet.ErrAgentExists) {
		t.Errorf("an id that exists: got %v", err)
	}
	if err := enroll(replicas[0], "one too many", "t1", limit); !errors.Is(err, fleet.ErrEnrollmentFull) {
		t.Errorf("one too many: got %v", err)
	}
}

// TestLargeEnrolmentLimit checks that a large limit is
// enforced, although enrollments far below it are not all counted.
func TestLargeEnrolmentLimit(t *testing.T) {
	t.Parallel()
	db := newDatabase(t)
	r := newReplica(t, postgres.Config{URL: db.url})
	const limit, seeded = 1500, 450
	db.exec(t, `INSERT INTO agents (id, name, token_hash, poll_interval_seconds, enrolled_by)
		SELECT 'seeded' || n, 'x', sha256(n::text::bytea), 10, 't1' FROM generate_series(1, $1::int) n`, seeded)
	var all errgroup.Group
	all.SetLimit(8)
	var enrolled atomic.Int64
	for i := range limit - seeded + 50 {
		all.Go(func() error {
			_, err := r.agents.Enroll(t.Context(), agent(fmt.Sprint("a", i), enrolledBy("t1")), fleet.HashToken(fmt.Sprint("a", i)), limit)
			if err == nil {
				enrolled.Add(1)
			}
			if errors.Is(err, fleet.ErrEnrollmentFull) {
				err = nil
			}
			return err
		})
	}
	if err := all.Wait(); err != nil || enrolled.Load() != limit-seeded {
		t.Errorf("want %d enrolled, got %d, %v", limit-seeded, enrolled.Load(), err)
	}
}

func TestNeverPolledAgentsAreDeleted(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t, "an admin's")
	for _, id := range []string{"unseen", "polled", "expected", "new"} {
		r.enroll(t, agent(id, enrolledBy("t1")))
	}
	r.saw(t, mailbox.Sighting{ID: "polled", Interval: 10 * time.Second})
	r.createOne(t, "expected")
	db.exec(t, `UPDATE agents SET registered_at = now() - interval '25 hours' WHERE id <> 'new'`)
	before := r.sweep(t, "", newSink())

	r.cleanUp(t, time.Now(), postgres.Retention{UnseenAgents: 0})
	r.cleanUp(t, time.Now(), postgres.Retention{UnseenAgents: 26 * time.Hour})
	if got := ask[int](t, db, "SELECT count(*) FROM agents"); got != 5 {
		t.Errorf("too early: want 5 agents, got %d", got)
	}
	r.cleanUp(t, time.Now(), postgres.Retention{UnseenAgents: 24 * time.Hour})
	views, err := r.agents.Agents(t.Context(), "", nil, 10)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, v := range views {
		ids = append(ids, v.ID)
	}
	if want := []string{"an admin's", "expected", "new", "polled"}; !slices.Equal(ids, want) {
		t.Errorf("want %v, got %v", want, ids)
	}
	after := newSink()
	after.agents["unseen"] = known{}
	r.sweep(t, before, after)
	if _, still := after.agents["unseen"]; still {
		t.Error("a replica does not hear of it")
	}
}

func TestDemandByEnrolmentToken(t *testing.T) {
	t.Parallel()
	_, r := newFleet(t, "admin's")
	interval := func(d time.Duration) func(*fleet.Agent) { return func(a *fleet.Agent) { a.PollInterval = d } }
	for _, a := range []fleet.Agent{
		agent("f1", enrolledBy("fake"), interval(time.Second)), agent("f2", enrolledBy("fake"), interval(time.Second)),
		agent("f3", enrolledBy("fake")), agent("gone", enrolledBy("fake")), agent("never", enrolledBy("fake")),
	} {
		r.enroll(t, a)
	}
	for _, id := range []string{"admin's", "f1", "f2", "f3"} {
		r.saw(t, mailbox.Sighting{ID: id, Interval: 10 * time.Second})
	}
	r.saw(t, mailbox.Sighting{ID: "gone", Interval: 10 * time.Second, Age: time.Hour})
	got, err := r.rollups.Demand(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(got, func(a, b fleet.Demand) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Interval, b.Interval))
	})
	want := []fleet.Demand{
		{Interval: 10 * time.Second, Agents: 1},
		{Group: "fake", Interval: time.Second, Agents: 2},
		{Group: "fake", Interval: 10 * time.Second, Agents: 1},
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
