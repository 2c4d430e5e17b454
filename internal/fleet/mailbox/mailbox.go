package mailbox

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/fleet"
)

// ErrUnknownToken is returned for a token that no enrolled agent has, or no longer has.
var ErrUnknownToken = errors.New("unknown token")

// ErrStale is returned while pending deployments cannot be read from the database.
var ErrStale = fault.UnavailableBecause("pending deployments cannot be read from the database; try again later")

// ErrDraining is returned for held polls when the replica is shutting down.
var ErrDraining = errors.New("draining")

// Options are a Mailbox's settings. The zero value of a duration means its default.
type Options struct {
	Source Source
	Log    *zap.Logger
	Now    func() time.Time

	// SweepInterval bounds how stale a view can be while the database is reachable. Default 500 ms, so that a revoked
	// token is rejected within a second even if hints are lost.
	SweepInterval time.Duration
	// SweepTimeout is a sweep's deadline, after which its connection is closed as stalled. Default 2 s. A full sweep has
	// ten times as long.
	SweepTimeout time.Duration
	// StaleAfter is how long sweeps may fail before the mailbox is stale. Default 5 s.
	StaleAfter time.Duration
	// StaleGrace is how long a stale mailbox continues to serve polls from memory. Default 2 min.
	StaleGrace time.Duration
	// PresenceInterval is how often last-seen is written. Default fleet.PresenceLag.
	PresenceInterval time.Duration
}

// Mailbox caches the pending deployments of each agent. See the package comment.
type Mailbox struct {
	opts   Options
	agents *registry

	kick     chan struct{}
	draining chan struct{}
	drain    sync.Once
	groups   groups

	views    atomic.Int32 // one of the constants below
	begun    atomic.Uint64
	applied  atomic.Uint64
	lastGood atomic.Int64 // when the newest applied sweep began, in Unix nanoseconds

	mu       sync.Mutex
	finished chan struct{} // closed and replaced when a sweep ends, successfully or not
	failed   uint64        // number of the newest failed sweep

	// needFullSweep requests a full sweep: the database has an agent that no sweep reported.
	needFullSweep atomic.Bool
	// unwritten requests that last-seen be written again: it may be another database.
	unwritten atomic.Bool

	tokens  lookups
	sweeper sweeper
	seen    seenSet
	parked  parking
	holds   holds
}

const (
	viewsUnfilled int32 = iota // no sweep has succeeded yet
	viewsCurrent               // sweeps succeed
	viewsStale                 // sweeps have failed for StaleAfter; views are still returned
	viewsClosed                // sweeps have failed for too long; views are refused
)

// New returns a Mailbox. It is empty until Run has swept once.
func New(opts Options) *Mailbox {
	setDefault := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	setDefault(&opts.SweepInterval, 500*time.Millisecond)
	setDefault(&opts.SweepTimeout, 2*time.Second)
	setDefault(&opts.StaleAfter, 5*time.Second)
	setDefault(&opts.StaleGrace, 2*time.Minute)
	setDefault(&opts.PresenceInterval, fleet.PresenceLag)
	m := &Mailbox{
		opts: opts, agents: newRegistry(),
		kick: make(chan struct{}, 1), draining: make(chan struct{}), finished: make(chan struct{}),
		tokens: newLookups(),
	}
	m.sweeper.m = m
	return m
}

// Agent returns the enrolled agent with the id.
func (m *Mailbox) Agent(id string) (Agent, bool) { return m.agents.find(id) }

// MarkSeen records when the agent polled, by the mailbox's clock. The time is written to the database within a few seconds.
func (m *Mailbox) MarkSeen(a Agent, at time.Time) { m.markSeen(a, at.UnixNano()) }

// SetFloors sets the minimum poll interval of agents by the enrollment token that they were enrolled with. Others have none.
func (m *Mailbox) SetFloors(floors map[string]time.Duration) { m.groups.setFloors(floors) }

// Interval returns the agent's poll interval: its own, or its group's minimum if that is longer. It is not jittered.
func (m *Mailbox) Interval(a Agent) time.Duration { return max(a.Own(), m.groups.floor(a.pace.group)) }

// View is an agent's pending deployments as the mailbox knows them.
type View struct {
	// Tag is the entity tag of the pending deployments; fleet.NothingWaiting if there are none.
	Tag string
	// Fresh is false from a write on this replica until a sweep has read it: ask the database instead. A caller that got
	// another tag there clears Tag before Await, since the next sweep may find the same tag again.
	Fresh bool
	// Stale reports that the database has been unreachable for a while and should not be asked.
	Stale bool

	version uint32
	begun   uint64 // number of sweeps begun
}

// View returns the agent's pending deployments. It fails with ErrUnknownToken if the agent was deleted or its token
// rotated, and with fault.ErrUnavailable if sweeps have failed for too long.
func (m *Mailbox) View(a Agent) (View, error) {
	v := View{version: a.record.version.Load()} // before the values that it is the version of
	v.Fresh = m.applied.Load() > a.record.written.Load()
	v.Tag = fleet.NothingWaiting
	if tag := a.record.tag.Load(); tag != nil {
		v.Tag = *tag
	}
	if a.gone() { // after the reads above, which may be of another agent
		return View{}, ErrUnknownToken
	}
	views := m.views.Load()
	if views == viewsUnfilled || views == viewsClosed {
		return View{}, ErrStale
	}
	v.Stale = views == viewsStale
	v.begun = m.begun.Load()
	return v, nil
}

// Revision identifies a state of an agent's pending deployments on this replica. It is comparable. It changes with every
// change that a sweep finds and every write on this replica.
type Revision struct{ number, generation, version uint32 }

// Revision returns the revision of the view.
func (v View) Revision(a Agent) Revision { return Revision{a.number, a.generation, v.version} }

// Await waits until the agent's view may differ from v and returns nil; a view that is not Fresh may differ once a later
// sweep is applied. It returns ErrDraining on a drain, ErrReplaced once MaxHeld newer polls of the agent are held, or the
// context's error. An agent with a held poll counts as seen.
func (m *Mailbox) Await(ctx context.Context, a Agent, v View) error {
	hold := m.holds.add(a.number)
	defer m.holds.remove(a.number, hold)
	a.record.held.Add(1)
	m.MarkSeen(a, m.opts.Now())
	defer func() {
		a.record.held.Add(-1)
		m.MarkSeen(a, m.opts.Now())
	}()
	changes := a.record.changes()
	if a.record.version.Load() != v.version {
		return nil
	}
	for {
		var swept <-chan struct{} // nil for a Fresh view
		if !v.Fresh {
			swept, _ = m.sweepEnd()
			if m.applied.Load() > v.begun {
				return nil
			}
		}
		select {
		case <-changes:
			return nil
		case <-swept:
		case <-hold.replaced:
			return ErrReplaced
		case <-m.draining:
			return ErrDraining
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Changed records that a committed write on this replica changed these agents' pending deployments. Their views are not
// Fresh until a sweep has read it.
func (m *Mailbox) Changed(ids ...string) {
	begun := m.begun.Load() // a sweep under way may miss the write; the next one cannot
	for _, id := range ids {
		if a, known := m.agents.find(id); known {
			raise(&a.record.written, begun)
			a.record.notify()
		}
	}
	m.Kick()
}

func raise(to *atomic.Uint64, value uint64) {
	for {
		old := to.Load()
		if old >= value || to.CompareAndSwap(old, value) {
			return
		}
	}
}

// Kick requests a sweep now, as a hint from another replica does.
func (m *Mailbox) Kick() {
	select {
	case m.kick <- struct{}{}:
	default:
	}
}

// Sync waits until a sweep that began after the call is applied, so that everything committed before the call is known.
// It fails with fault.ErrUnavailable if that sweep fails or Run has returned.
func (m *Mailbox) Sync(ctx context.Context) error {
	target := m.begun.Load() + 1
	m.Kick()
	for {
		finished, failed := m.sweepEnd()
		switch {
		case m.applied.Load() >= target:
			return nil
		case failed >= target:
			return ErrStale
		}
		select {
		case <-finished:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// sweepEnd returns a channel that is closed when the next sweep ends, and the number of the newest failed sweep.
func (m *Mailbox) sweepEnd() (finished <-chan struct{}, failed uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.finished, m.failed
}

// endSweep wakes the callers that wait for the end of a sweep. failed is its number if it failed, otherwise 0.
func (m *Mailbox) endSweep(failed uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failed = max(m.failed, failed)
	close(m.finished)
	m.finished = make(chan struct{})
}

// Drain releases all held polls. None are held afterwards.
func (m *Mailbox) Drain() { m.drain.Do(func() { close(m.draining) }) }

// Health describes how current the mailbox is.
type Health struct {
	Filled     bool // a sweep has succeeded
	Stale      bool // sweeps have been failing
	Draining   bool // no polls are held any more
	Agents     int
	SinceSweep time.Duration // age of the newest applied sweep
}

// Health returns how current the mailbox is.
func (m *Mailbox) Health() Health {
	s := m.views.Load()
	h := Health{Filled: s != viewsUnfilled, Stale: s == viewsStale || s == viewsClosed, Agents: m.agents.size()}
	select {
	case <-m.draining:
		h.Draining = true
	default:
	}
	if last := m.lastGood.Load(); last != 0 {
		h.SinceSweep = m.opts.Now().Sub(time.Unix(0, last))
	}
	return h
}
