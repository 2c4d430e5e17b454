package sketch_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/watchbill/watchbill/internal/sketch"
)

func TestEncodingKeepsEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := of(latencies().Draw(t, "seconds"))
		want.AddCount(rapid.Float64().Draw(t, "any"), rapid.Uint64Range(0, 1<<40).Draw(t, "count"))
		got, err := sketch.Decode(want.Encode())
		if err != nil {
			t.Fatalf("Decode: %v", err)
		}
		if summarise(got) != summarise(want) || !bytes.Equal(got.Encode(), want.Encode()) {
			t.Fatalf("got %+v, want %+v", summarise(got), summarise(want))
		}
	})
}

// TestStoredEncodings checks that histograms of the previous release can be read, and that it can read new ones: it wrote
// the same bytes.
func TestStoredEncodings(t *testing.T) {
	stored := func(hexadecimal string) []byte {
		b, err := hex.DecodeString(hexadecimal)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	latencies := stored("01c0fed0e6d52b0080d0b8e1981a0001dd020197020268ac02a00201")
	want := of([]float64{0, 0.001, 0.25, 0.25, 900})
	want.AddCount(2, 300)
	got, err := sketch.Decode(latencies)
	if err != nil || summarise(got) != summarise(want) {
		t.Errorf("Decode: %+v, %v, want %+v", summarise(got), err, summarise(want))
	}
	if got := want.Encode(); !bytes.Equal(got, latencies) {
		t.Errorf("Sketch.Encode() = %x, want %x", got, latencies)
	}

	durations := stored("01dd02029702038305d804ac0102")
	var d sketch.Distribution
	d.Add(0.001, 1)
	d.Add(0.25, -2)
	d.Add(86400, 300)
	d.Add(math.Inf(1), 1)
	decoded, err := sketch.DecodeDistribution(durations)
	if err != nil || !sameDistribution(decoded, d) {
		t.Errorf("DecodeDistribution: %x, %v, want %x", decoded.Encode(), err, d.Encode())
	}
	if got := d.Encode(); !bytes.Equal(got, durations) {
		t.Errorf("Distribution.Encode() = %x, want %x", got, durations)
	}
}

// uvarints returns an encoding of the version that Decode accepts.
func uvarints(values ...uint64) []byte {
	b := []byte{1}
	for _, v := range values {
		b = binary.AppendUvarint(b, v)
	}
	return b
}

func TestDecodeRefuses(t *testing.T) {
	second := uint64(sketch.Bin(1))
	const nanos = 1_000_000_000
	if _, err := sketch.Decode(uvarints(nanos, nanos, nanos, second, 1)); err != nil {
		t.Fatalf("the encoding these are variations of: %v", err)
	}
	tests := []struct {
		name  string
		bytes []byte
	}{
		{"nothing", nil},
		{"another version", []byte{2}},
		{"too many bytes", make([]byte, sketch.MaxEncoded+1)},
		{"no bins", uvarints(nanos, nanos, nanos)},
		{"a bin without a count", uvarints(nanos, nanos, nanos, second)},
		{"an empty bin", uvarints(nanos, nanos, nanos, second, 0)},
		{"a bin twice", uvarints(2*nanos, nanos, nanos, second, 1, 0, 1)},
		{"a bin that does not exist", uvarints(nanos, nanos, nanos, sketch.Bins, 1)},
		{"bins that overflow", uvarints(2*nanos, nanos, nanos, second, 1, math.MaxUint64, 1)},
		{"a count beyond the limit", uvarints(nanos, nanos, nanos, second, 1<<52+1)},
		{"a count beyond any", uvarints(nanos, nanos, nanos, second, math.MaxUint64)},
		{"smallest value elsewhere", uvarints(nanos, 1, nanos, second, 1)},
		{"largest value elsewhere", uvarints(9*nanos, nanos, 9*nanos, second, 1)},
		{"smallest value above the largest", uvarints(nanos, nanos, nanos-1, second, 1)},
		{"sum below the largest value", uvarints(1, nanos, nanos, second, 1)},
		{"an endless number", append([]byte{1}, bytes.Repeat([]byte{0xff}, 30)...)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := sketch.Decode(tt.bytes); !errors.Is(err, sketch.ErrEncoding) {
				t.Errorf("got error %v, want ErrEncoding", err)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add((&sketch.Sketch{}).Encode())
	f.Add(of([]float64{0.001, 0.2, 0.2, 700}).Encode())
	f.Add(benchmarkMinute().Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := sketch.Decode(b)
		if err != nil {
			if !errors.Is(err, sketch.ErrEncoding) {
				t.Fatalf("got error %v, want ErrEncoding", err)
			}
			return
		}
		if _, ok := s.Quantile(0.99); ok != (s.Count() > 0) {
			t.Fatalf("Quantile ok = %v with count %d", ok, s.Count())
		}
		again, err := sketch.Decode(s.Encode())
		if err != nil || summarise(again) != summarise(s) {
			t.Fatalf("decoded again: %+v, %v, want %+v", summarise(again), err, summarise(s))
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	s := benchmarkMinute()
	for b.Loop() {
		s.Encode()
	}
	b.ReportMetric(float64(len(s.Encode())), "bytes")
}

func BenchmarkDecode(b *testing.B) {
	encoded := benchmarkMinute().Encode()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := sketch.Decode(encoded); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReport sums up a day of a route and reads its quantiles.
func BenchmarkReport(b *testing.B) {
	minute := benchmarkMinute().Encode()
	b.ReportAllocs()
	for b.Loop() {
		var day sketch.Sketch
		for range 24 * 60 {
			if err := day.MergeEncoded(minute); err != nil {
				b.Fatal(err)
			}
		}
		for _, q := range []float64{0.5, 0.95, 0.99} {
			day.Quantile(q)
		}
	}
}
