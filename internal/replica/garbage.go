package replica

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Limits of garbage. The live heap is mostly the mailbox, which is large and long-lived. Garbage may grow to twice its
// size before it is collected, since marking took a fifth of the server's time under polls. It is bounded, since with a
// large fleet that would waste memory, but a fifth of the live heap is always allowed, so that the collector does not
// run continuously.
const (
	garbageMax   = 200 // percent of the live heap
	garbageMin   = 20
	garbageBound = 24 << 20 // bytes
	garbageEvery = 2 * time.Second

	// Storing executions makes garbage of ten times their size and almost no live data; marking took a sixth of the server's
	// time. While many executions arrive the bound is higher.
	storingBound = 96 << 20
	storingMax   = 600 // percent
	storingMany  = 500 // executions per second
	// storingFor is how long storing is assumed to continue: exporters send executions in bursts, every few seconds.
	storingFor = 30 * time.Second
)

// garbage limits the server's garbage. It is not safe for concurrent use.
type garbage struct {
	stored  func() uint64 // returns the executions committed since the start
	before  uint64
	storing time.Duration // how long storing is still assumed to continue
}

// bound sets the collector's percentage to keep garbage within its limit, unless GOGC is set.
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

// isStoring reports whether many executions are being stored. It is called every garbageEvery.
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

// percentOf returns the allowed garbage in percent of the live heap, in steps of a tenth, since each change briefly stops the
// world.
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
