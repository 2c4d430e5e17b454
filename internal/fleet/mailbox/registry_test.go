package mailbox

import (
	"strconv"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/fleet"
)

// TestRecordsAreReused: enrolling and deleting agents takes no more memory than the maximum enrolled at a time.
func TestRecordsAreReused(t *testing.T) {
	t.Parallel()
	r := newRegistry()
	for round := range 10 * blockSize {
		id := strconv.Itoa(round)
		r.add(id, fleet.HashToken(id), pace{own: 10}, 0)
		if round >= 5 {
			r.remove(strconv.Itoa(round - 5))
		}
	}
	if got := len(*r.records.blocks.Load()); got != 1 {
		t.Errorf("of 5 agents at once: want 1 block, got %d", got)
	}
	if got := r.size(); got != 5 {
		t.Errorf("want 5 agents, got %d", got)
	}
}

// TestViewOfPredecessor: a handle shows its own agent only, while the record is reused by others.
func TestViewOfPredecessor(t *testing.T) {
	t.Parallel()
	m := New(Options{Now: time.Now})
	m.views.Store(viewsCurrent)
	r := m.agents
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for round := range 20_000 {
			id := strconv.Itoa(round)
			r.add(id, fleet.HashToken(id), pace{own: uint16(round), group: uint16(round)}, 0).setTag(&id)
			if a, _ := r.find(id); round%3 == 0 {
				r.rekey(a, fleet.HashToken(id+" again"), pace{own: uint16(round), group: uint16(round)})
			}
			r.remove(id)
		}
	}()
	defer func() { <-ended }()
	for {
		select {
		case <-ended:
			return
		default:
		}
		if r.size() == 0 {
			continue
		}
		r.owners.RLock()
		a := r.handle(0) // there is only one record, whichever agent has it
		r.owners.RUnlock()
		if v, err := m.View(a); err == nil && a.id != "" && v.Tag != fleet.NothingWaiting && (v.Tag != a.id || strconv.Itoa(int(a.pace.own)) != a.id || a.pace.group != a.pace.own) {
			t.Fatalf("the handle of %s tells the tag of %s, and the interval %d", a.id, v.Tag, a.pace.own)
		}
	}
}
