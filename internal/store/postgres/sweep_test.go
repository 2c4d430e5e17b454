package postgres_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// TestSweepReportsChanges makes one change after another, each followed by a sweep.
func TestSweepReportsChanges(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t, "a", "b")
	var id, retried uuid.UUID
	follower := newSink()
	watermark := r.sweep(t, "", follower)
	for _, step := range []struct {
		what    string
		do      func() error
		changes int
	}{
		{"nothing", func() error { return nil }, 0},
		{"enrolment", func() error { r.enroll(t, agent("c")); return nil }, 1},
		{"rotation", func() error { return r.agents.RotateToken(t.Context(), "c", fleet.HashToken("new")) }, 1},
		{"deletion", func() error { return r.agents.DeleteAgent(t.Context(), "c") }, 1},
		{"creation", func() error { id = r.createOne(t, "a"); return nil }, 1},
		{"creation for both", func() error { retried = r.create(t, order("a", "b")).Deployments[1].ID; return nil }, 2},
		{"two changes of one agent", func() error { r.createOne(t, "a"); r.createOne(t, "a"); return nil }, 1},
		{"claim", func() error { r.report(t, "a", id, saying(fleet.Running, 1, "c")); return nil }, 1},
		{"renewal", func() error { r.report(t, "a", id, saying(fleet.Running, 1, "c")); return nil }, 0},
		{"success", func() error { r.report(t, "a", id, saying(fleet.Succeeded, 1, "c")); return nil }, 0},
		{"claim and failure", func() error {
			r.report(t, "b", retried, saying(fleet.Running, 1, "c"))
			r.report(t, "b", retried, saying(fleet.Failed, 1, "c", retryably))
			return nil
		}, 1},
		{"cancellation", func() error { return second(r.deployments.Cancel(t.Context(), retried)) }, 1},
		{"refusal", func() error { _, _ = r.deployments.Cancel(t.Context(), id); return nil }, 0},
		{"presence", func() error { db.exec(t, `INSERT INTO agent_presence VALUES ('a', now(), 1)`); return nil }, 0},
		{"deletion with deployments", func() error { return r.agents.DeleteAgent(t.Context(), "a") }, 1},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		follower.changes = 0
		watermark = r.sweep(t, watermark, follower)
		if follower.changes != step.changes {
			t.Errorf("%s: want %d told, got %d", step.what, step.changes, follower.changes)
		}
		if diff := differs(r.swept(t), follower); diff != "" {
			t.Errorf("%s (-sweep of everything +followed):\n%s", step.what, diff)
		}
	}
	if follower.wholes != 1 {
		t.Errorf("want changes told one by one after the first sweep, got %d sweeps of everything", follower.wholes)
	}
}

// TestSweepOfReusedID checks that a new agent with a
// deleted agent's id does not inherit its pending deployments.
func TestSweepOfReusedID(t *testing.T) {
	t.Parallel()
	_, r := newFleet(t, "a")
	r.createOne(t, "a")
	follower := newSink()
	watermark := r.sweep(t, "", follower)
	if err := r.agents.DeleteAgent(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	r.enroll(t, agent("a", func(a *fleet.Agent) { a.PollInterval = time.Minute }))
	watermark = r.sweep(t, watermark, follower)
	if diff := differs(r.swept(t), follower); diff != "" {
		t.Errorf("(-sweep of everything +followed):\n%s", diff)
	}
	idle := newSink()
	if r.sweep(t, watermark, idle); idle.changes != 0 {
		t.Errorf("want it told once, got %d told again", idle.changes)
	}
}

// TestSweepRechecks sweeps with agents to recheck, whose deployments become due without a write.
func TestSweepRechecks(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t, "a", "b")
	id := r.running(t)
	r.report(t, "a", id, saying(fleet.Failed, 1, "c", retryably))
	first := newSink()
	watermark := r.sweep(t, "", first)
	if len(first.waiting) != 0 || (first.next["a"]-retryAfter).Abs() > 10*time.Second {
		t.Errorf("want nothing now and the retry in %s, got %v and %v", retryAfter, first.waiting, first.next)
	}
	db.retryComesDue(t, id)
	watermark = r.sweep(t, watermark, newSink()) // which reports that, as it does any UPDATE
	for _, tt := range []struct {
		recheck []string
		changes int
		waiting []fleet.Waiting
	}{
		{nil, 0, nil},
		{[]string{}, 0, nil},
		{[]string{"b"}, 1, nil},
		{[]string{"gone"}, 1, nil},
		{[]string{"b", "a"}, 2, []fleet.Waiting{{ID: id, Attempt: 2}}},
		{[]string{"a", "a"}, 1, []fleet.Waiting{{ID: id, Attempt: 2}}},
	} {
		again := newSink()
		watermark = r.sweep(t, watermark, again, tt.recheck...)
		if diff := cmp.Diff(tt.waiting, again.waiting["a"]); diff != "" || again.changes != tt.changes || len(again.next) != 0 {
			t.Errorf("asked about %v: want %d told, got %d, to come %v (-want +got):\n%s", tt.recheck, tt.changes, again.changes, again.next, diff)
		}
	}
}

func TestSweepReportsNextDue(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t, "a")
	due, soon, later := r.createOne(t, "a"), r.createOne(t, "a"), r.createOne(t, "a")
	watermark := r.sweep(t, "", newSink())
	db.exec(t, `UPDATE deployments SET available_at = now() + CASE id WHEN $1 THEN interval '1 min' ELSE interval '1 h' END,
		changed_xid = pg_current_xact_id() WHERE id IN ($1, $2)`, soon, later)
	for name, since := range map[string]string{"changes": watermark, "everything": ""} {
		got := newSink()
		r.sweep(t, since, got)
		if diff := cmp.Diff([]fleet.Waiting{{ID: due, Attempt: 1}}, got.waiting["a"]); diff != "" {
			t.Errorf("%s: waiting (-want +got):\n%s", name, diff)
		}
		if next := got.next["a"]; next > time.Minute || next < 50*time.Second {
			t.Errorf("%s: want the next in a minute, got %s", name, next)
		}
	}
}

func TestSweepReportsOldestPending(t *testing.T) {
	t.Parallel()
	_, r := newFleet(t, "a")
	watermark := r.sweep(t, "", newSink())
	var want []fleet.Waiting
	for range fleet.MaxPending + 2 {
		want = append(want, fleet.Waiting{ID: r.createOne(t, "a"), Attempt: 1})
	}
	pending, err := r.deployments.Pending(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	for _, since := range []string{watermark, ""} {
		got := newSink()
		r.sweep(t, since, got)
		if diff := cmp.Diff(want[:fleet.MaxPending], got.waiting["a"]); diff != "" {
			t.Errorf("since %q (-want +got):\n%s", since, diff)
		}
		if len(pending.Due) != len(got.waiting["a"]) {
			t.Errorf("want as many as a poll lists, %d, got %d", len(pending.Due), len(got.waiting["a"]))
		}
	}
}

func TestSweepOfAnotherServerIsFull(t *testing.T) {
	t.Parallel()
	_, r := newFleet(t, "a", "b")
	r.createOne(t, "a")
	watermark := r.sweep(t, "", newSink())
	_, snapshot, _ := strings.Cut(watermark, "|")
	for name, since := range map[string]string{
		"none":                  "",
		"without a server":      snapshot,
		"of another server":     "1999-01-01 00:00:00+00|" + snapshot,
		"from another's future": "1999-01-01 00:00:00+00|900000000:900000000:",
	} {
		got := newSink()
		got.Agent("phantom", fleet.TokenHash{}, time.Second, "")
		next := r.sweep(t, since, got)
		if got.wholes != 1 || !slices.Equal(slices.Sorted(maps.Keys(got.agents)), []string{"a", "b"}) || len(got.waiting["a"]) != 1 {
			t.Errorf("%s: want everything once, got it %d times: %v, %v", name, got.wholes, got.agents, got.waiting)
		}
		idle := newSink()
		if r.sweep(t, next, idle); idle.changes != 0 || idle.wholes != 0 {
			t.Errorf("%s: want nothing after it, got %d told", name, idle.changes)
		}
	}
}

func TestSweepFindsChangesByIndex(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t)
	db.exec(t, `INSERT INTO agents (id, name, token_hash, poll_interval_seconds)
		SELECT 'a' || n, '', sha256(n::text::bytea), 10 FROM generate_series(1, 5000) n`)
	for range 10 { // transactions
		db.exec(t, `INSERT INTO deployments (id, agent_id, group_id, name, spec, max_attempts, lease_seconds)
			SELECT gen_random_uuid(), 'a' || n, gen_random_uuid(), '', '{}', 3, 60 FROM generate_series(1, 5000) n`)
	}
	db.exec(t, `ANALYZE`)
	watermark := r.sweep(t, "", newSink())
	r.createOne(t, "a7")
	life, _, _ := strings.Cut(watermark, "|")
	// The sweep's own snapshot may include transactions of other tests that began before the rows were written.
	var snapshot string
	if err := db.pool.QueryRow(t.Context(), `SELECT x || ':' || x || ':' FROM pg_snapshot_xmax(pg_current_snapshot()) AS x`).Scan(&snapshot); err != nil {
		t.Fatal(err)
	}

	conn, err := db.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	if _, err := conn.Exec(t.Context(), `PREPARE sweep AS `+postgres.SweepChanges); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
		if _, err := conn.Exec(t.Context(), `SET plan_cache_mode = `+mode); err != nil {
			t.Fatal(err)
		}
		rows, _ := conn.Query(t.Context(), `EXPLAIN EXECUTE sweep(50, '`+snapshot+`', '{}', '`+life+`')`)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		plan := strings.Join(lines, "\n")
		if !strings.Contains(plan, "idx_deployment_changed") || strings.Contains(plan, "Seq Scan on deployments") || strings.Contains(plan, "Seq Scan on agents") {
			t.Errorf("%s:\n%s", mode, plan)
		}
	}
}
