package replica

import "testing"

// TestStoringGoesOnBetweenBursts stores executions in bursts, and finally none.
func TestStoringGoesOnBetweenBursts(t *testing.T) {
	t.Parallel()
	var stored uint64
	g := garbage{stored: func() uint64 { return stored }}
	few, many := uint64(storingMany*garbageEvery.Seconds())-1, uint64(storingMany*garbageEvery.Seconds())
	for i := range 5 {
		if stored += few; g.isStoring() {
			t.Fatalf("after %d times of few: is storing", i+1)
		}
	}
	for burst := range 3 {
		stored += many
		for pause := range 10 {
			if !g.isStoring() {
				t.Fatalf("burst %d, pause %d: is not storing", burst, pause)
			}
		}
	}
	ticks := 0
	for g.isStoring() {
		if ticks++; ticks > int(storingFor/garbageEvery) {
			t.Fatalf("still storing %d ticks after the last burst", ticks)
		}
	}
	if ticks == 0 {
		t.Error("the last burst was forgotten at once")
	}
}

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
