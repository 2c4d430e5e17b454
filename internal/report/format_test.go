package report

import (
	"math"
	"testing"
)

func TestHumanReadableNumbers(t *testing.T) {
	tests := []struct{ got, want string }{
		{inTime(0), "0 ms"},
		{inTime(999), "999 ms"},
		{inTime(1000), "1 s"},
		{inTime(3_600_000), "3,600 s"},
		{dollars(0), "0 USD"},
		{dollars(0.000000001), "0.000000001 USD"},
		{dollars(0.0123456), "0.0123 USD"},
		{dollars(0.9999), "1 USD"},
		{dollars(1), "1.00 USD"},
		{dollars(12.995), "13.00 USD"},
		{dollars(12.99), "12.99 USD"},
		{dollars(1234567.891), "1,234,567.89 USD"},
		{dollars(-1.5), "-1.50 USD"},
		{size(0), "0 B"},
		{size(1023), "1,023 B"},
		{size(1536), "1.5 KiB"},
		{size(math.MaxInt64), "8,388,608 TiB"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

func TestChange(t *testing.T) {
	tests := []struct {
		name        string
		now, before *float64
		isRatio     bool
		want        string
	}{
		{"more", new(15.0), new(10.0), false, "+50 %"},
		{"less", new(5.0), new(10.0), false, "-50 %"},
		{"the same", new(5.0), new(5.0), false, "="},
		{"nothing, again", new(0.0), new(0.0), false, "="},
		{"from nothing", new(5.0), new(0.0), false, "–"},
		{"to nothing", new(0.0), new(5.0), false, "-100 %"},
		{"too little to show", new(1 + 1e-15), new(1.0), false, "="},
		{"not known before", new(5.0), nil, false, "–"},
		{"not known now", nil, new(5.0), false, "–"},
		{"a ratio", new(0.25), new(0.2), true, "+5 pp"},
		{"a ratio from nothing", new(0.01), new(0.0), true, "+1 pp"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := change(tt.now, tt.before, tt.isRatio); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
