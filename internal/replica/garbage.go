package replica

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// What is live is mostly the mailbox, large and lasting. Garbage may grow to twice that before it is collected, since to mark it
// again and again was a fifth of the server's time under polls; but by no more than a bound, since with a large fleet twice is
// memory for nothing; and by a fifth in any case, lest the collector does nothing else.
const (
	garbageMax   = 200 // percent of what is live
	garbageMin   = 20
	garbageBound = 24 << 20 // bytes
	garbageEvery = 2 * time.Second

	// Executions that come in make garbage of ten times their size, and next to nothing that stays: to mark what is live as often was a
	// sixth of the server's time. While many come there may be more.
	storingBound = 96 << 20
	storingMax   = 600 // percent
	storingMany  = 500 // executions a second
	// storingFor is how long it is thought that many go on coming: exporters bring them in bursts, every few seconds.
	storingFor = 30 * time.Second
)

// garbage bounds the server's garbage. It is for one goroutine.
type garbage struct {
	stored  func() uint64 // executions that were committed since the start
	before  uint64
	storing time.Duration // how long it is thought that many come
}

// bound has the collector work so often that garbage keeps within its bound, unless GOGC says how often.
func (g *garbage) bound(context.Context) error {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	busy := g.isStoring()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/gogc:percent"}}
	metrics.Read(live)
	if percent := percentOf(live[0].Value.Uint64(), busy); uint64(percent) != live[1].Value.Uint64() {
		debug.SetGCPercent(percent)
	}
	return nil
}

// isStoring reports whether many executions come in. It is called every garbageEvery.
func (g *garbage) isStoring() bool {
	stored := g.stored()
	if stored-g.before >= storingMany*uint64(garbageEvery/time.Second) {
		g.storing = storingFor
	} else {
		g.storing = max(g.storing-garbageEvery, 0)
	}
	g.before = stored
	return g.storing > 0
}

// percentOf is how much garbage there may be, for what is live, in steps of a tenth, as each change stops the world for a moment.
func percentOf(live uint64, storing bool) int {
	percent, bound := garbageMax, uint64(garbageBound)
	if storing {
		percent, bound = storingMax, storingBound
	}
	for percent > garbageMin && live*uint64(percent)/100 > bound {
		percent = max(percent-percent/10, garbageMin)
	}
	return percent
}
