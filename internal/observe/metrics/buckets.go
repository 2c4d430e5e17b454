package metrics

import (
	"math"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// classicBuckets are the upper bounds, in seconds, of the buckets that a histogram has in addition to the native ones.
// They must include the objectives' 0.05, 0.1, 0.2 and 0.5.
var classicBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .2, .5, 1, 2.5, 5, 10, 30}

// The native histogram: bucket k ends at 2^(k/8) seconds, so a bucket is 9 % wide (schema 3, which client_golang uses
// for a bucket factor of 1.1). Values below 2^-20 s (1 µs) are in the zero bucket, and those beyond the last bucket but
// one in the last. For latencies that is 2^12 s (1 h 8 min), so there are at most 257 buckets.
const (
	nativeSchema   = 3
	nativeFirst    = -20*8 + 1
	nativeLast     = 12*8 + 1
	nativeZero     = nativeFirst - 1
	nativeZeroUpTo = 1.0 / (1 << 20)
)

// cell is the smallest range that latencies are counted in. It lies within one classic and one native bucket, so that
// one count serves both and they always agree.
type cell struct {
	upTo    int64 // nanoseconds, inclusive
	native  int
	classic int // index in classicBuckets; len(classicBuckets) means +Inf
}

// buckets are the buckets of a kind of histogram.
type buckets struct {
	classic []float64
	slots   []cell
}

var (
	latencyBuckets = newBuckets(classicBuckets, nativeLast)
	slots          = latencyBuckets.slots
)

func newBuckets(classicBuckets []float64, nativeLast int) buckets {
	bounds := []float64{math.Inf(1)}
	bounds = append(bounds, classicBuckets...)
	for k := nativeZero; k < nativeLast; k++ {
		bounds = append(bounds, math.Exp2(float64(k)/8))
	}
	slices.Sort(bounds)
	bounds = slices.Compact(bounds)
	slots := make([]cell, len(bounds))
	for i, bound := range bounds {
		native := nativeZero
		for native < nativeLast && math.Exp2(float64(native)/8) < bound {
			native++
		}
		classic, _ := slices.BinarySearch(classicBuckets, bound)
		slots[i] = cell{upTo: math.MaxInt64, native: native, classic: classic}
		if !math.IsInf(bound, 1) {
			slots[i].upTo = int64(bound * 1e9)
		}
	}
	return buckets{classicBuckets, slots}
}

// slotOf returns the index of a latency in slots. A negative latency counts as 0.
func slotOf(latency time.Duration) int { return latencyBuckets.slotOf(latency) }

func (b *buckets) slotOf(d time.Duration) int {
	low, high := 0, len(b.slots)-1
	for low < high {
		middle := int(uint(low+high) >> 1)
		if int64(d) <= b.slots[middle].upTo {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low
}

// newHistogram returns the metric for latencies.
func newHistogram(desc *prometheus.Desc, counts []uint64, sum float64, created time.Time, labels ...string) prometheus.Metric {
	return latencyBuckets.newHistogram(desc, counts, sum, created, labels...)
}

// newHistogram returns the metric for counts per slot and a sum in seconds, both since created.
func (b *buckets) newHistogram(desc *prometheus.Desc, counts []uint64, sum float64, created time.Time, labels ...string) prometheus.Metric {
	var count uint64
	native := make(map[int]int64)
	classic := make([]uint64, len(b.classic)+1)
	for i, n := range counts {
		if n == 0 {
			continue
		}
		count += n
		classic[b.slots[i].classic] += n
		native[b.slots[i].native] += int64(n)
	}
	zero := native[nativeZero]
	delete(native, nativeZero)
	cumulative := make([]*dto.Bucket, len(b.classic))
	var upTo uint64
	for i := range cumulative {
		upTo += classic[i]
		cumulative[i] = &dto.Bucket{UpperBound: new(b.classic[i]), CumulativeCount: new(upTo)}
	}
	return bothHistograms{
		Metric: prometheus.MustNewConstNativeHistogram(desc, count, sum, native, nil, uint64(zero),
			nativeSchema, nativeZeroUpTo, created, labels...),
		classic: cumulative,
	}
}

// bothHistograms adds classic buckets to a native histogram, for scrapers without support for native ones.
type bothHistograms struct {
	prometheus.Metric
	classic []*dto.Bucket
}

func (h bothHistograms) Write(out *dto.Metric) error {
	if err := h.Metric.Write(out); err != nil {
		return err
	}
	out.Histogram.Bucket = h.classic
	return nil
}
