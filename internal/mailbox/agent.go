package mailbox

import (
	"sync/atomic"
	"time"

	"github.com/watchbill/watchbill/internal/fleet"
)

// Agent is a handle of one enrolled agent under one token. It says what it said when it was made for as long as it is kept; whether the
// agent is still there, and has that token, View tells. The zero Agent is nobody.
type Agent struct {
	id         string
	pace       pace
	number     uint32
	generation uint32
	record     *record
}

// ID is the agent's id.
func (a Agent) ID() string { return a.id }

// Own is the interval that the agent asked for.
func (a Agent) Own() time.Duration { return time.Duration(a.pace.own) * time.Second }

// LastSeen returns when this replica last saw the agent, which may not be written to the database yet; zero if it has not.
func (a Agent) LastSeen() time.Time {
	nanos := max(a.record.seen.Load(), a.record.savedSeen.Load())
	if nanos <= 0 || a.gone() {
		return time.Time{}
	}
	return time.Unix(0, nanos)
}

// gone reports whether the agent was deleted or its token rotated.
func (a Agent) gone() bool { return a.record.generation.Load() != a.generation }

// record is what is known of an agent. Its fields leave no gaps: there may be a million of these.
type record struct {
	// Whose it is. Only the sweeper changes that, under every lock under which it may be read: see registry.
	id    string // empty: nobody's
	token fleet.TokenHash
	pace  pace

	// generation moves when handles cease to be good: the agent is gone, and another may get the record, or its token was rotated.
	generation atomic.Uint32
	// version moves with every change of tag, every local write that may change it, and with generation.
	version atomic.Uint32
	held    atomic.Int32 // polls waiting
	// tag is of what waits by the newest sweep that looked; nil: nothing does.
	tag atomic.Pointer[string]
	// written is how many sweeps had begun when a local write may last have changed what waits; the tag may be older
	// than it until a later one is applied.
	written atomic.Uint64
	wake    atomic.Pointer[wake]

	// When it was seen, when that was last written, and when it had been seen by then, in nanoseconds of the Unix clock. It is listed among
	// the sightings for as long as seen is not 0.
	seen, saved, savedSeen atomic.Int64

	// The whole sweeps that last mentioned it, and something waiting for it. The sweeper's own.
	mark, tagMark uint32
}

// pace is what an agent's interval follows from.
type pace struct {
	own   uint16 // seconds that it asked for
	group uint16 // see groups
}

type wake struct{ ch chan struct{} }

// moved lets waiting polls look again.
func (r *record) moved() {
	r.version.Add(1)
	if w := r.wake.Swap(nil); w != nil {
		close(w.ch)
	}
}

// changes is closed by the next call of moved.
func (r *record) changes() <-chan struct{} {
	for {
		if w := r.wake.Load(); w != nil {
			return w.ch
		}
		w := &wake{make(chan struct{})}
		if r.wake.CompareAndSwap(nil, w) {
			return w.ch
		}
	}
}

func (r *record) setTag(tag *string) {
	old := r.tag.Swap(tag)
	if (old == nil) != (tag == nil) || old != nil && *old != *tag {
		r.moved()
	}
}

// disown makes every handle bad.
func (r *record) disown() {
	r.generation.Add(1)
	r.moved()
}

// clear forgets who had the record. Polls that it held count until they end, and what was listed stays listed, as seen never.
func (r *record) clear() {
	r.tag.Store(nil)
	r.written.Store(0)
	r.saved.Store(0)
	r.savedSeen.Store(0)
	r.mark, r.tagMark = 0, 0
	if nanos := r.seen.Load(); nanos != 0 {
		r.seen.CompareAndSwap(nanos, never)
	}
}

// never is when an agent was seen that was not, but whose record is listed for who had it before.
const never = -1
