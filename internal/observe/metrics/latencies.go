package metrics

import (
	"math/bits"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/watchbill/watchbill/internal/sketch"
)

// latencies counts latencies without a lock. There is one per shard.
type latencies struct {
	slots [maxSlots]atomic.Uint64    // since the start, for Prometheus
	nanos atomic.Uint64              // their sum, likewise
	bins  [sketch.Bins]atomic.Uint32 // since the last drain, for the rollups
}

// maxSlots is at least len(slots). An array saves the hot path an indirection.
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

// drain moves the latencies since the last drain to the sketch.
func (l *latencies) drain(to *sketch.Sketch) {
	for i := range l.bins {
		if l.bins[i].Load() != 0 { // most are 0; do not write to their cache lines
			to.AddBin(i, uint64(l.bins[i].Swap(0)))
		}
	}
}

// shards are copies of a set of counters. Writers use any of them, so that processors rarely contend; readers add them
// up. Their number is a power of two.
type shards[T any] []*T

// newShards returns a shard per processor, but at most 8: more would cost memory and hardly reduce contention.
func newShards[T any]() shards[T] {
	n := min(1<<bits.Len(uint(runtime.GOMAXPROCS(0)-1)), 8)
	s := make(shards[T], n)
	for i := range s {
		s[i] = new(T)
	}
	return s
}

func (s shards[T]) any() *T { return s[rand.Uint32()&uint32(len(s)-1)] }
