package mailbox

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestAgenda(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var g agenda
		model := map[string]time.Time{}
		now := time.Unix(0, 0)
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "add") {
				id := strconv.Itoa(rapid.IntRange(0, 9).Draw(t, "id"))
				at := now.Add(time.Duration(rapid.IntRange(-5, 50).Draw(t, "in")))
				g.add(id, at)
				if known, ok := model[id]; !ok || at.Before(known) {
					model[id] = at
				}
			} else {
				now = now.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "pass")))
				var want []string
				for id, at := range model {
					if !at.After(now) {
						want = append(want, id)
						delete(model, id)
					}
				}
				got := g.take(now)
				slices.Sort(want)
				slices.Sort(got)
				if !slices.Equal(want, got) {
					t.Fatalf("due at %v: want %v, got %v", now, want, got)
				}
			}
			if len(g.order) != len(model) || len(g.of) != len(model) {
				t.Fatalf("want %d entries, got %d and %d", len(model), len(g.order), len(g.of))
			}
			first, some := g.first()
			for _, at := range model {
				if at.Before(first) {
					t.Fatalf("first: got %v, but one is due at %v", first, at)
				}
			}
			if some != (len(model) > 0) {
				t.Fatalf("first: want some %v, got %v", len(model) > 0, some)
			}
		}
	})
}

// TestAgendaDoesNotGrow adds ever earlier times for an agent, as with a clock that drifts from the database's.
func TestAgendaDoesNotGrow(t *testing.T) {
	var g agenda
	start := time.Unix(0, 0)
	for i := range 100_000 {
		g.add("a", start.Add(time.Hour-time.Duration(i)))
		g.add("b", start.Add(time.Hour+time.Duration(i)))
	}
	if len(g.order) != 2 || len(g.of) != 2 {
		t.Errorf("want 2 entries, got %d and %d", len(g.order), len(g.of))
	}
}
