package logging

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchbill/watchbill/internal/observe"
)

// The limits of the kinds of requests that are distinguished. A kind is a method, a registered route and a status.
const (
	maxSamplers             = 64
	maxUnauthenticatedKinds = 512
)

// kind is what the log analyzer groups requests by. A line represents only requests of the same kind.
type kind struct {
	method, route string
	status        int
}

// sampler decides which requests of one kind get a line. Each request is counted once: in its own line, in the next
// line of its kind, which includes the number of requests that it represents, or, if there is none in time, in a line
// from flush. The counts of the lines thus add up to the number of requests once none is left.
type sampler struct {
	kind   kind
	limits *samplers
	inTime perSecond
	left   atomic.Int64 // requests not yet counted in a line
	last   atomic.Int64 // duration of the last of them, in nanoseconds
}

// take returns how many requests the line of this one represents; 0 means that it gets no line.
func (s *sampler) take(now time.Time, latency time.Duration) int64 {
	second := uint32(now.Unix())
	if !s.limits.permit(s.inTime.count(second), second) {
		s.last.Store(int64(latency))
		s.left.Add(1)
		return 0
	}
	return 1 + s.left.Swap(0)
}

// perSecond counts per second. The upper 32 bits are the second, modulo 2^32, and the lower 32 bits its count.
type perSecond struct{ window atomic.Uint64 }

// count increments the count of a second and returns it.
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

// samplers are the kinds seen so far and the limits of their sampling. Looking one up takes no lock.
type samplers struct {
	first uint32 // number of requests of a kind in a second that get a line each
	every uint32 // every nth of the others gets a line; 0 for none
	all   uint32 // limit of lines in a second, of all kinds; 0 for none
	max   int    // limit of kinds

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

// of returns the sampler of a kind, or nil if there are too many kinds.
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

// orRest is like of, but returns a shared sampler if there are too many kinds.
func (s *samplers) orRest(k kind) *sampler {
	if sampler := s.of(k); sampler != nil {
		return sampler
	}
	return &s.rest
}
