package sketch_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/watchbill/watchbill/internal/sketch"
)

func TestDistributionEncodingKeepsEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := distributions().Draw(t, "d")
		got, err := sketch.DecodeDistribution(want.Encode())
		if err != nil {
			t.Fatalf("DecodeDistribution: %v", err)
		}
		if !sameDistribution(got, want) || got.Count() != want.Count() {
			t.Fatalf("got %x, want %x", got.Encode(), want.Encode())
		}
	})
}

// pair is a bin of an encoding.
type pair struct {
	distance uint64
	count    int64
}

func pairs(all ...pair) []byte {
	b := []byte{1}
	for _, p := range all {
		b = binary.AppendVarint(binary.AppendUvarint(b, p.distance), p.count)
	}
	return b
}

func TestDecodeDistribution(t *testing.T) {
	const bins, limit = 1444, int64(1) << 52
	tests := []struct {
		name  string
		bytes []byte
		fails bool
	}{
		{"empty", pairs(), false},
		{"the first bin", pairs(pair{0, 1}), false},
		{"the last bin", pairs(pair{bins - 1, 1}), false},
		{"below 0", pairs(pair{700, -5}, pair{1, 5}), false},
		{"as much as there may be", pairs(pair{700, limit}, pair{1, -limit}), false},

		{"no bytes", nil, true},
		{"another version", []byte{2}, true},
		{"a bin without a count", append(pairs(), 7), true},
		{"a count cut short", append(pairs(), 7, 0x80), true},
		{"a bin of no count", pairs(pair{7, 0}), true},
		{"a bin twice", pairs(pair{7, 1}, pair{0, 1}), true},
		{"a bin that does not exist", pairs(pair{bins, 1}), true},
		{"bins beyond the last", pairs(pair{bins - 1, 1}, pair{1, 1}), true},
		{"bins that overflow", pairs(pair{7, 1}, pair{math.MaxUint64 - 6, 1}), true},
		{"more than there may be", pairs(pair{7, limit + 1}), true},
		{"less than there may be", pairs(pair{7, -limit - 1}), true},
		{"the least number", pairs(pair{7, math.MinInt64}), true},
		{"an endless number", append(pairs(), bytes.Repeat([]byte{0xff}, 30)...), true},
		{"an endless count", append(pairs(), append([]byte{7}, bytes.Repeat([]byte{0xff}, 30)...)...), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := sketch.DecodeDistribution(tt.bytes)
			if tt.fails {
				if !errors.Is(err, sketch.ErrEncoding) {
					t.Errorf("got error %v, want ErrEncoding", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.bytes, d.Encode()); diff != "" {
				t.Errorf("encoded again (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDistributionCountsSaturate(t *testing.T) {
	const limit = int64(1) << 52
	full := make([]pair, 1444)
	for i := range full {
		full[i] = pair{1, limit}
	}
	full[0].distance = 0
	everywhere, err := sketch.DecodeDistribution(pairs(full...))
	if err != nil {
		t.Fatal(err)
	}
	everywhere.Merge(everywhere)
	if got, want := everywhere.Count(), 1444*limit; got != want {
		t.Errorf("every bin full: Count() = %d, want %d", got, want)
	}
	if got, ok := everywhere.Quantile(1); !ok || got < sketch.LongestDuration*0.99 {
		t.Errorf("every bin full: Quantile(1) = %v, %v, want the longest", got, ok)
	}

	var d sketch.Distribution
	for _, step := range []struct{ add, want int64 }{
		{math.MaxInt64, limit},
		{math.MaxInt64, limit},
		{1, limit},
		{-1, limit - 1},
		{math.MinInt64, -1},
		{math.MinInt64, -limit},
		{-1, -limit},
		{math.MaxInt64, 0},
	} {
		d.Add(1, step.add)
		if got := d.Count(); got != step.want {
			t.Errorf("after %d more: Count() = %d, want %d", step.add, got, step.want)
		}
	}
}

func FuzzDistribution(f *testing.F) {
	typical := distributionOf([]float64{0.001, 0.2, 0.2, 700, 86400})
	f.Add([]byte{}, typical.Encode())
	opposite := negative(typical)
	f.Add(typical.Encode(), opposite.Encode())
	f.Add(pairs(pair{7, 1 << 52}), pairs(pair{7, 1 << 52}))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		left, err := sketch.DecodeDistribution(a)
		if err != nil {
			if !errors.Is(err, sketch.ErrEncoding) {
				t.Fatalf("got error %v, want ErrEncoding", err)
			}
			return
		}
		again, err := sketch.DecodeDistribution(left.Encode())
		if err != nil || !sameDistribution(again, left) {
			t.Fatalf("decoded again: %x, %v, want %x", again.Encode(), err, left.Encode())
		}
		right, err := sketch.DecodeDistribution(b)
		if err != nil {
			return
		}
		again.Merge(right)
		right.Merge(left)
		if !sameDistribution(again, right) {
			t.Fatalf("a+b is %x, b+a is %x", again.Encode(), right.Encode())
		}
		if len(again.Encode()) > 1+1444*(2+8) {
			t.Fatalf("%d bytes", len(again.Encode()))
		}
		if got, ok := again.Quantile(0.99); ok != (again.Count() > 0) || ok && !(got > 0) {
			t.Fatalf("Quantile = %v, %v with count %d", got, ok, again.Count())
		}
	})
}

// BenchmarkAccumulate adds what the figures of a day read: one minute's durations of one agent and model at a time.
func BenchmarkAccumulate(b *testing.B) {
	minutes := benchmarkDurations(60)
	var sum sketch.Accumulator
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := sum.Add(minutes[i%len(minutes)], 1); err != nil {
			b.Fatal(err)
		}
	}
}

// benchmarkDurations returns encoded distributions of n durations each.
func benchmarkDurations(n int) [][]byte {
	random := rand.New(rand.NewPCG(1, 2))
	all := make([][]byte, 1000)
	for i := range all {
		var d sketch.Distribution
		for range n {
			d.Add(2*math.Exp(random.NormFloat64()), 1)
		}
		all[i] = d.Encode()
	}
	return all
}

// BenchmarkMergeEncoded folds the durations of a minute, one delta at a time.
func BenchmarkMergeEncoded(b *testing.B) {
	minutes := benchmarkDurations(60)
	var d sketch.Distribution
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if err := d.MergeEncoded(minutes[i%len(minutes)]); err != nil {
			b.Fatal(err)
		}
	}
}
