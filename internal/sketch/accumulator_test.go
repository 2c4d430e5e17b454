package sketch_test

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/watchbill/watchbill/internal/sketch"
)

// TestAccumulatorIsMerging checks that an accumulator gives the same result as merging distributions, or their
// negatives, one after the other.
func TestAccumulatorIsMerging(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var sum, merged sketch.Accumulator
		var want sketch.Distribution
		for _, d := range rapid.SliceOfN(distributions(), 0, 6).Draw(t, "all") {
			signed, sign := d, int64(1)
			if rapid.Bool().Draw(t, "minus") {
				signed, sign = negative(d), -1
			}
			if err := sum.Add(d.Encode(), sign); err != nil {
				t.Fatalf("Add: %v", err)
			}
			merged.AddDistribution(signed)
			want.Merge(signed)
		}
		if got := merged.Distribution(); !sameDistribution(got, want) {
			t.Fatalf("merged: got %x, want %x", got.Encode(), want.Encode())
		}
		if got := sum.Distribution(); !sameDistribution(got, want) {
			t.Fatalf("got %x, want %x", got.Encode(), want.Encode())
		}
	})
}

// TestAccumulatorsMerge checks that merging accumulators gives the same result as adding to one, and leaves the argument
// as it is.
func TestAccumulatorsMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a, b, want sketch.Accumulator
		for i, d := range rapid.SliceOfN(distributions(), 0, 6).Draw(t, "all") {
			want.AddDistribution(d)
			if i%2 == 0 {
				a.AddDistribution(d)
			} else {
				b.AddDistribution(d)
			}
		}
		before := b.Distribution()
		a.Merge(&b)
		if got, want := a.Distribution(), want.Distribution(); !sameDistribution(got, want) {
			t.Fatalf("got %x, want %x", got.Encode(), want.Encode())
		}
		a.AddDistribution(before)
		if got := b.Distribution(); !sameDistribution(got, before) {
			t.Fatalf("the argument became %x, want %x", got.Encode(), before.Encode())
		}
	})
}

// TestAccumulatorMatchesDecoding checks that Add accepts and rejects the same bytes as DecodeDistribution.
func TestAccumulatorMatchesDecoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		encoded := append([]byte{1}, rapid.SliceOfN(rapid.Byte(), 0, 12).Draw(t, "bytes")...)
		var sum sketch.Accumulator
		err := sum.Add(encoded, 1)
		want, wantErr := sketch.DecodeDistribution(encoded)
		if (err == nil) != (wantErr == nil) || err != nil && !errors.Is(err, sketch.ErrEncoding) {
			t.Fatalf("got %v, want %v", err, wantErr)
		}
		if got := sum.Distribution(); err == nil && !sameDistribution(got, want) {
			t.Fatalf("got %x, want %x", got.Encode(), want.Encode())
		}
	})
	for _, encoded := range [][]byte{nil, {2}} {
		if err := new(sketch.Accumulator).Add(encoded, 1); !errors.Is(err, sketch.ErrEncoding) {
			t.Errorf("%x: got %v", encoded, err)
		}
	}
}
