package mailbox

import (
	"sync/atomic"
	"time"

	"github.com/watchbill/watchbill/internal/fleet"
)

// Agent is the mailbox's handle of one enrolled agent under one token. A rotated token makes a new one; the old is
// gone, and with it whatever waited under it.
type Agent struct {
	// The order of the fields leaves no gaps: there may be a million of these.
	id    string
	token fleet.TokenHash
	own   int32 // seconds

	// version moves with every change of tag and every local write that may change it.
	version atomic.Uint32
	// tag is of what waits by the newest sweep that looked; nil: nothing does.
	tag atomic.Pointer[string]
	// written is how many sweeps had begun when a local write may last have changed what waits; the tag may be older
	// than it until a later one is applied.
	written atomic.Uint64

	gone atomic.Bool
	held atomic.Int32 // polls waiting
	seen atomic.Int64 // nanoseconds of the Unix clock; 0: not since that was written
	wake atomic.Pointer[wake]

	// When last-seen was written, in nanoseconds of the Unix clock. Who writes it has it for himself.
	saved int64

	// The whole sweeps that last mentioned it, and something waiting for it. The sweeper's own.
	mark, tagMark uint32
}

type wake struct{ ch chan struct{} }

// ID is the agent's id.
func (a *Agent) ID() string { return a.id }

// Own is the interval that the agent asked for.
func (a *Agent) Own() time.Duration { return time.Duration(a.own) * time.Second }

// moved lets waiting polls look again.
func (a *Agent) moved() {
	a.version.Add(1)
	if w := a.wake.Swap(nil); w != nil {
		close(w.ch)
	}
}

// changes is closed by the next call of moved.
func (a *Agent) changes() <-chan struct{} {
	for {
		if w := a.wake.Load(); w != nil {
			return w.ch
		}
		w := &wake{make(chan struct{})}
		if a.wake.CompareAndSwap(nil, w) {
			return w.ch
		}
	}
}

func (a *Agent) retire() {
	a.gone.Store(true)
	a.moved()
}
