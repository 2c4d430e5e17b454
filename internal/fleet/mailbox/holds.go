package mailbox

import (
	"errors"
	"slices"
	"sync"
)

// MaxHeld is how many polls of one agent are held at once. An agent needs one; more are left over from connections that
// broke, or are of machines that share a token.
const MaxHeld = 4

// ErrReplaced says that newer polls of the agent are held in this one's place.
var ErrReplaced = errors.New("replaced by a newer poll")

// holds has the polls that are held, by the numbers of their agents. A newer poll replaces the oldest rather than being
// turned away, since a client that comes back must not wait for its broken connections to time out.
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

// remove removes a poll that is no longer held, unless it was replaced.
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
