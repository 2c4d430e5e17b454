package executions

import (
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/server/input"
)

// Since the checksum is not secret, a client can forge a cursor with text that PostgreSQL cannot represent.
func TestForgedExecutionCursors(t *testing.T) {
	t.Parallel()
	l := input.NewList("execution errors")
	for name, forged := range map[string]execution.Position{
		"NUL in the user":          {CreatedAt: 1, UserID: "\x00", ID: "e"},
		"NUL in the id":            {CreatedAt: 1, UserID: "u", ID: "e\x00"},
		"broken UTF-8 in the user": {CreatedAt: 1, UserID: "\xff", ID: "e"},
		"broken UTF-8 in the id":   {CreatedAt: 1, UserID: "u", ID: "\xff"},
		"a rune cut in two":        {CreatedAt: 1, UserID: "\xc3", ID: "\xa9"},
	} {
		if got, err := positionOf(l, cursorAfter(l, forged), true); err == nil {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

// A cursor of executions is accepted only if it is, byte for byte, one that the list returns.
func FuzzExecutionCursor(f *testing.F) {
	l := input.NewList("execution errors")
	good := cursorAfter(l, execution.Position{CreatedAt: 1_768_469_400_125_000, UserID: "u/1", ID: "e1"})
	for _, seed := range []string{good, good[1:], good + "A", "", l.Cursor("short"), l.Cursor(strings.Repeat("\xff", 12))} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, cursor string) {
		position, err := positionOf(l, cursor, true)
		if err == nil && cursorAfter(l, position) != cursor {
			t.Fatalf("%q is accepted and is not a cursor", cursor)
		}
	})
}
