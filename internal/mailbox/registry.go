package mailbox

import (
	"sync"

	"github.com/watchbill/watchbill/internal/fleet"
)

// registry finds agents by token, on the path of every poll, and by id, on the sweeper's. Only the sweeper writes.
type registry struct {
	shards [64]shard // by token

	mu   sync.RWMutex
	byID map[string]*Agent
}

// A shard's key is half of the token's hash, to save memory; whoever looks up compares the whole.
type shard struct {
	mu      sync.RWMutex
	byToken map[tokenKey]*Agent
	_       [32]byte // keeps neighbours' locks off one cache line
}

type tokenKey [16]byte

func newRegistry() *registry {
	r := &registry{byID: map[string]*Agent{}}
	for i := range r.shards {
		r.shards[i].byToken = map[tokenKey]*Agent{}
	}
	return r
}

func (r *registry) shard(h fleet.TokenHash) *shard { return &r.shards[h[len(h)-1]%byte(len(r.shards))] }

func (r *registry) authenticate(h fleet.TokenHash) *Agent {
	s := r.shard(h)
	s.mu.RLock()
	a := s.byToken[tokenKey(h[:])]
	s.mu.RUnlock()
	if a == nil || !a.token.Equal(h) {
		return nil
	}
	return a
}

func (r *registry) find(id string) *Agent {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.byID[id]
}

func (r *registry) size() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.byID)
}

// put installs a in the place of the agent with its id, which is retired and returned.
func (r *registry) put(a *Agent) (old *Agent) {
	old = r.swap(a.id, a)
	if old != nil {
		r.forget(old)
	}
	s := r.shard(a.token)
	s.mu.Lock()
	s.byToken[tokenKey(a.token[:])] = a
	s.mu.Unlock()
	return old
}

func (r *registry) remove(id string) {
	if old := r.swap(id, nil); old != nil {
		r.forget(old)
	}
}

func (r *registry) swap(id string, a *Agent) (old *Agent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old = r.byID[id]
	if a == nil {
		delete(r.byID, id)
	} else {
		r.byID[id] = a
	}
	return old
}

func (r *registry) forget(old *Agent) {
	s := r.shard(old.token)
	s.mu.Lock()
	if key := tokenKey(old.token[:]); s.byToken[key] == old {
		delete(s.byToken, key)
	}
	s.mu.Unlock()
	old.retire()
}

// each calls do for every agent. do must be quick: enrolments wait for it.
func (r *registry) each(do func(*Agent)) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, a := range r.byID {
		do(a)
	}
}
