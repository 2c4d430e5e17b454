package postgres_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/fleet/mailbox"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

func (r *replica) sample(t tester, now time.Time, maxAge time.Duration) postgres.FleetSample {
	t.Helper()
	s, err := r.rollups.SampleFleet(t.Context(), now, maxAge)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFleetSampleCountsAgentsAndDeployments(t *testing.T) {
	t.Parallel()
	_, r := newFleet(t, "online", "slowed", "late", "offline", "never")
	r.saw(t,
		mailbox.Sighting{ID: "online", Interval: 10 * time.Second},
		mailbox.Sighting{ID: "slowed", Age: 15 * time.Second, Interval: 20 * time.Second},
		mailbox.Sighting{ID: "late", Age: 30 * time.Second, Interval: 10 * time.Second},
		mailbox.Sighting{ID: "offline", Age: time.Hour, Interval: 10 * time.Second},
	)
	r.oneOfEach(t, "online")
	r.createOne(t, "never")

	got := r.sample(t, time.Now(), time.Minute)
	if got.Age < 0 || got.Age > 10*time.Second {
		t.Errorf("want a new sample, got one %s old", got.Age)
	}
	got.Age = 0
	want := postgres.FleetSample{
		Agents: map[fleet.State]int64{fleet.Online: 2, fleet.Late: 1, fleet.Offline: 2},
		Deployments: map[fleet.Status]int64{
			fleet.Pending: 2, fleet.Running: 1, fleet.Succeeded: 1, fleet.Failed: 1, fleet.TimedOut: 0, fleet.Cancelled: 1,
		},
		WantedPolls: .3, ExpectedPolls: .25,
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(x, y float64) bool { return x-y < 1e-6 && y-x < 1e-6 })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	states := map[fleet.State]int64{}
	all, err := r.agents.Agents(t.Context(), "", nil, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		states[a.State]++
	}
	if diff := cmp.Diff(want.Agents, states); diff != "" {
		t.Errorf("want the sample and the list of agents to agree (-sample +list):\n%s", diff)
	}
}

func TestFleetSampleIsSharedByReplicas(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t, "a")
	other := newReplica(t, postgres.Config{URL: db.url})
	agents := func(s postgres.FleetSample) int64 { return s.Agents[fleet.Offline] }
	now := time.Now()
	if got := agents(r.sample(t, now, time.Hour)); got != 1 {
		t.Fatalf("want one agent, got %d", got)
	}
	r.enroll(t, agent("b"))
	for _, tt := range []struct {
		maxAge time.Duration
		want   int64
	}{{time.Hour, 1}, {0, 2}, {time.Hour, 2}} {
		if got := agents(other.sample(t, now, tt.maxAge)); got != tt.want {
			t.Errorf("at most %s old: want %d agents, got %d", tt.maxAge, tt.want, got)
		}
	}
	db.exec(t, `UPDATE fleet_rollups SET sampled_at = sampled_at - interval '30 s', bucket = bucket - interval '1 min'`)
	r.enroll(t, agent("c"))
	if got := other.sample(t, now, time.Minute); agents(got) != 2 || got.Age < 30*time.Second {
		t.Errorf("want the sample of 30 s ago, got one of %s", got.Age)
	}
	if got := agents(other.sample(t, now, 20*time.Second)); got != 3 {
		t.Errorf("want a new sample, got %d agents", got)
	}
}

// TestFleetSampleOfAReplicaWhoseClockIsWrong checks that samples are dated by the database's clock.
func TestFleetSampleOfAReplicaWhoseClockIsWrong(t *testing.T) {
	t.Parallel()
	_, r := newFleet(t, "a")
	for _, off := range []time.Duration{-365 * 24 * time.Hour, -time.Hour, time.Hour, 365 * 24 * time.Hour} {
		now := time.Now().Add(off)
		if got := r.sample(t, now, time.Minute); got.Agents[fleet.Offline] == 0 || got.Age > time.Minute {
			t.Errorf("a clock off by %s: got %+v", off, got)
		}
	}
}

// saveFleet stores a minute's rollup of a number of samples, with the counts of the last one.
func (db database) saveFleet(t tester, at time.Time, samples int, online, late, offline int64, deployments string) {
	t.Helper()
	db.exec(t, `INSERT INTO fleet_rollups (bucket, sampled_at, agents_online, agents_late, agents_offline,
			wanted_polls_per_second, expected_polls_per_second, deployments, samples, polling_sum, expected_sum)
		VALUES ($1, $1, $2, $3, $4, 9, 1, $5, $6::bigint, $6 * ($2::bigint + $3::bigint), $6 * 0.5)`,
		at, online, late, offline, deployments, samples)
}

func TestFleetFacts(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t)
	db.saveFleet(t, noon, 1, 10, 0, 5, `{"pending": 1}`)
	db.saveFleet(t, noon.Add(time.Minute), 3, 20, 10, 7, `{"pending": 2, "failed": 3}`)
	db.saveFleet(t, noon.Add(time.Hour), 1, 99, 99, 99, `{}`)
	got := r.facts(t, 1)
	want := report.AgentFacts{Polling: 25, ExpectedRPS: .5, Online: 20, Late: 10, Offline: 7}
	if diff := cmp.Diff(want, got.Agents); diff != "" {
		t.Errorf("agents: want the mean over samples and the newest counts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int64{"pending": 2, "failed": 3}, got.Deployments); diff != "" {
		t.Errorf("deployments (-want +got):\n%s", diff)
	}
}

func TestSamplesOfAMinuteAreSummed(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t, "a")
	r.saw(t, mailbox.Sighting{ID: "a", Interval: 10 * time.Second})
	const times = 5
	for range times {
		r.sample(t, time.Now(), 0)
	}
	samples := ask[int](t, db, `SELECT sum(samples)::int FROM fleet_rollups`)
	polling := ask[float64](t, db, `SELECT sum(polling_sum) FROM fleet_rollups`)
	if samples != times || polling != times {
		t.Errorf("want %d samples of one agent, got %d and %g", times, samples, polling)
	}
}
