package logging

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchbill/watchbill/internal/observe"
)

// Kinds of requests are few: a route of ours, a method, a status. More than so many are not told apart.
const (
	maxSamplers             = 64
	maxUnauthenticatedKinds = 512
)

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
	limits *samplers
	inTime perSecond
	left   atomic.Int64 // requests that wait for a line
	last   atomic.Int64 // how long the last of them took, in nanoseconds
}

// take reports for how many requests the line of this one stands; 0 means that it gets none.
func (s *sampler) take(now time.Time, latency time.Duration) int64 {
	second := uint32(now.Unix())
	if !s.limits.permit(s.inTime.count(second), second) {
		s.last.Store(int64(latency))
		s.left.Add(1)
		return 0
	}
	return 1 + s.left.Swap(0)
}

// perSecond counts by the second: the second, modulo 2^32, and below it 32 bits that count.
type perSecond struct{ window atomic.Uint64 }

// count returns the how manieth of its second this one is, from 1.
func (c *perSecond) count(second uint32) uint32 {
	for {
		window := c.window.Load()
		if uint32(window>>32) == second {
			return uint32(c.window.Add(1))
		}
		if c.window.CompareAndSwap(window, uint64(second)<<32|1) {
			return 1
		}
	}
}

// samplers are the kinds seen so far, and how they are sampled. Looking one up takes no lock.
type samplers struct {
	first uint32 // of a kind and a second get a line each
	every uint32 // of the others, one in so many; 0: none
	all   uint32 // lines of a second, of all kinds; 0: any number
	max   int    // kinds

	inTime perSecond
	rest   sampler    // of all further kinds
	mu     sync.Mutex // held to add a kind
	byKind atomic.Pointer[map[kind]*sampler]
}

func newSamplers(first, every, all uint32, kinds int) *samplers {
	s := &samplers{first: first, every: every, all: all, max: kinds}
	s.rest.kind, s.rest.limits = kind{method: observe.OtherMethod, route: "other"}, s
	s.byKind.Store(&map[kind]*sampler{})
	return s
}

// permit reports whether the nth request of its kind in a second gets a line.
func (s *samplers) permit(n, second uint32) bool {
	if n > s.first && (s.every == 0 || (n-s.first)%s.every != 0) {
		return false
	}
	return s.all == 0 || s.inTime.count(second) <= s.all
}

// of returns the kind's sampler; nil when there are too many kinds.
func (s *samplers) of(k kind) *sampler {
	known := *s.byKind.Load()
	if sampler := known[k]; sampler != nil || len(known) >= s.max {
		return sampler
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	known = *s.byKind.Load()
	if sampler := known[k]; sampler != nil || len(known) >= s.max {
		return sampler
	}
	added := &sampler{kind: k, limits: s}
	next := maps.Clone(known)
	next[k] = added
	s.byKind.Store(&next)
	return added
}

// orRest is of, with one sampler for all kinds that are too many.
func (s *samplers) orRest(k kind) *sampler {
	if sampler := s.of(k); sampler != nil {
		return sampler
	}
	return &s.rest
}
