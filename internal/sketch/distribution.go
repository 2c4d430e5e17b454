package sketch

import (
	"math"
	"slices"
)

// Distribution is the histogram of a few durations: counts of bins, which may be negative until the durations that they
// were subtracted from are merged. It extends to LongestDuration, whereas a Sketch of latencies ends at Longest. Many
// distributions are added up by an Accumulator. The zero value is empty and ready to use. It is not safe for concurrent
// use.
//
// Each bin's count is exact and saturates at ±2^52.
type Distribution struct {
	bins []binCount // ascending, without zero counts
}

type binCount struct {
	bin   int32
	count int64
}

const (
	// LongestDuration is the duration in seconds, 30 days, above which all values fall into the last bin of a
	// Distribution.
	LongestDuration = 30 * 24 * 3600

	// durationBins is the number of bins of a Distribution: those of a Sketch and further ones.
	durationBins = 1444

	// maxBinCount is the maximum count of a bin. The sum of all bins then fits in an int64, so nothing wraps around.
	maxBinCount = 1 << 52
)

// durationBin is Bin for a Distribution.
func durationBin(seconds float64) int {
	if seconds < Longest || math.IsNaN(seconds) {
		return Bin(seconds)
	}
	return min(bounds.Index(min(seconds, LongestDuration))-firstIndex, durationBins-1)
}

// Add adds a duration in seconds count times; a negative count subtracts it.
func (d *Distribution) Add(seconds float64, count int64) {
	bin := int32(durationBin(seconds))
	at, _ := slices.BinarySearchFunc(d.bins, bin, func(b binCount, bin int32) int { return int(b.bin - bin) })
	d.add(at, bin, count)
}

// add adds to a bin that is not before index at, and returns the index from which to search for the next higher bin. A
// merge thus walks the bins of both distributions in parallel.
func (d *Distribution) add(at int, bin int32, count int64) (next int) {
	for at < len(d.bins) && d.bins[at].bin < bin {
		at++
	}
	if at == len(d.bins) || d.bins[at].bin != bin {
		if count == 0 {
			return at
		}
		d.bins = slices.Insert(d.bins, at, binCount{bin: bin})
	}
	one := &d.bins[at]
	one.count = bounded(one.count + bounded(count))
	if one.count == 0 {
		d.bins = slices.Delete(d.bins, at, at+1)
		return at
	}
	return at + 1
}

func bounded(count int64) int64 { return min(max(count, -maxBinCount), maxBinCount) }

// Merge adds other, which is not changed. An Accumulator adds up many distributions faster.
func (d *Distribution) Merge(other Distribution) {
	if len(d.bins) == 0 {
		d.bins = slices.Clone(other.bins)
		return
	}
	if len(other.bins) <= fewBins {
		at := 0
		for _, b := range other.bins {
			at = d.add(at, b.bin, b.count)
		}
		return
	}
	merged := make([]binCount, 0, len(d.bins)+len(other.bins))
	mine, others := d.bins, other.bins
	for len(mine) > 0 && len(others) > 0 {
		switch {
		case mine[0].bin < others[0].bin:
			merged, mine = append(merged, mine[0]), mine[1:]
		case mine[0].bin > others[0].bin:
			merged, others = append(merged, others[0]), others[1:]
		default:
			if sum := bounded(mine[0].count + others[0].count); sum != 0 {
				merged = append(merged, binCount{mine[0].bin, sum})
			}
			mine, others = mine[1:], others[1:]
		}
	}
	d.bins = append(append(merged, mine...), others...)
}

// fewBins is the maximum number of bins that are merged one by one; more are merged into new memory, since each
// inserted bin moves those after it.
const fewBins = 4

// Count returns the number of durations.
func (d *Distribution) Count() int64 {
	var n int64
	for _, b := range d.bins {
		n += b.count
	}
	return n
}

// Quantile is like Sketch.Quantile, except that 0 and 1 are also within 1 % instead of exact. ok is false if the count is
// not positive.
func (d *Distribution) Quantile(q float64) (seconds float64, ok bool) {
	bin, ok := d.binAt(q)
	if !ok {
		return 0, false
	}
	return value(bin), true
}

// binAt returns the bin of the nearest rank of a quantile; ok is false if the count is not positive or q is not in
// [0, 1].
func (d *Distribution) binAt(q float64) (bin int, ok bool) {
	count := d.Count()
	if count <= 0 || !(q >= 0 && q <= 1) {
		return 0, false
	}
	const rounding = 1e-9 // 0.07 × 100 is slightly more than 7, and would round up to 8
	rank := max(int64(math.Ceil(q*float64(count)-rounding)), 1)
	for _, b := range d.bins {
		if bin, rank = int(b.bin), rank-b.count; rank <= 0 {
			break
		}
	}
	return bin, true
}
