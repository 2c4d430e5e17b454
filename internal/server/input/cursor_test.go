package input

import (
	"testing"

	"github.com/google/uuid"
)

func TestCursor(t *testing.T) {
	t.Parallel()
	agents, id := List{"agents", []string{"online", "a=b"}}, uuid.MustParse("0197a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b")
	if got, err := agents.AfterAgent(agents.Cursor("a1"), true); err != nil || got != "a1" {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := agents.BeforeID(agents.CursorAfterID(id), true); err != nil || got != id {
		t.Errorf("got %v, %v", got, err)
	}
	for name, other := range map[string]List{
		"another list":   {"deployments", agents.filters},
		"another filter": {"agents", []string{"online", "a=c"}},
		"none":           {"agents", nil},
		"shifted":        {"agents", []string{"", "online", "a=b"}},
	} {
		if _, err := other.Position(agents.Cursor("a1")); err == nil {
			t.Errorf("%s takes the cursor", name)
		}
	}
	if _, err := agents.BeforeID(agents.Cursor("a1"), true); err == nil {
		t.Error("an agent's id passes for a UUID")
	}
	if _, err := agents.AfterAgent(agents.Cursor("a\x00b"), true); err == nil {
		t.Error("what is no agent's id passes for one")
	}
}

// A cursor is accepted only if it is, byte for byte, one that the list returns.
func FuzzCursor(f *testing.F) {
	l := List{"agents", []string{"", "a=b"}}
	good := l.Cursor("a1")
	for _, seed := range []string{good, good[1:], good + "A", good + "\n", "", "====", List{"agents", nil}.Cursor("a1")} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, cursor string) {
		position, err := l.Position(cursor)
		if err == nil && l.Cursor(position) != cursor {
			t.Fatalf("%q is accepted and is not a cursor", cursor)
		}
		_, _ = l.AfterAgent(cursor, true)
		_, _ = l.BeforeID(cursor, true)
	})
}
