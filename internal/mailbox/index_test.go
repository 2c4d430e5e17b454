package mailbox

import (
	"math/rand/v2"
	"strconv"
	"testing"
)

// TestIndex holds an index against a map, through all that can be done to it, with hashes that are often the same.
func TestIndex(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		ids := 1 + r.IntN(400)
		hashOf := func(id string) uint32 { // near one another at the table's end, or anywhere; some are 0
			n, _ := strconv.Atoi(id)
			if seed%2 == 0 {
				return uint32(n % 7 * -1)
			}
			return uint32(n%(ids/2+1)) * 2654435761
		}
		var x index
		want := map[string]*Agent{}
		for range 5000 {
			id := strconv.Itoa(r.IntN(ids))
			meant := func(a *Agent) bool { return a.id == id }
			var got *Agent
			old := want[id]
			switch r.IntN(5) {
			case 0, 1:
				a := &Agent{id: id}
				got, want[id] = x.put(hashOf(id), a, meant), a
			case 2:
				got = x.remove(hashOf(id), meant)
				delete(want, id)
			default:
				got = x.find(hashOf(id), meant)
			}
			if got != old {
				t.Fatalf("seed %d, agent %s: want %p, got %p", seed, id, old, got)
			}
			if x.used != len(want) {
				t.Fatalf("seed %d: want %d agents, got %d", seed, len(want), x.used)
			}
		}
		seen := 0
		x.each(func(a *Agent) {
			if seen++; want[a.id] != a {
				t.Errorf("seed %d: %s is there and should not be", seed, a.id)
			}
		})
		if seen != len(want) {
			t.Errorf("seed %d: want %d agents, went through %d", seed, len(want), seen)
		}
	}
}
