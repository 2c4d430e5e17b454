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

// ErrUnknownToken says that no enrolled agent has the token (any more).
var ErrUnknownToken = errors.New("unknown token")

// ErrBlind says that what waits for agents cannot be read.
var ErrBlind = fault.UnavailableBecause("what waits for agents cannot be read from the database; try again later")

// ErrDraining says that the replica is shutting down and holds no more polls.
var ErrDraining = errors.New("draining")

// Options are a Mailbox's settings. The zero value of a duration means its default.
type Options struct {
	Source Source
	Log    *zap.Logger
	Now    func() time.Time

	// SweepInterval bounds how stale a view can be while the database answers. Default 500 ms, so that a revoked token
	// dies within a second whatever becomes of the hints.
	SweepInterval time.Duration
	// SweepTimeout is a sweep's deadline, after which its connection is given up as stalled. Default 2 s. The first
	// one, which reads everything, has ten times as long.
	SweepTimeout time.Duration
	// BlindAfter is how long sweeps may fail before the replica calls itself blind. Default 5 s.
	BlindAfter time.Duration
	// BlindGrace is how long a blind replica goes on answering from memory. Default 2 min.
	BlindGrace time.Duration
	// PresenceInterval is how often last-seen is written. Default fleet.PresenceLag.
	PresenceInterval time.Duration
}

// Mailbox tells what each agent has waiting. See the package's comment.
type Mailbox struct {
	opts   Options
	agents *registry

	kick     chan struct{}
	draining chan struct{}
	drain    sync.Once
	groups   groups

	sight    atomic.Int32 // how well it sees; one of the constants below
	begun    atomic.Uint64
	applied  atomic.Uint64
	lastGood atomic.Int64 // nanoseconds of the Unix clock when the newest applied sweep began

	mu       sync.Mutex
	finished chan struct{} // closed and replaced when a sweep ends, well or not
	failed   uint64        // the newest sweep that failed

	// distrusted asks for a whole sweep: the database has an agent that the sweeps have not told of.
	distrusted atomic.Bool
	// unwritten asks that last-seen be written anew: the database may be another one.
	unwritten atomic.Bool

	tokens  lookups
	sweeper sweeper
	sighted sightings
	parked  parking
	holds   holds
}

const (
	sightNone   int32 = iota // nothing was read yet
	sightClear               // sweeps succeed
	sightBlind               // they have failed for a while; what is known is still told
	sightClosed              // they have failed for too long
)

// New makes a Mailbox. It knows nothing until Run has swept once.
func New(opts Options) *Mailbox {
	setDefault := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	setDefault(&opts.SweepInterval, 500*time.Millisecond)
	setDefault(&opts.SweepTimeout, 2*time.Second)
	setDefault(&opts.BlindAfter, 5*time.Second)
	setDefault(&opts.BlindGrace, 2*time.Minute)
	setDefault(&opts.PresenceInterval, fleet.PresenceLag)
	m := &Mailbox{
		opts: opts, agents: newRegistry(),
		kick: make(chan struct{}, 1), draining: make(chan struct{}), finished: make(chan struct{}),
		tokens: newLookups(),
	}
	m.sweeper.m = m
	return m
}

// Agent finds an enrolled agent by id.
func (m *Mailbox) Agent(id string) (Agent, bool) { return m.agents.find(id) }

// Saw notes when the agent polled, by the mailbox's clock. It is written to the database within a few seconds.
func (m *Mailbox) Saw(a Agent, at time.Time) { m.saw(a, at.UnixNano()) }

// SetFloors sets the shortest intervals that agents are told, by who enrolled them. Whoever is not named has none.
func (m *Mailbox) SetFloors(floors map[string]time.Duration) { m.groups.setFloors(floors) }

// Interval is how often the agent is to poll: its own interval, or its group's floor where that is longer. It is not
// jittered.
func (m *Mailbox) Interval(a Agent) time.Duration { return max(a.Own(), m.groups.floor(a.pace.group)) }

// View is what the mailbox knows of an agent's pending deployments.
type View struct {
	// Tag is the entity tag of what waits; fleet.NothingWaiting where nothing does.
	Tag string
	// Fresh is false from a write on this replica until the sweep that sees it: ask the database instead. Whoever was
	// told another tag there clears it before Await, since the next sweep may find again what Tag says.
	Fresh bool
	// Blind says that the database has not answered for a while. Whoever would ask it had better not.
	Blind bool

	version uint32
	begun   uint64 // how many sweeps had
}

// View tells what waits for the agent. It fails with ErrUnknownToken if the agent is gone or its token was rotated,
// and with fault.ErrUnavailable if the mailbox has been blind for too long to be believed.
func (m *Mailbox) View(a Agent) (View, error) {
	v := View{version: a.record.version.Load()} // before what it is the version of
	v.Fresh = m.applied.Load() > a.record.written.Load()
	v.Tag = fleet.NothingWaiting
	if tag := a.record.tag.Load(); tag != nil {
		v.Tag = *tag
	}
	if a.gone() { // after all that may be of another agent already
		return View{}, ErrUnknownToken
	}
	sight := m.sight.Load()
	if sight == sightNone || sight == sightClosed {
		return View{}, ErrBlind
	}
	v.Blind = sight == sightBlind
	v.begun = m.begun.Load()
	return v, nil
}

// Revision names a state of what waits for an agent, as this replica knows it. It is comparable. It changes with every
// change that a sweep finds and every write on this replica.
type Revision struct{ number, generation, version uint32 }

// Revision returns the one that the view is of.
func (v View) Revision(a Agent) Revision { return Revision{a.number, a.generation, v.version} }

// Await returns nil as soon as the agent's view may differ from v (one that is not Fresh does once a later sweep is
// applied), ErrDraining on a drain, ErrReplaced once MaxHeld newer polls of the agent are held, or the context's error. An
// agent whose poll is held counts as seen.
func (m *Mailbox) Await(ctx context.Context, a Agent, v View) error {
	hold := m.holds.add(a.number)
	defer m.holds.remove(a.number, hold)
	a.record.held.Add(1)
	m.Saw(a, m.opts.Now())
	defer func() {
		a.record.held.Add(-1)
		m.Saw(a, m.opts.Now())
	}()
	changes := a.record.changes()
	if a.record.version.Load() != v.version {
		return nil
	}
	for {
		var swept <-chan struct{} // never, for a view that is Fresh
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

// Changed says that a write on this replica was committed which changed these agents' pending deployments. Their views
// are not Fresh until a sweep has seen it.
func (m *Mailbox) Changed(ids ...string) {
	begun := m.begun.Load() // a sweep that has begun may have missed the write; the next one cannot
	for _, id := range ids {
		if a, known := m.agents.find(id); known {
			raise(&a.record.written, begun)
			a.record.moved()
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

// Kick asks for a sweep now. It is what a hint from another replica does.
func (m *Mailbox) Kick() {
	select {
	case m.kick <- struct{}{}:
	default:
	}
}

// Sync returns when a sweep that began after the call has been applied: what was committed before it is known. It
// fails with fault.ErrUnavailable if that sweep does, or if Run has returned.
func (m *Mailbox) Sync(ctx context.Context) error {
	target := m.begun.Load() + 1
	m.Kick()
	for {
		finished, failed := m.sweepEnd()
		switch {
		case m.applied.Load() >= target:
			return nil
		case failed >= target:
			return ErrBlind
		}
		select {
		case <-finished:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// sweepEnd is closed when the next sweep ends. failed is the newest that did so badly.
func (m *Mailbox) sweepEnd() (finished <-chan struct{}, failed uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.finished, m.failed
}

// endSweep wakes who awaits the end of a sweep. failed is its number if it failed, else 0.
func (m *Mailbox) endSweep(failed uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failed = max(m.failed, failed)
	close(m.finished)
	m.finished = make(chan struct{})
}

// Drain releases every held poll at once and holds none from now on.
func (m *Mailbox) Drain() { m.drain.Do(func() { close(m.draining) }) }

// Health is how well the mailbox sees.
type Health struct {
	Filled     bool // it has swept once
	Blind      bool // sweeps have been failing
	Draining   bool // it holds no more polls
	Agents     int
	SinceSweep time.Duration // how old the newest applied sweep is
}

// Health tells how well the mailbox sees.
func (m *Mailbox) Health() Health {
	s := m.sight.Load()
	h := Health{Filled: s != sightNone, Blind: s == sightBlind || s == sightClosed, Agents: m.agents.size()}
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
