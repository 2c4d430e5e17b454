// Package sketch stores latencies compactly: a mergeable sketch whose quantiles are accurate to 1 %, with an exact
// count, sum, minimum and maximum.
//
// It is a DDSketch (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch with relative-error
// guarantees", VLDB 2019) that uses the bins and the store of github.com/DataDog/sketches-go. All sketches have the
// same bins, so that any two can be merged. Latencies are seconds in a float64.
//
// What a latency belongs to (a route, a query, a minute) and where sketches are stored is the caller's concern.
package sketch

import (
	"math"

	"github.com/DataDog/sketches-go/ddsketch/store"
)

// Sketch is a distribution of latencies. The zero value is empty and ready to use. Methods that only read also work on
// a nil Sketch, as on an empty one. It is not safe for concurrent use.
//
// Sums are integers in nanoseconds, so merging is exactly associative and commutative, which a sum of floating-point
// numbers is not. They saturate at 584 years. Counts are exact up to 2^53.
type Sketch struct {
	bins  *store.DenseStore // indexes are bins, 0 … Bins-1; nil while empty
	count uint64
	sum   uint64 // nanoseconds, like min and max
	min   uint64
	max   uint64
}

// Add adds one latency in seconds, rounded to the nanosecond. A negative value and NaN count as 0: the observation
// happened, even if its clock was wrong.
func (s *Sketch) Add(seconds float64) {
	s.AddCount(seconds, 1)
}

// AddCount adds one latency, in seconds, that was observed count times. It is equivalent to count calls of Add.
func (s *Sketch) AddCount(seconds float64, count uint64) {
	nanos := toNanos(seconds)
	s.add(Bin(toSeconds(nanos)), nanos, count)
}

// AddBin adds count latencies that Bin put into bin. Each is assumed to be at the middle of its bin, so the sum, the
// minimum and the maximum are accurate to 1 %, as quantiles are. A bin outside of [0, Bins) panics.
func (s *Sketch) AddBin(bin int, count uint64) {
	if bin < 0 || bin >= Bins {
		panic("sketch: bin out of range")
	}
	s.add(bin, toNanos(value(bin)), count)
}

func (s *Sketch) add(bin int, nanos, count uint64) {
	if count == 0 {
		return
	}
	s.grow(count, multiply(nanos, count), nanos, nanos)
	s.bins.AddWithCount(bin, float64(count))
}

// Merge adds other, which is not changed and may be nil. The result is that of adding both sequences of latencies to
// one sketch, in whatever order and grouping sketches are merged.
func (s *Sketch) Merge(other *Sketch) {
	if other.Count() == 0 {
		return
	}
	s.grow(other.count, other.sum, other.min, other.max)
	s.bins.MergeWith(other.bins)
}

// grow adds observations to everything but the bins.
func (s *Sketch) grow(count, sum, lowest, highest uint64) {
	if s.bins == nil {
		s.bins = store.NewDenseStore()
		s.min = lowest
	}
	s.count = plus(s.count, count)
	s.sum = plus(s.sum, sum)
	s.min = min(s.min, lowest)
	s.max = max(s.max, highest)
}

// Count returns the number of latencies.
func (s *Sketch) Count() uint64 {
	if s == nil {
		return 0
	}
	return s.count
}

// Sum returns the sum of all latencies in seconds, or 0 if the sketch is empty.
func (s *Sketch) Sum() float64 {
	if s == nil {
		return 0
	}
	return toSeconds(s.sum)
}

// Mean returns the mean latency in seconds; ok is false if the sketch is empty.
func (s *Sketch) Mean() (seconds float64, ok bool) {
	if s.Count() == 0 {
		return 0, false
	}
	return s.Sum() / float64(s.count), true
}

// Min returns the smallest latency in seconds; ok is false if the sketch is empty.
func (s *Sketch) Min() (seconds float64, ok bool) {
	if s.Count() == 0 {
		return 0, false
	}
	return toSeconds(s.min), true
}

// Max returns the largest latency in seconds; ok is false if the sketch is empty.
func (s *Sketch) Max() (seconds float64, ok bool) {
	if s.Count() == 0 {
		return 0, false
	}
	return toSeconds(s.max), true
}

// Quantile returns, in seconds, the smallest latency that at least a share q of all latencies do not exceed (the
// nearest-rank definition: of two latencies, p50 is the smaller and p51 the larger). It is accurate to 1 % between
// Shortest and Longest; Quantile(0) is Min and Quantile(1) is Max. It never returns NaN: ok is false if the sketch is
// empty or q is not in [0, 1].
func (s *Sketch) Quantile(q float64) (seconds float64, ok bool) {
	if s.Count() == 0 || !(q >= 0 && q <= 1) {
		return 0, false
	}
	lowest, highest := toSeconds(s.min), toSeconds(s.max)
	switch q {
	case 0:
		return lowest, true
	case 1:
		return highest, true
	}
	const rounding = 1e-9 // 0.07 × 100 is slightly more than 7, and would round up to 8
	rank := math.Ceil(q*float64(s.count)-rounding) - 1
	middle := value(s.bins.KeyAtRank(rank)) // a negative rank is the first
	return min(max(middle, lowest), highest), true
}

// CountAtLeast returns the number of latencies of at least threshold seconds, each rounded as in Quantile: at least a
// share q of the latencies is below the threshold if and only if Quantile(q) is. Latencies within 1 % of the threshold
// may be counted on the wrong side.
func (s *Sketch) CountAtLeast(threshold float64) uint64 {
	if s.Count() == 0 {
		return 0
	}
	minimum, count := toNanos(threshold), 0.0
	s.bins.ForEach(func(bin int, n float64) (stop bool) {
		if min(max(toNanos(value(bin)), s.min), s.max) >= minimum {
			count += n
		}
		return false
	})
	return uint64(count)
}

func toNanos(seconds float64) uint64 {
	nanos := seconds * 1e9
	switch {
	case !(nanos > 0): // also if NaN
		return 0
	case nanos >= math.MaxInt64:
		return math.MaxInt64
	}
	return uint64(math.Round(nanos))
}

func toSeconds(nanos uint64) float64 { return float64(nanos) / 1e9 }

// plus adds, and saturates at the largest number instead of wrapping around.
func plus(a, b uint64) uint64 {
	if sum := a + b; sum >= a {
		return sum
	}
	return math.MaxUint64
}

// multiply multiplies, and saturates like plus.
func multiply(a, b uint64) uint64 {
	if b != 0 && a > math.MaxUint64/b {
		return math.MaxUint64
	}
	return a * b
}
