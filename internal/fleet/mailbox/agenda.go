package mailbox

import (
	"container/heap"
	"time"
)

// agenda schedules agents to recheck, since nothing is committed when a deployment becomes due. It keeps one time for
// each agent, the earliest requested; the recheck returns the next one.
type agenda struct {
	of    map[string]*entry
	order entries // earliest first
}

func (g *agenda) add(id string, at time.Time) {
	e := g.of[id]
	switch {
	case e == nil:
		if g.of == nil {
			g.of = map[string]*entry{}
		}
		e = &entry{at: at, id: id}
		g.of[id] = e
		heap.Push(&g.order, e)
	case at.Before(e.at):
		e.at = at
		heap.Fix(&g.order, e.index)
	}
}

func (g *agenda) first() (time.Time, bool) {
	if len(g.order) == 0 {
		return time.Time{}, false
	}
	return g.order[0].at, true
}

// take removes and returns the agents that are due.
func (g *agenda) take(now time.Time) []string {
	var ids []string
	for len(g.order) > 0 && !g.order[0].at.After(now) {
		e := heap.Pop(&g.order).(*entry)
		delete(g.of, e.id)
		ids = append(ids, e.id)
	}
	return ids
}

type entry struct {
	at    time.Time
	id    string
	index int // in the heap
}

type entries []*entry

func (h entries) Len() int           { return len(h) }
func (h entries) Less(i, j int) bool { return h[i].at.Before(h[j].at) }

func (h entries) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *entries) Push(x any) {
	e := x.(*entry)
	e.index = len(*h)
	*h = append(*h, e)
}

func (h *entries) Pop() any {
	old := *h
	last := old[len(old)-1]
	old[len(old)-1] = nil // for the garbage collector
	*h = old[:len(old)-1]
	return last
}
