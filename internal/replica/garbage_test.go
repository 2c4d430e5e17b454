package replica

import "testing"

func TestPercentOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		live     uint64 // MiB
		min, max int
		storing  bool
	}{
		{0, 200, 200, false},
		{4, 200, 200, false},
		{12, 200, 200, false},
		{24, 90, 100, false},
		{75, 28, 32, false},
		{120, 20, 20, false},
		{1 << 20, 20, 20, false},
		{0, 600, 600, true},
		{16, 540, 600, true},
		{96, 90, 100, true},
		{1 << 20, 20, 20, true},
	} {
		if got := percentOf(tt.live<<20, tt.storing); got < tt.min || got > tt.max {
			t.Errorf("%d MiB live: %d %%, want %d to %d", tt.live, got, tt.min, tt.max)
		}
	}
}
