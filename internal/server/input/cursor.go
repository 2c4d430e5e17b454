package input

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/server/problem"
)

const (
	cursorVersion = 1
	cursorSum     = 8 // bytes of checksum
	maxCursor     = 1024
)

// List is a list together with its filters. A cursor is valid for exactly one.
type List struct {
	name    string
	filters []string
}

// NewList returns the list of a name with its filters.
func NewList(name string, filters ...string) List { return List{name, filters} }

// Cursor returns the cursor of the page that follows position. It consists of a version, a checksum over the list and
// the position, and the position. The checksum is not secret: it is there to reject cursors that were truncated,
// altered or taken from another list, instead of returning wrong pages.
func (l List) Cursor(position string) string {
	sum := sha256.Sum256([]byte(strings.Join(append([]string{l.name, position}, l.filters...), "\x00")))
	raw := append([]byte{cursorVersion}, sum[:cursorSum]...)
	return base64.RawURLEncoding.EncodeToString(append(raw, position...))
}

// Position decodes a cursor that this list returned.
func (l List) Position(cursor string) (string, error) {
	if len(cursor) <= maxCursor {
		raw, err := base64.RawURLEncoding.DecodeString(cursor)
		if err == nil && len(raw) > 1+cursorSum {
			if position := string(raw[1+cursorSum:]); l.Cursor(position) == cursor {
				return position, nil
			}
		}
	}
	return "", ErrCursor
}

// ErrCursor is the problem of a cursor that is malformed or belongs to another list.
var ErrCursor = problem.BadRequest("invalid_cursor", "cursor", "is not a cursor that this list gave with these filters")

// AfterAgent decodes the cursor of a list of agents. It returns the id to continue after, or "" for the first page.
func (l List) AfterAgent(cursor string, given bool) (string, error) {
	if !given {
		return "", nil
	}
	id, err := l.Position(cursor)
	if err != nil || fleet.ValidateAgentID("cursor", id) != nil {
		return "", ErrCursor
	}
	return id, nil
}

// BeforeID decodes the cursor of a list that begins with the newest id.
func (l List) BeforeID(cursor string, given bool) (uuid.UUID, error) {
	if !given {
		return uuid.Max, nil
	}
	position, err := l.Position(cursor)
	if err != nil {
		return uuid.UUID{}, err
	}
	id, err := uuid.FromBytes([]byte(position))
	if err != nil {
		return uuid.UUID{}, ErrCursor
	}
	return id, nil
}

// CursorAfterID returns the cursor of the entries after the one with the id.
func (l List) CursorAfterID(id uuid.UUID) string { return l.Cursor(string(id[:])) }
