package postgres_test

import (
	"maps"
	"slices"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/fleet"
)

// sink is a minimal mailbox: it stores what sweeps report.
type sink struct {
	agents  map[string]known
	waiting map[string][]fleet.Waiting // agents with nothing pending are absent
	next    map[string]time.Duration   // agents with nothing due later are absent
	changes int                        // number of reported changes
	wholes  int
}

type known struct {
	token    fleet.TokenHash
	interval time.Duration
	by       string // see mailbox.Sink
}

func newSink() *sink {
	s := &sink{}
	s.Full()
	s.wholes = 0
	return s
}

func (s *sink) Full() {
	s.wholes++
	s.agents, s.waiting, s.next = map[string]known{}, map[string][]fleet.Waiting{}, map[string]time.Duration{}
}

func (s *sink) Agent(id string, token fleet.TokenHash, own time.Duration, enrolledBy string) {
	s.changes++
	s.agents[id] = known{token, own, enrolledBy}
}

func (s *sink) Deleted(id string) {
	s.changes++
	delete(s.agents, id)
	delete(s.waiting, id)
	delete(s.next, id)
}

func (s *sink) Waiting(id string, due []fleet.Waiting, next time.Duration) {
	s.changes++
	delete(s.waiting, id)
	delete(s.next, id)
	if len(due) > 0 {
		s.waiting[id] = due
	}
	if next >= 0 {
		s.next[id] = next
	}
}

// sweep reports to the sink what changed since the watermark, and returns the next watermark.
func (r *replica) sweep(t tester, since string, into *sink, recheck ...string) string {
	t.Helper()
	watermark, err := r.mailbox.Sweep(t.Context(), since, recheck, into)
	if err != nil {
		t.Fatal(err)
	}
	return watermark
}

// swept returns what a sweep of everything finds now.
func (r *replica) swept(t tester) *sink {
	t.Helper()
	all := newSink()
	r.sweep(t, "", all)
	return all
}

// differs returns the difference between two sinks. It compares
// only the keys of next, since its values change as time passes.
func differs(want, got *sink) string {
	believed := func(s *sink) any {
		return struct {
			Agents  map[string]known
			Waiting map[string][]fleet.Waiting
			Next    []string
		}{s.agents, s.waiting, slices.Sorted(maps.Keys(s.next))}
	}
	return cmp.Diff(believed(want), believed(got), cmp.AllowUnexported(known{}))
}
