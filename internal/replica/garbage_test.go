package replica

import "testing"

func TestPercentOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		live     uint64 // MiB
		min, max int
	}{
		{0, 200, 200}, {4, 200, 200}, {16, 200, 200}, {32, 90, 100}, {100, 28, 32}, {160, 20, 20}, {1 << 20, 20, 20},
	} {
		if got := percentOf(tt.live << 20); got < tt.min || got > tt.max {
			t.Errorf("%d MiB live: %d %%, want %d to %d", tt.live, got, tt.min, tt.max)
		}
	}
}
