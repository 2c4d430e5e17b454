package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/fleet/mailbox"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

func TestAgentRoundTrip(t *testing.T) {
	t.Parallel()
	_, r := newFleet(t)
	for _, want := range []fleet.Agent{
		agent("plain"),
		agent("labelled", labelled("tier", "web", "example.com/zone", "", "dash-ed", "a.b")),
		agent("odd", func(a *fleet.Agent) { a.Name, a.Version, a.PollInterval = `naïve "名"`, "v1.2.3+dirty", time.Hour }),
	} {
		stored, err := r.agents.Enroll(t.Context(), want, fleet.HashToken(want.ID), 0)
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.agents.Agent(t.Context(), want.ID)
		if err != nil {
			t.Fatal(err)
		}
		want.RegisteredAt = stored.RegisteredAt
		if want.Labels == nil {
			want.Labels = map[string]string{}
		}
		if diff := cmp.Diff(fleet.AgentView{Agent: want, State: fleet.Offline}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", want.ID, diff)
		}
		if age := time.Since(got.RegisteredAt); age < -time.Minute || age > time.Minute {
			t.Errorf("%s: want it registered now, got %s ago", want.ID, age)
		}
	}
}

func TestConcurrentEnrolmentOfOneID(t *testing.T) {
	t.Parallel()
	_, r := newFleet(t)
	outcomes := make([]error, 8)
	var g errgroup.Group
	for i := range outcomes {
		g.Go(func() error {
			_, outcomes[i] = r.agents.Enroll(t.Context(), agent("a"), fleet.HashToken(string(rune('a'+i))), 0)
			return nil
		})
	}
	_ = g.Wait()
	winner := slices.Index(outcomes, nil)
	for i, err := range outcomes {
		if i != winner && !errors.Is(err, fleet.ErrAgentExists) {
			t.Errorf("enrolment %d: want %v, got %v", i, fleet.ErrAgentExists, err)
		}
	}
	if winner < 0 || r.swept(t).agents["a"].token != fleet.HashToken(string(rune('a'+winner))) {
		t.Errorf("want the token of enrolment %d stored", winner)
	}
}

func TestRotatedToken(t *testing.T) {
	t.Parallel()
	_, r := newFleet(t, "a", "b")
	if err := r.agents.RotateToken(t.Context(), "a", fleet.HashToken("new")); err != nil {
		t.Fatal(err)
	}
	all := r.swept(t)
	if all.agents["a"].token != fleet.HashToken("new") || all.agents["b"].token != fleet.HashToken("token of b") {
		t.Errorf("want a's token replaced and b's kept, got %v", all.agents)
	}
	if err := r.agents.RotateToken(t.Context(), "nobody", fleet.HashToken("x")); !errors.Is(err, fleet.ErrAgentNotFound) {
		t.Errorf("nobody's: want %v, got %v", fleet.ErrAgentNotFound, err)
	}
	if diff := cmp.Diff([]string{"a"}, r.noted()); diff != "" {
		t.Errorf("told of changes (-want +got):\n%s", diff)
	}
}

func TestDeleteAgentDeletesItsDeployments(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t, "a", "b")
	group := r.create(t, order("a", "b"))
	of := map[string]uuid.UUID{}
	for _, d := range group.Deployments {
		of[d.AgentID] = d.ID
		r.report(t, d.AgentID, d.ID, saying(fleet.Running, 1, "c"))
		if _, err := r.deployments.AppendLog(t.Context(), d.AgentID, d.ID, 1, 0, []byte("line")); err != nil {
			t.Fatal(err)
		}
		r.report(t, d.AgentID, d.ID, saying(fleet.Failed, 1, "c", retryably))
	}
	r.saw(t, mailbox.Sighting{ID: "a", Interval: time.Second})
	r.noted()

	if err := r.agents.DeleteAgent(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a"}, r.noted()); diff != "" {
		t.Errorf("told of changes (-want +got):\n%s", diff)
	}
	for _, table := range []string{"deployments", "deployment_attempts", "deployment_logs"} {
		if got := ask[int](t, db, `SELECT count(*)::int FROM `+table); got != 1 {
			t.Errorf("%s: want b's row alone, got %d", table, got)
		}
	}
	_, _, ofA := r.deployments.Deployment(t.Context(), of["a"])
	_, _, ofB := r.deployments.Deployment(t.Context(), of["b"])
	if !errors.Is(ofA, fleet.ErrDeploymentNotFound) || ofB != nil {
		t.Errorf("want a's deployment gone and b's there, got %v and %v", ofA, ofB)
	}
	_, agentErr := r.agents.Agent(t.Context(), "a")
	for _, err := range []error{agentErr, r.agents.DeleteAgent(t.Context(), "a")} {
		if !errors.Is(err, fleet.ErrAgentNotFound) {
			t.Errorf("want %v, got %v", fleet.ErrAgentNotFound, err)
		}
	}
	r.enroll(t, agent("a")) // the id and the token can be used again
	if err := r.agents.DeleteAgent(t.Context(), "a"); err != nil {
		t.Errorf("deleted once more: %v", err)
	}
}

func TestListAgents(t *testing.T) {
	t.Parallel()
	_, r := newFleet(t)
	for _, a := range []fleet.Agent{
		agent("b1", labelled("env", "prod", "tier", "web")),
		agent("b0", labelled("env", "prod", "tier", "db")),
		agent("a1", labelled("env", "dev")),
		agent("c1"),
	} {
		r.enroll(t, a)
	}
	for _, tt := range []struct {
		after  string
		labels []string
		limit  int
		want   []string
	}{
		{"", nil, 10, []string{"a1", "b0", "b1", "c1"}},
		{"", nil, 2, []string{"a1", "b0"}},
		{"b0", nil, 2, []string{"b1", "c1"}},
		{"c1", nil, 2, nil},
		{"b", nil, 1, []string{"b0"}},
		{"", []string{"env", "prod"}, 10, []string{"b0", "b1"}},
		{"", []string{"env", "prod"}, 1, []string{"b0"}},
		{"b0", []string{"env", "prod"}, 1, []string{"b1"}},
		{"", []string{"env", "prod", "tier", "web"}, 10, []string{"b1"}},
		{"", []string{"env", ""}, 10, nil},
		{"", []string{"env", `pro"d`}, 10, nil},
	} {
		labels := agent("", labelled(tt.labels...)).Labels
		found, err := r.agents.Agents(t.Context(), tt.after, labels, tt.limit)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, a := range found {
			got = append(got, a.ID)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%d after %q with %v (-want +got):\n%s", tt.limit, tt.after, tt.labels, diff)
		}
	}
}

func (r *replica) saw(t tester, seen ...mailbox.Sighting) {
	t.Helper()
	if err := r.mailbox.SavePresence(t.Context(), seen); err != nil {
		t.Fatal(err)
	}
}

// TestPresence checks agents' state and presence by how long ago they were last seen and which interval they received.
func TestPresence(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		seen     []mailbox.Sighting // in order
		state    fleet.State
		age      time.Duration
		interval time.Duration
	}{
		"never":                 {nil, fleet.Offline, 0, 0},
		"now":                   {[]mailbox.Sighting{{Age: 0, Interval: 10 * time.Second}}, fleet.Online, 0, 10 * time.Second},
		"late":                  {[]mailbox.Sighting{{Age: 30 * time.Second, Interval: 10 * time.Second}}, fleet.Late, 30 * time.Second, 10 * time.Second},
		"gone":                  {[]mailbox.Sighting{{Age: time.Hour, Interval: 10 * time.Second}}, fleet.Offline, time.Hour, 10 * time.Second},
		"told to be slow":       {[]mailbox.Sighting{{Age: time.Hour, Interval: time.Hour}}, fleet.Online, time.Hour, time.Hour},
		"told a broken second":  {[]mailbox.Sighting{{Interval: 1500 * time.Millisecond}}, fleet.Online, 0, 1500 * time.Millisecond},
		"seen again":            {[]mailbox.Sighting{{Age: time.Hour, Interval: time.Second}, {Age: 0, Interval: 10 * time.Second}}, fleet.Online, 0, 10 * time.Second},
		"an older one too late": {[]mailbox.Sighting{{Age: 0, Interval: 10 * time.Second}, {Age: time.Hour, Interval: 10 * time.Second}}, fleet.Online, 0, 10 * time.Second},
		"an older interval":     {[]mailbox.Sighting{{Age: 0, Interval: 10 * time.Second}, {Age: time.Hour, Interval: 20 * time.Second}}, fleet.Online, 0, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, r := newFleet(t, "a")
			for _, s := range tt.seen {
				s.ID = "a"
				r.saw(t, s)
			}
			got, err := r.agents.Agent(t.Context(), "a")
			if err != nil {
				t.Fatal(err)
			}
			if got.State != tt.state || got.Presence.Interval != tt.interval {
				t.Errorf("want %s told %s, got %s told %s", tt.state, tt.interval, got.State, got.Presence.Interval)
			}
			if got.Presence.LastSeenAt.IsZero() != (tt.seen == nil) {
				t.Fatalf("last seen: got %s", got.Presence.LastSeenAt)
			}
			if age := time.Since(got.Presence.LastSeenAt); tt.seen != nil && (age-tt.age).Abs() > 10*time.Second {
				t.Errorf("want it seen %s ago, got %s", tt.age, age)
			}
		})
	}
}

// TestStateUsesDatabaseClock checks an agent's state if only the database's clock shows that it is silent.
func TestStateUsesDatabaseClock(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t, "a")
	r.saw(t, mailbox.Sighting{ID: "a", Interval: 10 * time.Second})
	for age, want := range map[string]fleet.State{"14 s": fleet.Online, "20 s": fleet.Late, "58 s": fleet.Late, "63 s": fleet.Offline, "-1 h": fleet.Online} {
		db.exec(t, `UPDATE agent_presence SET last_seen_at = now() - $1::interval`, age)
		one, err := r.agents.Agent(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		all, err := r.agents.Agents(t.Context(), "", nil, 1)
		if err != nil {
			t.Fatal(err)
		}
		if one.State != want || all[0].State != want {
			t.Errorf("silent for %s: want %s, got %s and %s in the list", age, want, one.State, all[0].State)
		}
	}
}

func TestPresenceOfDeletedAgents(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t, "a", "b")
	at := func(id string) mailbox.Sighting { return mailbox.Sighting{ID: id, Interval: time.Second} }
	if err := r.agents.DeleteAgent(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	r.saw(t)
	r.saw(t, at("a"), at("b"), at("never"))
	if got := ask[string](t, db, `SELECT string_agg(agent_id, ' ') FROM agent_presence`); got != "b" {
		t.Errorf("want b alone seen, got %s", got)
	}
}

// TestPresenceWhileAnAgentIsDeleted writes sightings while one of their agents is being deleted.
func TestPresenceWhileAnAgentIsDeleted(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t, "a", "b")
	deletion, err := db.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = deletion.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := deletion.Exec(t.Context(), `DELETE FROM agents WHERE id = 'a'`); err != nil {
		t.Fatal(err)
	}
	saved := make(chan error, 1)
	go func() {
		saved <- r.mailbox.SavePresence(t.Context(), []mailbox.Sighting{{ID: "a", Interval: time.Second}, {ID: "b", Interval: time.Second}})
	}()
	db.untilWaiting(t, 1)
	if err := deletion.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-saved; err != nil {
		t.Errorf("want the deleted agent passed over, got %v", err)
	}
	if got := ask[int](t, db, `SELECT count(*)::int FROM agent_presence`); got != 1 {
		t.Errorf("want the other one written, got %d rows", got)
	}
}

// TestPresenceWrittenByConcurrentReplicas deadlocks if replicas lock rows in different orders.
func TestPresenceWrittenByConcurrentReplicas(t *testing.T) {
	t.Parallel()
	db, _ := newFleet(t)
	db.exec(t, `INSERT INTO agents (id, name, token_hash, poll_interval_seconds)
		SELECT 'agent-' || n, '', sha256(n::text::bytea), 10 FROM generate_series(1, 500) n`)
	var g errgroup.Group
	for i := range 4 {
		r := newReplica(t, postgres.Config{URL: db.with(t, "deadlock_timeout", "10")})
		seen := make([]mailbox.Sighting, 500)
		for j := range seen {
			n := j
			if i%2 == 1 {
				n = len(seen) - 1 - j
			}
			seen[j] = mailbox.Sighting{ID: fmt.Sprint("agent-", n+1), Interval: time.Second}
		}
		g.Go(func() error {
			for range 5 {
				if err := r.mailbox.SavePresence(t.Context(), seen); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := ask[int](t, db, `SELECT count(*)::int FROM agent_presence`); got != 500 {
		t.Errorf("want all seen, got %d", got)
	}
	db.neverDeadlocked(t)
}
