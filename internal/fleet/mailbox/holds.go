package mailbox

import (
	"errors"
	"slices"
	"sync"
)

// MaxHeld is the maximum number of held polls of one agent. An agent needs one; others are left from broken connections
// or come from machines that share a token.
const MaxHeld = 4

// ErrReplaced is returned for a held poll when newer polls of its agent took its place.
var ErrReplaced = errors.New("replaced by a newer poll")

// holds tracks the held polls by agent number. A new poll replaces the oldest instead of being rejected, since a client
// that reconnects must not wait for its broken connections to time out.
type holds struct {
	shards [16]struct {
		mu      sync.Mutex
		byAgent map[uint32][]*hold // oldest first
	}
}

type hold struct{ replaced chan struct{} }

func (h *holds) add(number uint32) *hold {
	added := &hold{make(chan struct{})}
	s := &h.shards[number%uint32(len(h.shards))]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byAgent == nil {
		s.byAgent = map[uint32][]*hold{}
	}
	held := s.byAgent[number]
	if len(held) == MaxHeld {
		close(held[0].replaced)
		held = slices.Delete(held, 0, 1)
	}
	s.byAgent[number] = append(held, added)
	return added
}

// remove removes a poll unless it was replaced.
func (h *holds) remove(number uint32, gone *hold) {
	s := &h.shards[number%uint32(len(h.shards))]
	s.mu.Lock()
	defer s.mu.Unlock()
	held := s.byAgent[number]
	i := slices.Index(held, gone)
	switch {
	case i < 0:
	case len(held) == 1:
		delete(s.byAgent, number)
	default:
		s.byAgent[number] = slices.Delete(held, i, i+1)
	}
}
