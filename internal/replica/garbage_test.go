package replica

import "testing"

func TestPercentOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		live     uint64 // MiB
		min, max int
	}{
		{0, 200, 200}, {4, 200, 200}, {12, 200, 200}, {24, 90, 100}, {75, 28, 32}, {120, 20, 20}, {1 << 20, 20, 20},
	} {
		if got := percentOf(tt.live << 20); got < tt.min || got > tt.max {
			t.Errorf("%d MiB live: %d %%, want %d to %d", tt.live, got, tt.min, tt.max)
		}
	}
}
