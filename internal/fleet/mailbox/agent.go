package mailbox

import (
	"sync/atomic"
	"time"

	"github.com/watchbill/watchbill/internal/fleet"
)

// Agent is a handle of one enrolled agent under one token. Its values do not change; View reports whether the agent still
// exists and has that token. The zero Agent is not valid.
type Agent struct {
	id         string
	pace       pace
	number     uint32
	generation uint32
	record     *record
}

// ID is the agent's id.
func (a Agent) ID() string { return a.id }

// Own returns the interval that the agent asked for.
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

// record is the state of one agent. Its fields are ordered to leave no padding: there may be a million records.
type record struct {
	// The agent that has the record.
	id    string // empty: unused
	token fleet.TokenHash
	pace  pace

	// generation is incremented when handles become invalid.
	generation atomic.Uint32
	// version is incremented by notify.
	version atomic.Uint32
	held    atomic.Int32 // held polls
	// tag is the entity tag of the pending deployments as of the last sweep that read them; nil if there are none.
	tag atomic.Pointer[string]
	// written is the number of sweeps begun when a local write last may have changed the pending deployments. Until a
	// later sweep is applied the tag may be stale.
	written atomic.Uint64
	wake    atomic.Pointer[wake]

	// seen is when the agent last polled, saved when that was last written, and savedSeen the value written, in Unix
	// nanoseconds.
	seen, saved, savedSeen atomic.Int64

	// The last full sweeps that mentioned the agent, and its pending deployments. Used by the sweeper alone.
	mark, tagMark uint32
}

// pace determines an agent's poll interval.
type pace struct {
	own   uint16 // requested interval in seconds
	group uint16 // see groups
}

type wake struct{ ch chan struct{} }

// notify wakes the held polls, which then read the record again.
func (r *record) notify() {
	r.version.Add(1)
	if w := r.wake.Swap(nil); w != nil {
		close(w.ch)
	}
}

// changes returns a channel that the next call of notify closes.
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
		r.notify()
	}
}

// invalidate makes every handle of the record invalid.
func (r *record) invalidate() {
	r.generation.Add(1)
	r.notify()
}

// clear resets the record for reuse. Held polls count until they end. A record in the seenSet stays there, as never seen.
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

// never marks a record that is in the seenSet on behalf of its previous agent.
const never = -1
