package telemetry

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// maxSamplers bounds how many kinds of requests are sampled. Kinds are few: a route of ours, a method, a status.
const maxSamplers = 64

// kind is what the log analyser counts requests by. Only requests of one kind can stand for one another.
type kind struct {
	method, route string
	status        int
}

// sampler decides which requests of one kind get a line. Each request counts once: it gets a line of its own, or is
// left to the next line of its kind, which says for how many it stands; what no line came for in time gets a line from
// flush. So the counts of the lines add up to the requests, exactly once nothing is left.
type sampler struct {
	kind   kind
	first  uint32
	every  uint32
	window atomic.Uint64 // the second, modulo 2^32, and below it 32 bits that count the requests in it
	left   atomic.Int64  // requests that wait for a line
	last   atomic.Int64  // how long the last of them took, in nanoseconds
}

// take reports for how many requests the line of this one stands; 0 means that it gets none.
func (s *sampler) take(now time.Time, latency time.Duration) int64 {
	if n := s.count(uint32(now.Unix())); n > s.first && (n-s.first)%s.every != 0 {
		s.last.Store(int64(latency))
		s.left.Add(1)
		return 0
	}
	return 1 + s.left.Swap(0)
}

// count returns which request of its second this one is, from 1.
func (s *sampler) count(second uint32) uint32 {
	for {
		window := s.window.Load()
		if uint32(window>>32) == second {
			return uint32(s.window.Add(1))
		}
		if s.window.CompareAndSwap(window, uint64(second)<<32|1) {
			return 1
		}
	}
}

// samplers are the kinds seen so far. Looking one up takes no lock.
type samplers struct {
	first, every uint32
	mu           sync.Mutex // held to add a kind
	byKind       atomic.Pointer[map[kind]*sampler]
}

// of returns the kind's sampler; nil when there are too many kinds.
func (s *samplers) of(k kind) *sampler {
	known := *s.byKind.Load()
	if sampler := known[k]; sampler != nil || len(known) >= maxSamplers {
		return sampler
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	known = *s.byKind.Load()
	if sampler := known[k]; sampler != nil || len(known) >= maxSamplers {
		return sampler
	}
	added := &sampler{kind: k, first: s.first, every: s.every}
	next := maps.Clone(known)
	next[k] = added
	s.byKind.Store(&next)
	return added
}
