package mailbox_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/fleet/mailbox"
)

var errDatabase = errors.New("the database is unavailable")

// database is a fake PostgreSQL. Each writing method commits one transaction. The test controls the order of commits, the
// sweeps' snapshots and the sweeps' ends. It uses the bubble's time.
type database struct {
	mu      sync.Mutex
	commits uint64 // a snapshot is identified by this number
	server  int
	lives   int // number of restores
	agents  map[string]*row
	deleted map[string]uint64 // by agent: the commit
	minted  uint64
	history map[string][]version
	order   *rand.Rand // order of a sweep's rows

	// Faults of sweeps.
	fault     error
	faultRow  int           // rows returned before the fault
	latency   time.Duration // from the snapshot to the first row
	wholeSlow time.Duration // the same, for full sweeps only
	gate      chan struct{} // blocks a sweep that has its snapshot
	stalled   bool          // sweeps do not return
	onHeal    func()

	sweeps  []sweep
	lookups int
	applied sweep // the newest successful sweep

	saves     []save
	saveFault error
	onSave    func()
}

type row struct {
	token   string
	own     time.Duration
	unseen  bool   // no incremental sweep returns it
	changed uint64 // the commit that enrolled it or rotated its token
	moved   uint64 // the commit that last changed its deployments
	work    []work // pending, oldest first
}

type work struct {
	fleet.Waiting
	due time.Time
}

// version is what an agent had pending from a commit on.
type version struct {
	commit uint64
	at     time.Time
	work   []work
}

type sweep struct {
	begun, ended time.Time
	snapshot     uint64
	whole        bool
	rechecked    []string
}

type save struct {
	at   time.Time
	seen []mailbox.Sighting
}

// newDatabase returns a database with enrolled agents.
func newDatabase(ids ...string) *database {
	db := &database{
		server: 1, agents: map[string]*row{}, deleted: map[string]uint64{}, history: map[string][]version{},
		order: rand.New(rand.NewPCG(1, 2)),
	}
	for _, id := range ids {
		db.enrol(id)
	}
	return db
}

// set changes the faults of sweeps.
func (d *database) set(change func(*database)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d)
}

func (d *database) fail() { d.set(func(d *database) { d.fault, d.faultRow = errDatabase, 0 }) }

func (d *database) heal() {
	d.set(func(d *database) {
		d.fault, d.saveFault, d.stalled = nil, nil, false
		if d.onHeal != nil {
			d.onHeal()
		}
	})
}

// hold blocks sweeps after their snapshot until release is called.
func (d *database) hold() (release func()) {
	gate := make(chan struct{})
	d.set(func(d *database) { d.gate = gate })
	return sync.OnceFunc(func() {
		d.set(func(d *database) {
			if d.gate == gate {
				d.gate = nil
			}
		})
		close(gate)
	})
}

func (d *database) restart() { d.set(func(d *database) { d.server++ }) }

// commit commits one transaction. d.mu must be held.
func (d *database) commit(id string) {
	v := version{commit: d.commits, at: time.Now()}
	if r := d.agents[id]; r != nil {
		v.work = slices.Clone(r.work)
	}
	d.history[id] = append(d.history[id], v)
}

func (d *database) enrol(id string) (token string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.commits++
	token = d.mint()
	d.agents[id] = &row{token: token, own: 10 * time.Second, changed: d.commits}
	d.commit(id)
	return token
}

// slow changes an agent's interval.
func (d *database) slow(id string, own time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.commits++
	d.agents[id].own, d.agents[id].changed = own, d.commits
	d.commit(id)
}

// restore replaces the database by another one with these agents, which have new tokens.
func (d *database) restore(ids ...string) {
	d.set(func(d *database) {
		d.lives++
		d.server = 1000 * d.lives // not a number that restarts reach
	})
	for _, id := range d.ids() {
		d.delete(id)
	}
	d.set(func(d *database) { clear(d.deleted) })
	for _, id := range ids {
		d.enrol(id)
	}
}

func (d *database) rotate(id string) (token string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.commits++
	token = d.mint()
	d.agents[id].token, d.agents[id].changed = token, d.commits
	d.commit(id)
	return token
}

func (d *database) delete(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.commits++
	delete(d.agents, id)
	d.deleted[id] = d.commits
	d.commit(id)
}

// create creates a deployment that becomes due after in, and returns the tag of the agent's deployments that are due now.
func (d *database) create(id string, in time.Duration) (tag string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.commits++
	d.minted++
	w := work{fleet.Waiting{Attempt: 1}, time.Now().Add(in)}
	binary.BigEndian.PutUint64(w.ID[8:], d.minted)
	r := d.agents[id]
	r.work, r.moved = append(r.work, w), d.commits
	d.commit(id)
	return tagOf(r.work, time.Now())
}

// claim claims the agent's oldest deployment, if any.
func (d *database) claim(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.agents[id]
	if len(r.work) == 0 {
		return
	}
	d.commits++
	r.work, r.moved = r.work[1:], d.commits
	d.commit(id)
}

func (d *database) mint() (token string) {
	d.minted++
	return fmt.Sprintf("%s%043d", fleet.TokenPrefix, d.minted)
}

func (d *database) token(id string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.agents[id].token
}

func (d *database) tag(id string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r := d.agents[id]; r != nil {
		return tagOf(r.work, time.Now())
	}
	return nothing
}

func (d *database) sweepCount() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.sweeps)
}

func (d *database) lookupCount() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lookups
}

// ids returns the enrolled agents, sorted.
func (d *database) ids() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.agents))
}

func dueOf(all []work, now time.Time) (due []fleet.Waiting, next time.Duration) {
	next = -1
	for _, w := range all {
		if in := w.due.Sub(now); in <= 0 {
			due = append(due, w.Waiting)
		} else if next < 0 || in < next {
			next = in
		}
	}
	return due[:min(len(due), fleet.MaxPending)], next
}

func tagOf(all []work, now time.Time) string {
	due, _ := dueOf(all, now)
	return fleet.PendingTag(due)
}
