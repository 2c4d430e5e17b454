package sketch_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/watchbill/watchbill/internal/sketch"
)

// durations draws seconds from the shortest that bins distinguish to 30 days, evenly over the orders of magnitude.
func durations() *rapid.Generator[[]float64] {
	one := rapid.Custom(func(t *rapid.T) float64 {
		return math.Exp(rapid.Float64Range(math.Log(sketch.Shortest), math.Log(sketch.LongestDuration)).Draw(t, "log"))
	})
	return rapid.SliceOfN(one, 0, 100)
}

func distributionOf(seconds []float64) sketch.Distribution {
	var d sketch.Distribution
	for _, x := range seconds {
		d.Add(x, 1)
	}
	return d
}

// sameDistribution reports whether two distributions are equal. Equal distributions have equal encodings.
func sameDistribution(a, b sketch.Distribution) bool { return bytes.Equal(a.Encode(), b.Encode()) }

// near reports whether got is as near to want as a distribution promises, apart from the rounding of floating-point
// numbers.
func near(got, want float64) bool {
	return math.Abs(got-want) <= want*sketch.RelativeAccuracy*(1+1e-9)
}

func TestDistributionQuantiles(t *testing.T) {
	hundred := func(d *sketch.Distribution) {
		for i := range 100 {
			d.Add(float64(i+1), 1)
		}
	}
	tests := []struct {
		name  string
		add   func(*sketch.Distribution)
		count int64
		want  map[float64]float64 // by quantile; empty if none has a value
	}{
		{"nothing", func(*sketch.Distribution) {}, 0, nil},
		{"added never", func(d *sketch.Distribution) { d.Add(1, 0) }, 0, nil},
		{"added and taken away", func(d *sketch.Distribution) { d.Add(1, 3); d.Add(1, -3) }, 0, nil},
		{"negative", func(d *sketch.Distribution) { d.Add(1, 1); d.Add(2, -2) }, -1, nil},
		{"one", func(d *sketch.Distribution) { d.Add(2.5, 1) }, 1, map[float64]float64{0: 2.5, 0.5: 2.5, 1: 2.5}},
		{"two", func(d *sketch.Distribution) { d.Add(1, 1); d.Add(2, 1) }, 2, map[float64]float64{0: 1, 0.5: 1, 0.51: 2, 1: 2}},
		{"a hundred", hundred, 100, map[float64]float64{0: 1, 0.07: 7, 0.29: 29, 0.5: 50, 0.95: 95, 0.99: 99, 0.991: 100, 1: 100}},
		{"counted", func(d *sketch.Distribution) { d.Add(1, 95); d.Add(60, 5) }, 100, map[float64]float64{0.95: 1, 0.951: 60}},
		{"one of several taken away", func(d *sketch.Distribution) { d.Add(1, 2); d.Add(60, 1); d.Add(1, -1) }, 2, map[float64]float64{0.5: 1, 1: 60}},
		{"beyond a sketch of latencies", func(d *sketch.Distribution) { d.Add(86400, 1) }, 1, map[float64]float64{0.5: 86400}},
		{"longest", func(d *sketch.Distribution) { d.Add(sketch.LongestDuration, 1) }, 1, map[float64]float64{0.5: sketch.LongestDuration}},
		{"beyond the longest", func(d *sketch.Distribution) {
			d.Add(sketch.LongestDuration+1, 1)
			d.Add(math.MaxFloat64, 1)
			d.Add(math.Inf(1), 1)
		}, 3, map[float64]float64{0: sketch.LongestDuration, 1: sketch.LongestDuration}},
		{"too short to tell apart", func(d *sketch.Distribution) {
			d.Add(0, 1)
			d.Add(-1, 1)
			d.Add(math.NaN(), 1)
			d.Add(math.Inf(-1), 1)
			d.Add(math.SmallestNonzeroFloat64, 1)
		}, 5, map[float64]float64{0: sketch.Shortest, 1: sketch.Shortest}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var d sketch.Distribution
			tt.add(&d)
			if got := d.Count(); got != tt.count {
				t.Errorf("Count() = %d, want %d", got, tt.count)
			}
			for q, want := range tt.want {
				if got, ok := d.Quantile(q); !ok || !near(got, want) {
					t.Errorf("Quantile(%v) = %v, %v, want %v ± 1 %%", q, got, ok, want)
				}
			}
			without := []float64{-0.1, 1.1, math.NaN(), math.Inf(1)}
			if len(tt.want) == 0 {
				without = append(without, 0, 0.5, 1)
			}
			for _, q := range without {
				if got, ok := d.Quantile(q); ok {
					t.Errorf("Quantile(%v) = %v, want none", q, got)
				}
			}
		})
	}
}

func TestDistributionQuantilesAreWithinOnePercent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seconds := durations().Filter(func(s []float64) bool { return len(s) > 0 }).Draw(t, "seconds")
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		d := distributionOf(seconds)
		slices.Sort(seconds)
		want := seconds[max(0, int(math.Ceil(q*float64(len(seconds))))-1)]
		if got, ok := d.Quantile(q); !ok || !near(got, want) {
			t.Fatalf("Quantile(%v) = %v, %v, want %v ± 1 %%", q, got, ok, want)
		}
	})
}

func TestDistributionsCancelInAnyOrder(t *testing.T) {
	type change struct {
		seconds float64
		count   int64
	}
	rapid.Check(t, func(t *rapid.T) {
		kept, taken := durations().Draw(t, "kept"), durations().Draw(t, "taken")
		var changes []change
		for _, x := range kept {
			changes = append(changes, change{x, 1})
		}
		for _, x := range taken {
			changes = append(changes, change{x, 1}, change{x, -1})
		}
		changes = rapid.Permutation(changes).Draw(t, "order")

		var added, merged sketch.Distribution
		for _, c := range changes {
			added.Add(c.seconds, c.count)
			var one sketch.Distribution
			one.Add(c.seconds, c.count)
			merged.Merge(one)
		}
		want := distributionOf(kept)
		if !sameDistribution(added, want) || !sameDistribution(merged, want) {
			t.Fatalf("added %x, merged %x, want %x", added.Encode(), merged.Encode(), want.Encode())
		}
		if got := added.Count(); got != int64(len(kept)) {
			t.Fatalf("Count() = %d, want %d", got, len(kept))
		}
	})
}

// distributions draws any distribution, including ones with negative bins.
func distributions() *rapid.Generator[sketch.Distribution] {
	return rapid.Custom(func(t *rapid.T) sketch.Distribution {
		var d sketch.Distribution
		for _, x := range durations().Draw(t, "seconds") {
			d.Add(x, rapid.Int64Range(-1000, 1000).Draw(t, "count"))
		}
		return d
	})
}

func TestDistributionMergeIsAssociativeAndCommutative(t *testing.T) {
	merged := func(all ...sketch.Distribution) (sum sketch.Distribution) {
		for _, d := range all {
			sum.Merge(d)
		}
		return sum
	}
	decoded := func(all ...sketch.Distribution) (sum sketch.Distribution) {
		for _, d := range all {
			if err := sum.MergeEncoded(d.Encode()); err != nil {
				t.Fatal(err)
			}
		}
		return sum
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := distributions().Draw(t, "a"), distributions().Draw(t, "b"), distributions().Draw(t, "c")
		before := slices.Concat(a.Encode(), b.Encode(), c.Encode())
		sum := merged(a, b, c)
		want := sum.Encode()
		for name, d := range map[string]sketch.Distribution{
			"a+(b+c)":          merged(a, merged(b, c)),
			"c+b+a":            merged(c, b, a),
			"b+(a+c)":          merged(b, merged(a, c)),
			"encoded":          decoded(b, c, a),
			"with nothing":     merged(sketch.Distribution{}, a, sketch.Distribution{}, b, c),
			"a+b+c+b-b, apart": merged(a, b, c, b, negative(b)),
		} {
			if got := d.Encode(); !bytes.Equal(got, want) {
				t.Fatalf("%s: got %x, want %x", name, got, want)
			}
		}
		if after := slices.Concat(a.Encode(), b.Encode(), c.Encode()); !bytes.Equal(after, before) {
			t.Fatalf("merging changed what was merged: %x, before %x", after, before)
		}
	})
}

// negative returns a distribution with the negated counts of d.
func negative(d sketch.Distribution) (n sketch.Distribution) {
	bin := uint64(0)
	out := []byte{1}
	for b := d.Encode()[1:]; len(b) > 0; {
		distance, size := binary.Uvarint(b)
		count, more := binary.Varint(b[size:])
		b = b[size+more:]
		bin += distance
		out = binary.AppendVarint(binary.AppendUvarint(out, distance), -count)
	}
	if err := n.MergeEncoded(out); err != nil {
		panic(err)
	}
	return n
}

func TestDistributionMergedIntoItself(t *testing.T) {
	d := distributionOf([]float64{0.1, 2, 2, 700})
	d.Merge(d)
	want := distributionOf([]float64{0.1, 0.1, 2, 2, 2, 2, 700, 700})
	if !sameDistribution(d, want) {
		t.Errorf("got %x, want %x", d.Encode(), want.Encode())
	}
}

func TestMergedDistributionsShareNothing(t *testing.T) {
	other := distributionOf([]float64{0.1, 2})
	before := other.Encode()
	var d sketch.Distribution
	d.Merge(other)
	d.Add(0.1, 5)
	d.Add(2, -1)
	if got := other.Encode(); !bytes.Equal(got, before) {
		t.Errorf("got %x, want %x", got, before)
	}
}
