package main

import (
	"math"
	"testing"
	"time"
)

// TestPickup checks when a deployment's wait begins, and that one that never arrives is included.
func TestPickup(t *testing.T) {
	t.Parallel()
	at := func(ms int) time.Time { return time.UnixMilli(1_000_000 + int64(ms)) }
	for name, test := range map[string]struct {
		creating      creating
		pickup, whole float64 // seconds
		counts        bool
	}{
		"picked up":                         {creating{at(0), at(5), at(7)}, 0.002, 0.007, true},
		"picked up before its creator knew": {creating{at(0), at(5), at(4)}, 0, 0.004, true},
		"never picked up":                   {creating{at(0), at(5), time.Time{}}, 0.995, 1, true},
		"its creator was never answered":    {creating{had: at(4)}, 0, 0, false},
	} {
		d := &deployments{created: map[string]creating{"id": test.creating}}
		if !test.creating.had.IsZero() {
			d.picked("id", at(500)) // sent again before it was claimed
		}
		d.chargeWaiting(at(1000))
		pickup, counts := d.pickup.Quantile(0.5)
		whole, _ := d.whole.Quantile(0.5)
		if counts != test.counts || math.Abs(pickup-test.pickup) > 0.01*test.pickup || math.Abs(whole-test.whole) > 0.01*test.whole {
			t.Errorf("%s: %v and %v, counts %v; want %v and %v, %v", name, pickup, whole, counts, test.pickup, test.whole, test.counts)
		}
	}
}
