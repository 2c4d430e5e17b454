package postgres_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/fleet"
)

func TestDeploymentRoundTrip(t *testing.T) {
	t.Parallel()
	_, r := newFleet(t, "a", "b", "c")
	placed := order("b", "a", "b")
	placed.Name, placed.Spec, placed.MaxAttempts, placed.Lease = `"é"`, []byte(`{"deep": {"n": 12345678901234567890}}`), 7, time.Hour
	group := r.create(t, placed)
	if diff := cmp.Diff([]string{"a", "b"}, r.noted()); diff != "" {
		t.Errorf("told of changes (-want +got):\n%s", diff)
	}
	var of []string
	for _, made := range group.Deployments {
		of = append(of, made.AgentID)
		want := fleet.Deployment{
			ID: made.ID, AgentID: made.AgentID, GroupID: group.ID, Name: placed.Name, Spec: placed.Spec,
			Status: fleet.Pending, Attempt: 1, MaxAttempts: 7, Lease: time.Hour,
			AvailableAt: made.CreatedAt, CreatedAt: made.CreatedAt,
		}
		got, attempts, err := r.deployments.Deployment(t.Context(), made.ID)
		if err != nil || attempts != nil {
			t.Fatalf("want no attempts of the past, got %v, %v", attempts, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("stored (-want +got):\n%s", diff)
		}
		want.Spec = nil
		if diff := cmp.Diff(want, made); diff != "" {
			t.Errorf("returned (-want +got):\n%s", diff)
		}
	}
	if diff := cmp.Diff([]string{"a", "b"}, of); diff != "" {
		t.Errorf("whose (-want +got):\n%s", diff)
	}
}

func TestCreateForUnknownAgents(t *testing.T) {
	t.Parallel()
	for collation, agents := range map[string][]string{
		"C":        {"a", "B", "a-1", "a.1"},
		"en-x-icu": {"a", "B", "a-1", "a.1"}, // sorts differently from bytewise order
	} {
		t.Run(collation, func(t *testing.T) {
			t.Parallel()
			db, r := newFleet(t, agents...)
			if !ask[bool](t, db, `SELECT EXISTS (SELECT FROM pg_collation WHERE collname = $1)`, collation) {
				t.Skip("this PostgreSQL was built without ICU")
			}
			db.exec(t, `DROP TRIGGER agent_updated ON agents`)
			db.exec(t, `DROP TRIGGER agent_renamed ON agents`)
			db.exec(t, `ALTER TABLE agents ALTER COLUMN id TYPE text COLLATE "`+collation+`"`)
			for _, unknown := range []string{"zzz", "A", "0", "a1"} {
				_, err := r.deployments.Create(t.Context(), order(append(agents, unknown)...), nil, nil)
				var problem *fault.Error
				if !errors.As(err, &problem) || problem.Kind != fault.Invalid || problem.Field != "agent_ids" || !strings.Contains(problem.Detail, " "+unknown+" ") {
					t.Errorf("want %s named, got %v", unknown, err)
				}
			}
			if got := ask[int](t, db, `SELECT count(*)::int FROM deployments`); got != 0 || len(r.noted()) != 0 {
				t.Errorf("want nothing created, got %d", got)
			}
			made := r.create(t, order(agents...)).Deployments
			if !slices.IsSortedFunc(made, func(x, y fleet.Deployment) int { return strings.Compare(x.AgentID, y.AgentID) }) || len(made) != 4 {
				t.Errorf("want one for each, by agent, got %v", made)
			}
		})
	}
}

func TestCreateBySelector(t *testing.T) {
	t.Parallel()
	_, r := newFleet(t)
	for _, a := range []fleet.Agent{
		agent("web-1", labelled("env", "prod", "tier", "web", "cores", "4")),
		agent("web-2", labelled("env", "prod", "tier", "web", "cores", "16", "canary", "")),
		agent("db-1", labelled("env", "prod", "tier", "db")),
		agent("dev-1", labelled("env", "dev", "example.com/owner", "me")),
		agent("bare"),
	} {
		r.enroll(t, a)
	}
	for text, want := range map[string]string{
		"env=prod":                  "db-1 web-1 web-2",
		"env==prod":                 "db-1 web-1 web-2",
		"env!=prod":                 "bare dev-1",
		"env in (prod, dev)":        "db-1 dev-1 web-1 web-2",
		"env notin (prod)":          "bare dev-1",
		"canary":                    "web-2",
		"!canary":                   "bare db-1 dev-1 web-1",
		"canary=":                   "web-2",
		"!env":                      "bare",
		"cores>4":                   "web-2",
		"cores<16":                  "web-1",
		"example.com/owner=me":      "dev-1",
		"env=prod,tier=web,!canary": "web-1",
		"env=prod,env!=prod":        "",
		"env=prod,env=dev":          "",
		"env=nowhere":               "",
	} {
		selector, err := fleet.ParseSelector("selector", text)
		if err != nil {
			t.Fatal(err)
		}
		placed := order()
		placed.Selector = &selector
		var got []string
		_, err = r.deployments.Create(t.Context(), placed, nil, func(g fleet.CreatedGroup) ([]byte, error) {
			for _, d := range g.Deployments {
				got = append(got, d.AgentID)
			}
			return nil, nil
		})
		if strings.Join(got, " ") != want {
			t.Errorf("%s: want %q, got %q", text, want, got)
		}
		if nobody := fleet.CheckTargets("selector", 0); want == "" && !errors.Is(err, nobody) || want != "" && err != nil {
			t.Errorf("%s: got %v", text, err)
		}
		if diff := cmp.Diff(strings.Fields(want), append([]string{}, r.noted()...)); diff != "" {
			t.Errorf("%s: told of changes (-want +got):\n%s", text, diff)
		}
	}
}

func TestCreateForTooManyAgents(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t)
	db.exec(t, `INSERT INTO agents (id, name, labels, token_hash, poll_interval_seconds)
		SELECT 'a' || n, '', '{"all": "yes"}', sha256(n::text::bytea), 10 FROM generate_series(0, $1::int) n`, fleet.MaxTargets)
	selector, err := fleet.ParseSelector("selector", "all=yes")
	if err != nil {
		t.Fatal(err)
	}
	placed := order()
	placed.Selector = &selector
	tooMany := fleet.CheckTargets("selector", fleet.MaxTargets+1)
	if _, err := r.deployments.Create(t.Context(), placed, nil, nil); !errors.Is(err, tooMany) {
		t.Errorf("want %v, got %v", tooMany, err)
	}
	if err := r.agents.DeleteAgent(t.Context(), "a0"); err != nil {
		t.Fatal(err)
	}
	if got := r.create(t, placed).Deployments; len(got) != fleet.MaxTargets {
		t.Errorf("want %d deployments, got %d", fleet.MaxTargets, len(got))
	}
}

// TestPendingDeployments checks that only deployments that can be claimed now are listed, oldest first.
func TestPendingDeployments(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t, "a", "b")
	var ids []uuid.UUID
	for range fleet.MaxPending + 3 {
		ids = append(ids, r.createOne(t, "a"))
	}
	r.createOne(t, "b")
	pending := func(agent string) (ids []uuid.UUID) {
		found, err := r.deployments.Pending(t.Context(), agent)
		if err != nil {
			t.Fatal(err)
		}
		if len(found.Due) != len(found.Deployments) {
			t.Errorf("%d are due, and %d are read", len(found.Due), len(found.Deployments))
		}
		for _, d := range found.Deployments {
			if d.AgentID != agent || d.Status != fleet.Pending || d.Name != "upgrade" || d.Lease != time.Minute || d.Attempt < 1 || string(d.Spec) != `{"to": 2}` {
				t.Errorf("got %+v", d)
			}
			ids = append(ids, d.ID)
		}
		return ids
	}
	if diff := cmp.Diff(ids[:fleet.MaxPending], pending("a")); diff != "" {
		t.Errorf("many (-want +got):\n%s", diff)
	}
	r.report(t, "a", ids[0], saying(fleet.Running, 1, "c"))
	if _, err := r.deployments.Cancel(t.Context(), ids[1]); err != nil {
		t.Fatal(err)
	}
	r.report(t, "a", ids[2], saying(fleet.Running, 1, "c"))
	r.report(t, "a", ids[2], saying(fleet.Failed, 1, "c", retryably))
	if diff := cmp.Diff(ids[3:], pending("a")); diff != "" {
		t.Errorf("one running, one cancelled, one to be retried (-want +got):\n%s", diff)
	}
	db.retryComesDue(t, ids[2])
	if diff := cmp.Diff(ids[2:fleet.MaxPending+2], pending("a")); diff != "" {
		t.Errorf("the retry is due, and as old as ever (-want +got):\n%s", diff)
	}
	if got := pending("nobody"); got != nil {
		t.Errorf("nobody's: got %v", got)
	}
}
