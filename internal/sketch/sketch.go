// Package sketch stores latencies compactly: histograms that can be merged and whose quantiles are accurate to 1 %.
//
// The histogram is a DDSketch (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch with
// relative-error guarantees", VLDB 2019) with the bins of github.com/DataDog/sketches-go. All histograms have the same
// bins, so that any two can be merged. Latencies are seconds in a float64. There are three forms:
//
//   - Accumulator: counters for adding up many histograms.
//   - Distribution: the same counts in little memory, for one of many groups.
//   - Sketch: an Accumulator with the exact sum, minimum and maximum.
//
// Sketches and distributions are stored. What a latency belongs to (a route, a query, a minute) and where they are
// stored is the caller's concern.
package sketch

import "math"

// Sketch is a distribution of latencies. The zero value is empty and ready to use. Methods that only read also work on
// a nil Sketch, as on an empty one. It is not safe for concurrent use.
//
// Sums are integers in nanoseconds, so merging is exactly associative and commutative, which a sum of floating-point
// numbers is not. They saturate at 584 years. Each bin's count is exact and saturates at 2^52.
type Sketch struct {
	bins Accumulator // only the first Bins of its bins
	sum  uint64      // nanoseconds, like min and max
	min  uint64
	max  uint64
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
	s.extend(s.empty(), multiply(nanos, count), nanos, nanos)
	s.bins.add(uint(bin), int64(min(count, maxBinCount)))
}

// Merge adds other, which is not changed and may be nil. The result is that of adding both sequences of latencies to
// one sketch, in whatever order and grouping sketches are merged.
func (s *Sketch) Merge(other *Sketch) {
	if other.empty() {
		return
	}
	s.extend(s.empty(), other.sum, other.min, other.max)
	s.bins.Merge(&other.bins)
}

// extend adds latencies to everything but the bins. isFirst reports that there were none.
func (s *Sketch) extend(isFirst bool, sum, lowest, highest uint64) {
	if isFirst {
		s.min = lowest
	}
	s.sum = plus(s.sum, sum)
	s.min = min(s.min, lowest)
	s.max = max(s.max, highest)
}

func (s *Sketch) empty() bool { return s == nil || s.bins.unused() }

// Count returns the number of latencies.
func (s *Sketch) Count() uint64 {
	if s == nil {
		return 0
	}
	d := s.bins.Distribution()
	return uint64(d.Count())
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
	if s.empty() {
		return 0, false
	}
	return s.Sum() / float64(s.Count()), true
}

// Min returns the smallest latency in seconds; ok is false if the sketch is empty.
func (s *Sketch) Min() (seconds float64, ok bool) {
	if s.empty() {
		return 0, false
	}
	return toSeconds(s.min), true
}

// Max returns the largest latency in seconds; ok is false if the sketch is empty.
func (s *Sketch) Max() (seconds float64, ok bool) {
	if s.empty() {
		return 0, false
	}
	return toSeconds(s.max), true
}

// Quantile returns, in seconds, the smallest latency that at least a share q of all latencies do not exceed (the
// nearest-rank definition: of two latencies, p50 is the smaller and p51 the larger). It is accurate to 1 % between
// Shortest and Longest; Quantile(0) is Min and Quantile(1) is Max. It never returns NaN: ok is false if the sketch is
// empty or q is not in [0, 1].
func (s *Sketch) Quantile(q float64) (seconds float64, ok bool) {
	if s.empty() {
		return 0, false
	}
	d := s.bins.Distribution()
	bin, ok := d.binAt(q)
	if !ok {
		return 0, false
	}
	lowest, highest := toSeconds(s.min), toSeconds(s.max)
	switch q {
	case 0:
		return lowest, true
	case 1:
		return highest, true
	}
	return min(max(value(bin), lowest), highest), true
}

// CountAtLeast returns the number of latencies of at least threshold seconds, each rounded as in Quantile: at least a
// share q of the latencies is below the threshold if and only if Quantile(q) is. Latencies within 1 % of the threshold
// may be counted on the wrong side.
func (s *Sketch) CountAtLeast(threshold float64) uint64 {
	if s.empty() {
		return 0
	}
	minimum, reached := toNanos(threshold), uint64(0)
	for _, b := range s.bins.Distribution().bins {
		if min(max(toNanos(value(int(b.bin))), s.min), s.max) >= minimum {
			reached += uint64(b.count)
		}
	}
	return reached
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
