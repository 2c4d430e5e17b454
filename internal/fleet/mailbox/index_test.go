package mailbox

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestIndex compares an index with a map under all operations, with many equal hashes.
func TestIndex(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		numbers := 1 + r.Uint32N(400)
		hashOf := func(n uint32) uint32 { // close together at the table's end, or anywhere; some are 0
			if seed%2 == 0 {
				return -(n % 7)
			}
			return n % (numbers/2 + 1) * 2654435761
		}
		var x index
		want := map[uint32]bool{}
		for range 5000 {
			n := r.Uint32N(numbers)
			meant := func(m uint32) bool { return m == n }
			var got uint32
			var found bool
			had := want[n]
			switch r.IntN(5) {
			case 0, 1:
				if got, found = x.find(hashOf(n), meant); !found {
					x.add(hashOf(n), n)
					want[n] = true
				}
			case 2:
				got, found = x.remove(hashOf(n), meant)
				delete(want, n)
			default:
				got, found = x.find(hashOf(n), meant)
			}
			if found != had || found && got != n {
				t.Fatalf("seed %d: want %d there: %v; got %d there: %v", seed, n, had, got, found)
			}
			if x.used != len(want) {
				t.Fatalf("seed %d: want %d numbers, got %d", seed, len(want), x.used)
			}
		}
		var all []uint32
		x.each(func(n uint32) { all = append(all, n) })
		slices.Sort(all)
		if unique := slices.Compact(slices.Clone(all)); len(all) != len(want) || len(unique) != len(want) {
			t.Fatalf("seed %d: want %d numbers, went through %d, %d of them others", seed, len(want), len(all), len(unique))
		}
		for _, n := range all {
			if !want[n] {
				t.Errorf("seed %d: %d is there and should not be", seed, n)
			}
		}
	}
}
