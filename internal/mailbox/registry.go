package mailbox

import (
	"encoding/binary"
	"hash/maphash"
	"sync"

	"github.com/watchbill/watchbill/internal/fleet"
)

// registry finds agents by token, on the path of every poll, and by id, on the sweeper's. Only the sweeper writes.
type registry struct {
	seed    maphash.Seed
	byToken [64]shard
	byID    [64]shard
}

type shard struct {
	mu sync.RWMutex
	index
	_ [40]byte // keeps neighbours' locks off one cache line
}

func newRegistry() *registry { return &registry{seed: maphash.MakeSeed()} }

// token returns where an agent of a token is found: a token's hash needs no other.
func (r *registry) token(h fleet.TokenHash) (*shard, uint32, func(*Agent) bool) {
	return &r.byToken[h[len(h)-1]%byte(len(r.byToken))], binary.LittleEndian.Uint32(h[:]), func(a *Agent) bool { return a.token.Equal(h) }
}

func (r *registry) id(id string) (*shard, uint32, func(*Agent) bool) {
	h := maphash.String(r.seed, id)
	return &r.byID[h>>32%uint64(len(r.byID))], uint32(h), func(a *Agent) bool { return a.id == id }
}

func (r *registry) authenticate(h fleet.TokenHash) *Agent {
	s, hash, meant := r.token(h)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.find(hash, meant)
}

func (r *registry) find(id string) *Agent {
	s, hash, meant := r.id(id)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.find(hash, meant)
}

func (r *registry) size() (n int) {
	for i := range r.byID {
		s := &r.byID[i]
		s.mu.RLock()
		n += s.used
		s.mu.RUnlock()
	}
	return n
}

// put installs a in the place of the agent with its id, which is retired and returned.
func (r *registry) put(a *Agent) (old *Agent) {
	s, hash, meant := r.id(a.id)
	s.mu.Lock()
	old = s.put(hash, a, meant)
	s.mu.Unlock()
	if old != nil {
		r.forget(old)
	}
	s, hash, meant = r.token(a.token)
	s.mu.Lock()
	s.put(hash, a, meant)
	s.mu.Unlock()
	return old
}

func (r *registry) remove(id string) {
	s, hash, meant := r.id(id)
	s.mu.Lock()
	old := s.remove(hash, meant)
	s.mu.Unlock()
	if old != nil {
		r.forget(old)
	}
}

func (r *registry) forget(old *Agent) {
	s, hash, _ := r.token(old.token)
	s.mu.Lock()
	s.remove(hash, func(a *Agent) bool { return a == old })
	s.mu.Unlock()
	old.retire()
}

// each calls do for every agent. do must be quick: enrolments wait for it.
func (r *registry) each(do func(*Agent)) {
	for i := range r.byID {
		s := &r.byID[i]
		s.mu.RLock()
		s.each(do)
		s.mu.RUnlock()
	}
}
