package sketch_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/watchbill/watchbill/internal/sketch"
)

func TestBinBounds(t *testing.T) {
	tests := []struct {
		name    string
		seconds float64
		want    int
	}{
		{"shortest", sketch.Shortest, 0},
		{"just longer than the shortest", math.Nextafter(sketch.Shortest, 1), 0},
		{"zero", 0, 0},
		{"negative", -1, 0},
		{"smallest number", math.SmallestNonzeroFloat64, 0},
		{"NaN", math.NaN(), 0},
		{"minus infinity", math.Inf(-1), 0},
		{"just shorter than the longest", math.Nextafter(sketch.Longest, 0), sketch.Bins - 1},
		{"longest", sketch.Longest, sketch.Bins - 1},
		{"an hour", 3600, sketch.Bins - 1},
		{"infinity", math.Inf(1), sketch.Bins - 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := sketch.Bin(tt.seconds); got != tt.want {
				t.Errorf("Bin(%v) = %d, want %d", tt.seconds, got, tt.want)
			}
		})
	}
}

func TestBinsAscendAndStayInRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Float64().Draw(t, "a"), rapid.Float64().Draw(t, "b")
		low, high := sketch.Bin(min(a, b)), sketch.Bin(max(a, b))
		if low < 0 || low > high || high >= sketch.Bins {
			t.Fatalf("Bin(%v) = %d, Bin(%v) = %d, want 0 ≤ … ≤ … < %d", min(a, b), low, max(a, b), high, sketch.Bins)
		}
	})
}

func TestAddBinOutsidePanics(t *testing.T) {
	for _, bin := range []int{-1, sketch.Bins} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("AddBin(%d, 1) did not panic", bin)
				}
			}()
			(&sketch.Sketch{}).AddBin(bin, 1)
		}()
	}
}

func BenchmarkBin(b *testing.B) {
	sum := 0
	for i := 0; b.Loop(); i++ {
		sum += sketch.Bin(float64(i&1023+1) * 37e-6)
	}
	_ = sum
}
