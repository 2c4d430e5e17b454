package postgres_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/observe/health"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// TestReplicas checks the states of replicas, their order and when they are deleted.
func TestReplicas(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t)
	s := postgres.NewReplicas(r.DB)
	start := time.Now().UTC().Truncate(time.Millisecond)
	mark := func(name string, after time.Duration, faults ...string) {
		t.Helper()
		err := s.Mark(t.Context(), health.Replica{
			Name: name, Version: "v1", Started: start.Add(after), Faults: append([]string{}, faults...), PoolMax: 16, PoolInUse: 3, PoolWaiting: 1,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	mark("older", 0)
	mark("newer", time.Second, "at first")
	mark("newer", time.Second, "degraded")
	mark("lost", -time.Hour)
	mark("stopped", 2*time.Second)
	mark("yesterday", -30*time.Hour)
	mark("old", -8*24*time.Hour)
	if err := s.MarkStopped(t.Context(), "stopped"); err != nil {
		t.Fatal(err)
	}
	db.exec(t, "UPDATE replicas SET seen_at = now() - interval '61 seconds' WHERE name = 'lost'")
	db.exec(t, "UPDATE replicas SET seen_at = now() - interval '25 hours' WHERE name = 'yesterday'")
	db.exec(t, "UPDATE replicas SET seen_at = now() - interval '169 hours' WHERE name = 'old'")
	if err := s.CleanUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	all, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range all {
		names = append(names, r.Name)
		if r.Lost != (r.Name == "lost") || r.Stopped.IsZero() != (r.Name != "stopped") || r.Seen.IsZero() || r.Version != "v1" || r.PoolMax != 16 ||
			r.PoolInUse != 3 || r.PoolWaiting != 1 {
			t.Errorf("got %+v", r)
		}
	}
	if got, want := strings.Join(names, " "), "newer older lost stopped"; got != want {
		t.Fatalf("want %s, got %s", want, got)
	}
	if got := all[0]; strings.Join(got.Faults, ",") != "degraded" || !got.Started.Equal(start.Add(time.Second)) {
		t.Errorf("got %+v", got)
	}
	events, err := postgres.NewEvents(r.DB).List(t.Context(), fleet.EventQuery{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	var happened []string
	for _, e := range events {
		happened = append(happened, string(e.Kind)+" "+e.Name)
		if e.Actor != "watchbill" || e.Message != "version v1" {
			t.Errorf("got %+v", e)
		}
	}
	want := []string{
		"replica_started stopped", "replica_started newer", "replica_started older", "replica_started lost", "replica_started yesterday",
	}
	// The test may take longer or shorter than the two seconds by which one replica starts later.
	if got := slices.DeleteFunc(slices.Clone(happened), func(s string) bool { return s == "replica_stopped stopped" }); !slices.Equal(got, want) || len(happened) != len(want)+1 {
		t.Errorf("want %q, got %q", want, happened)
	}
}
