package server

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/fleet"
)

const (
	cursorVersion = 1
	cursorSum     = 8 // bytes of checksum
	maxCursor     = 1024
)

// list is a list with the filters it is read through. A cursor belongs to exactly one.
type list struct {
	name    string
	filters []string
}

// cursor says where the page after position begins: a version, a checksum over the list and the position, and the
// position. The checksum keeps no secret. It is there so that a cursor which was cut, altered or taken from another list is
// refused instead of giving wrong pages.
func (l list) cursor(position string) string {
	sum := sha256.Sum256([]byte(strings.Join(append([]string{l.name, position}, l.filters...), "\x00")))
	raw := append([]byte{cursorVersion}, sum[:cursorSum]...)
	return base64.RawURLEncoding.EncodeToString(append(raw, position...))
}

// position reads a cursor that this list gave.
func (l list) position(cursor string) (string, error) {
	if len(cursor) <= maxCursor {
		raw, err := base64.RawURLEncoding.DecodeString(cursor)
		if err == nil && len(raw) > 1+cursorSum {
			if position := string(raw[1+cursorSum:]); l.cursor(position) == cursor {
				return position, nil
			}
		}
	}
	return "", errCursor
}

var errCursor = badRequest("invalid_cursor", "cursor", "is not a cursor that this list gave with these filters")

// afterAgent reads the cursor of a list of agents: where to go on after. Empty: from the start.
func (l list) afterAgent(cursor string, given bool) (string, error) {
	if !given {
		return "", nil
	}
	id, err := l.position(cursor)
	if err != nil || fleet.ValidateAgentID("cursor", id) != nil {
		return "", errCursor
	}
	return id, nil
}

// beforeID reads the cursor of a list that runs from the newest id.
func (l list) beforeID(cursor string, given bool) (uuid.UUID, error) {
	if !given {
		return uuid.Max, nil
	}
	position, err := l.position(cursor)
	if err != nil {
		return uuid.UUID{}, err
	}
	id, err := uuid.FromBytes([]byte(position))
	if err != nil {
		return uuid.UUID{}, errCursor
	}
	return id, nil
}

func (l list) cursorAfterID(id uuid.UUID) string { return l.cursor(string(id[:])) }
