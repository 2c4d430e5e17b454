package metrics

import (
	"math/bits"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/watchbill/watchbill/internal/sketch"
)

// latencies counts latencies without a lock. It exists once per shard.
type latencies struct {
	slots [maxSlots]atomic.Uint64    // since the start, for Prometheus
	nanos atomic.Uint64              // their sum, likewise
	bins  [sketch.Bins]atomic.Uint32 // since the last drain, for the rollups
}

// maxSlots is at least len(slots): an array spares the hot path an indirection.
const maxSlots = 280

func (l *latencies) observe(latency time.Duration) {
	latency = max(latency, 0)
	l.slots[slotOf(latency)].Add(1)
	l.nanos.Add(uint64(latency))
	l.bins[sketch.Bin(latency.Seconds())].Add(1)
}

// addTo adds the counts since the start to counts, and returns the sum in seconds.
func (l *latencies) addTo(counts []uint64) (seconds float64) {
	for i := range counts {
		counts[i] += l.slots[i].Load()
	}
	return float64(l.nanos.Load()) / 1e9
}

// drain moves what came since the last drain to the sketch.
func (l *latencies) drain(to *sketch.Sketch) {
	for i := range l.bins {
		if l.bins[i].Load() != 0 { // most are 0: leave their cache lines alone
			to.AddBin(i, uint64(l.bins[i].Swap(0)))
		}
	}
}

// shards are copies of a set of counters. Whoever counts takes any one, so that processors seldom meet; whoever reads
// adds them up. There is a power of two of them.
type shards[T any] []*T

// newShards returns as many as there are processors, at most 8: more would cost memory and hardly save a meeting.
func newShards[T any]() shards[T] {
	n := min(1<<bits.Len(uint(runtime.GOMAXPROCS(0)-1)), 8)
	s := make(shards[T], n)
	for i := range s {
		s[i] = new(T)
	}
	return s
}

func (s shards[T]) any() *T { return s[rand.Uint32()&uint32(len(s)-1)] }
