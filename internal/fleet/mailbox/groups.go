package mailbox

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// groups numbers the enrollment tokens that agents were enrolled with, and holds the minimum interval of each. Agents
// enrolled without a token have number 0.
type groups struct {
	mu      sync.Mutex
	numbers map[string]uint16
	floors  atomic.Pointer[[]time.Duration] // by number; may be nil
}

// number returns a group's number. Groups beyond the first 65,535 share one.
func (g *groups) number(name string) uint16 {
	if name == "" {
		return 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	number, known := g.numbers[name]
	if known {
		return number
	}
	if len(g.numbers) == math.MaxUint16 {
		return math.MaxUint16
	}
	if g.numbers == nil {
		g.numbers = map[string]uint16{}
	}
	number = uint16(len(g.numbers) + 1)
	g.numbers[name] = number
	return number
}

func (g *groups) setFloors(floors map[string]time.Duration) {
	var byNumber []time.Duration
	for name, floor := range floors {
		number := int(g.number(name))
		for len(byNumber) <= number {
			byNumber = append(byNumber, 0)
		}
		byNumber[number] = max(byNumber[number], floor)
	}
	if byNumber == nil {
		g.floors.Store(nil)
		return
	}
	g.floors.Store(&byNumber)
}

func (g *groups) floor(number uint16) time.Duration {
	floors := g.floors.Load()
	if floors == nil || int(number) >= len(*floors) {
		return 0
	}
	return (*floors)[number]
}
