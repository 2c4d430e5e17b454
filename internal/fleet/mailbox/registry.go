package mailbox

import (
	"encoding/binary"
	"hash/maphash"
	"sync"

	"github.com/watchbill/watchbill/internal/fleet"
)

// registry looks up agents by token, as every poll does, by id, as the sweeper does, and by number.
type registry struct {
	seed    maphash.Seed
	byToken [64]shard
	byID    [64]shard
	records slab
	// owners guards records' ids, tokens and paces against readers by number. Readers by an index hold its shard's lock.
	owners sync.RWMutex
}

type shard struct {
	mu sync.RWMutex
	index
	_ [40]byte // padding: one lock per cache line
}

func newRegistry() *registry { return &registry{seed: maphash.MakeSeed()} }

// token returns the shard and hash of a token. A token's hash needs no further hashing.
func (r *registry) token(h fleet.TokenHash) (*shard, uint32) {
	return &r.byToken[h[len(h)-1]%byte(len(r.byToken))], binary.LittleEndian.Uint32(h[:])
}

func (r *registry) id(id string) (*shard, uint32) {
	h := maphash.String(r.seed, id)
	return &r.byID[h>>32%uint64(len(r.byID))], uint32(h)
}

func (r *registry) authenticate(h fleet.TokenHash) (Agent, bool) {
	s, hash := r.token(h)
	return r.findIn(s, hash, func(number uint32) bool { return r.records.at(number).token.Equal(h) })
}

func (r *registry) find(id string) (Agent, bool) {
	s, hash := r.id(id)
	return r.findIn(s, hash, func(number uint32) bool { return r.records.at(number).id == id })
}

func (r *registry) findIn(s *shard, hash uint32, meant func(number uint32) bool) (Agent, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	number, found := s.find(hash, meant)
	if !found {
		return Agent{}, false
	}
	return r.handle(number), true
}

// handle returns a handle of the record. The caller holds one of the locks.
func (r *registry) handle(number uint32) Agent {
	rec := r.records.at(number)
	return Agent{id: rec.id, pace: rec.pace, number: number, generation: rec.generation.Load(), record: rec}
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

// add adds an agent whose view is Fresh from the sweep after written on. The zero token, which no token hashes to, means
// that the token is not known yet.
func (r *registry) add(id string, token fleet.TokenHash, pace pace, written uint64) *record {
	number := r.records.take()
	rec := r.records.at(number)
	rec.written.Store(written)

	r.owners.Lock()
	rec.id, rec.token, rec.pace = id, token, pace
	r.owners.Unlock()
	s, hash := r.id(id)
	s.mu.Lock()
	s.add(hash, number)
	s.mu.Unlock()
	r.addToken(number)
	return rec
}

// rekey gives an agent another token and invalidates handles made under the previous one.
func (r *registry) rekey(a Agent, token fleet.TokenHash, pace pace) {
	r.removeToken(a.number)
	s, _ := r.id(a.id)
	s.mu.Lock()
	r.owners.Lock()
	a.record.token, a.record.pace = token, pace
	r.owners.Unlock()
	s.mu.Unlock()
	a.record.invalidate()
	r.addToken(a.number)
}

func (r *registry) remove(id string) {
	s, hash := r.id(id)
	s.mu.Lock()
	number, found := s.remove(hash, func(number uint32) bool { return r.records.at(number).id == id })
	s.mu.Unlock()
	if !found {
		return
	}
	r.removeToken(number)
	rec := r.records.at(number)
	r.owners.Lock()
	rec.id = ""
	r.owners.Unlock()
	rec.invalidate()
	rec.clear()
	r.records.release(number)
}

func (r *registry) addToken(number uint32) {
	rec := r.records.at(number)
	if rec.token == (fleet.TokenHash{}) {
		return
	}
	s, hash := r.token(rec.token)
	s.mu.Lock()
	s.add(hash, number)
	s.mu.Unlock()
}

func (r *registry) removeToken(number uint32) {
	s, hash := r.token(r.records.at(number).token)
	s.mu.Lock()
	s.remove(hash, func(n uint32) bool { return n == number })
	s.mu.Unlock()
}

// setPace sets an agent's interval and group. Existing handles keep the previous ones.
func (r *registry) setPace(a Agent, pace pace) {
	byToken, _ := r.token(a.record.token)
	byToken.mu.Lock()
	defer byToken.mu.Unlock()
	byID, _ := r.id(a.id)
	byID.mu.Lock()
	defer byID.mu.Unlock()
	r.owners.Lock()
	defer r.owners.Unlock()
	a.record.pace = pace
}

// each calls do for every agent. Enrolments wait for do. An agent is not removed before do returns.
func (r *registry) each(do func(uint32, *record)) {
	for i := range r.byID {
		s := &r.byID[i]
		s.mu.RLock()
		s.each(func(number uint32) { do(number, r.records.at(number)) })
		s.mu.RUnlock()
	}
}
