package sketch_test

import (
	"bytes"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/watchbill/watchbill/internal/sketch"
)

// summary is everything that can be read from a sketch.
type summary struct {
	Count                    uint64
	Sum, Mean, Min, P50, Max float64
	OK                       bool
}

func summarise(s *sketch.Sketch) summary {
	got := summary{Count: s.Count(), Sum: s.Sum()}
	var oks [4]bool
	got.Mean, oks[0] = s.Mean()
	got.Min, oks[1] = s.Min()
	got.P50, oks[2] = s.Quantile(0.5)
	got.Max, oks[3] = s.Max()
	got.OK = oks == [4]bool{true, true, true, true}
	return got
}

func TestExactFigures(t *testing.T) {
	tests := []struct {
		name string
		add  func(*sketch.Sketch)
		want summary
	}{
		{"empty", func(*sketch.Sketch) {}, summary{}},
		{"one", func(s *sketch.Sketch) { s.Add(0.25) }, summary{1, 0.25, 0.25, 0.25, 0.25, 0.25, true}},
		{"counted", func(s *sketch.Sketch) { s.AddCount(0.25, 4) }, summary{4, 1, 0.25, 0.25, 0.25, 0.25, true}},
		{"counted never", func(s *sketch.Sketch) { s.AddCount(0.25, 0); s.AddBin(7, 0) }, summary{}},
		{"zero", func(s *sketch.Sketch) { s.Add(0) }, summary{1, 0, 0, 0, 0, 0, true}},
		{"negative is zero", func(s *sketch.Sketch) { s.Add(-3) }, summary{1, 0, 0, 0, 0, 0, true}},
		{"NaN is zero", func(s *sketch.Sketch) { s.Add(math.NaN()) }, summary{1, 0, 0, 0, 0, 0, true}},
		{"beyond the bins", func(s *sketch.Sketch) { s.AddCount(3600, 2) }, summary{2, 7200, 3600, 3600, 3600, 3600, true}},
		{"merged nothing", func(s *sketch.Sketch) { s.Add(1); s.Merge(nil); s.Merge(&sketch.Sketch{}) }, summary{1, 1, 1, 1, 1, 1, true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var s sketch.Sketch
			tt.add(&s)
			if diff := cmp.Diff(tt.want, summarise(&s)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestNilIsEmpty(t *testing.T) {
	var s *sketch.Sketch
	if got := summarise(s); got != (summary{}) {
		t.Errorf("got %+v of a nil sketch, want nothing", got)
	}
	if got, want := s.Encode(), (&sketch.Sketch{}).Encode(); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
}

func TestEmptyInputsAreHandled(t *testing.T) {
	var s sketch.Sketch
	s.AddCount(math.Inf(1), 1<<40)
	s.AddCount(math.MaxFloat64, 1<<40)
	s.Merge(&s)
	for _, q := range []float64{0, 1e-9, 0.5, 1} {
		if got, ok := s.Quantile(q); !ok || math.IsNaN(got) || math.IsInf(got, 0) || got < sketch.Longest*0.99 {
			t.Errorf("Quantile(%v) = %v, %v", q, got, ok)
		}
	}
	if mean, ok := s.Mean(); !ok || !(mean > 0) || math.IsInf(mean, 0) {
		t.Errorf("Mean() = %v, %v", mean, ok)
	}
	for _, q := range []float64{-0.1, 1.1, math.NaN(), math.Inf(1)} {
		if got, ok := s.Quantile(q); ok {
			t.Errorf("Quantile(%v) = %v, want none", q, got)
		}
	}
}

// latencies draws seconds between the shortest and the longest that bins distinguish, evenly over the orders of
// magnitude.
func latencies() *rapid.Generator[[]float64] {
	one := rapid.Custom(func(t *rapid.T) float64 {
		return math.Exp(rapid.Float64Range(math.Log(sketch.Shortest), math.Log(sketch.Longest)).Draw(t, "log"))
	})
	return rapid.SliceOfN(one, 1, 200)
}

func of(seconds []float64) *sketch.Sketch {
	s := &sketch.Sketch{}
	for _, x := range seconds {
		s.Add(x)
	}
	return s
}

// within reports whether got is as near to want as the sketch promises, apart from rounding to the nanosecond.
func within(got, want float64) bool {
	return math.Abs(got-want) <= want*sketch.RelativeAccuracy+1e-9
}

func TestQuantilesAreWithinOnePercent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seconds := latencies().Draw(t, "seconds")
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		recorded := &sketch.Sketch{}
		for _, x := range seconds {
			recorded.AddBin(sketch.Bin(x), 1)
		}
		slices.Sort(seconds)
		want := seconds[max(0, int(math.Ceil(q*float64(len(seconds))))-1)]
		for name, s := range map[string]*sketch.Sketch{"added": of(seconds), "recorded in bins": recorded} {
			if got, ok := s.Quantile(q); !ok || !within(got, want) {
				t.Fatalf("%s: Quantile(%v) = %v, %v, want %v ± 1 %%", name, q, got, ok, want)
			}
		}
		wantSum := 0.0
		for _, x := range seconds {
			wantSum += x
		}
		if got := recorded.Sum(); math.Abs(got-wantSum) > wantSum*sketch.RelativeAccuracy+1e-6 {
			t.Fatalf("recorded in bins: Sum() = %v, want %v ± 1 %%", got, wantSum)
		}
	})
}

func TestQuantilesAreOfTheNearestRank(t *testing.T) {
	hundred := &sketch.Sketch{}
	for i := range 100 {
		hundred.Add(float64(i + 1))
	}
	two := of([]float64{1, 2})
	tests := []struct {
		s    *sketch.Sketch
		q    float64
		want float64
	}{
		{two, 0, 1},
		{two, 0.001, 1},
		{two, 0.5, 1},
		{two, 0.51, 2},
		{two, 0.99, 2},
		{two, 1, 2},
		{hundred, 0.001, 1},
		{hundred, 0.07, 7},
		{hundred, 0.29, 29},
		{hundred, 0.5, 50},
		{hundred, 0.501, 51},
		{hundred, 0.95, 95},
		{hundred, 0.99, 99},
		{hundred, 0.991, 100},
		{hundred, 1, 100},
	}
	for _, tt := range tests {
		if got, ok := tt.s.Quantile(tt.q); !ok || !within(got, tt.want) {
			t.Errorf("Quantile(%v) of %d = %v, want %v ± 1 %%", tt.q, tt.s.Count(), got, tt.want)
		}
	}
}

func TestCountAtLeast(t *testing.T) {
	seconds := []float64{0, 0.001, 0.1, 0.1, 0.25, 900}
	tests := []struct {
		threshold float64
		want      uint64
	}{
		{-1, 6},
		{0, 6},
		{1e-7, 6}, // the first bin distinguishes nothing: all values are about the shortest …
		{2e-6, 5},
		{0.05, 4},
		{0.102, 2},
		{0.3, 1},
		{500, 1},
		{800, 0}, // … and all values in the last bin are about the longest
		{math.Inf(1), 0},
		{math.NaN(), 6}, // as in Add
	}
	for _, tt := range tests {
		if got := of(seconds).CountAtLeast(tt.threshold); got != tt.want {
			t.Errorf("CountAtLeast(%v) = %d, want %d", tt.threshold, got, tt.want)
		}
	}
	var none *sketch.Sketch
	if got := none.CountAtLeast(0); got != 0 {
		t.Errorf("nil: CountAtLeast(0) = %d, want 0", got)
	}
	if got := of([]float64{0.2, 0.2}).CountAtLeast(0.2); got != 2 {
		t.Errorf("of equal ones, at the threshold: got %d, want 2", got)
	}
}

func TestCountAtLeastIsAccurate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seconds := latencies().Draw(t, "seconds")
		threshold := rapid.Float64Range(sketch.Shortest, sketch.Longest).Draw(t, "threshold")
		if rapid.Bool().Draw(t, "one of them") {
			threshold = rapid.SampledFrom(seconds).Draw(t, "threshold")
		}
		var surely, perhaps uint64
		for _, x := range seconds {
			if x >= threshold*(1+2*sketch.RelativeAccuracy)+1e-9 {
				surely++
			}
			if x >= threshold*(1-2*sketch.RelativeAccuracy)-1e-9 {
				perhaps++
			}
		}
		if got := of(seconds).CountAtLeast(threshold); got < surely || got > perhaps {
			t.Fatalf("CountAtLeast(%v) = %d, want %d to %d", threshold, got, surely, perhaps)
		}
	})
}

func TestCountAtLeastAgreesWithQuantile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := of(latencies().Draw(t, "seconds"))
		rank := rapid.Uint64Range(1, s.Count()).Draw(t, "rank")
		threshold, _ := s.Quantile(rapid.Float64Range(0.001, 0.999).Draw(t, "quantile of the threshold"))
		threshold += float64(rapid.IntRange(-1, 1).Draw(t, "nanoseconds beside it")) / 1e9
		if rank == s.Count() {
			return // the quantile of the last is exact, unlike its bin
		}
		quantile, _ := s.Quantile(float64(rank) / float64(s.Count()))
		below := math.Round(quantile*1e9) < math.Round(threshold*1e9)
		if want := s.Count()-s.CountAtLeast(threshold) >= rank; below != want {
			t.Fatalf("the %d. of %d is %v, below %v: %v; but %d are at least that",
				rank, s.Count(), quantile, threshold, below, s.CountAtLeast(threshold))
		}
	})
}

func TestMergeIsAssociativeAndCommutative(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := latencies().Draw(t, "a"), latencies().Draw(t, "b"), latencies().Draw(t, "c")
		want := of(slices.Concat(a, b, c)).Encode()

		left := of(a)
		left.Merge(of(b))
		left.Merge(of(c))
		bc := of(b)
		bc.Merge(of(c))
		right := of(a)
		right.Merge(bc)
		backwards := of(c)
		backwards.Merge(of(b))
		backwards.Merge(of(a))
		for name, s := range map[string]*sketch.Sketch{"(a+b)+c": left, "a+(b+c)": right, "c+b+a": backwards} {
			if got := s.Encode(); !bytes.Equal(got, want) {
				t.Fatalf("%s: got %x, want %x", name, got, want)
			}
		}
	})
}

func TestSketchCountsSaturate(t *testing.T) {
	var s sketch.Sketch
	s.AddCount(1, math.MaxUint64)
	s.AddCount(1, 1)
	s.Merge(&s)
	if got, want := s.Count(), uint64(1)<<52; got != want {
		t.Errorf("Count() = %d, want %d", got, want)
	}
	if _, err := sketch.Decode(s.Encode()); err != nil {
		t.Errorf("Decode: %v", err)
	}
}

func TestMergeDoesNotModifyItsArgument(t *testing.T) {
	other := of([]float64{0.1, 0.2})
	before := other.Encode()
	s := of([]float64{3})
	s.Merge(other)
	s.Add(0.1)
	if got := other.Encode(); !bytes.Equal(got, before) {
		t.Errorf("got %x, want %x", got, before)
	}
}

func BenchmarkAdd(b *testing.B) {
	var s sketch.Sketch
	for i := 0; b.Loop(); i++ {
		s.Add(float64(i&1023+1) * 37e-6)
	}
}

func BenchmarkMerge(b *testing.B) {
	var s sketch.Sketch
	minute := benchmarkMinute()
	for b.Loop() {
		s.Merge(minute)
	}
}

// benchmarkMinute returns a busy route's minute: 6,000 latencies around 300 µs, and some slow ones.
func benchmarkMinute() *sketch.Sketch {
	s := &sketch.Sketch{}
	for i := range 6000 {
		s.Add(300e-6 * (1 + float64(i%97)/100))
		if i%500 == 0 {
			s.Add(0.04 + float64(i)*1e-5)
		}
	}
	return s
}
