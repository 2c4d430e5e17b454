package ratelimit

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

// DefaultMaxKeys is the default of Options.MaxKeys. A bucket takes some 300 bytes.
const DefaultMaxKeys = 100_000

// Options are a Limiter's settings. Only Now is required.
type Options struct {
	Limits Limits // if empty, everything is admitted
	Now    func() time.Time

	// MaxKeys limits the buckets of users, agents and tokens. Full buckets are evicted first. If there is none, new callers
	// share one overflow bucket per limit. Default DefaultMaxKeys.
	MaxKeys int

	// Store exchanges admissions with other replicas; nil for a single replica.
	Store Store
	// SyncInterval is the time between exchanges. Default 1 s.
	SyncInterval time.Duration
	// SyncTimeout is the deadline of an exchange. Default 2 s.
	SyncTimeout time.Duration
	Log         *zap.Logger // may be nil
}

// Subject identifies the caller. Limits by a property that is empty do not apply.
type Subject struct {
	User  string
	Agent string
	Token [32]byte // its hash
}

// Demand is a request for admission.
type Demand struct {
	Subject
	N int
}

// State is the state of a limit that applies to a demand.
type State struct {
	Name      string // such as user; unique among a scope's limits
	Limit     int64  // tokens added per Window
	Window    int64  // seconds
	Burst     int64  // capacity of the bucket
	Remaining int64  // tokens left
	Reset     int64  // seconds until one more token is added, rounded up; 0 if the bucket is full
}

// Decision is the result of a demand.
type Decision struct {
	Allowed bool
	Limits  []State // the limits that apply; of several buckets of one limit, the one with the fewest tokens

	// If the demand is rejected:
	RetryAfter time.Duration // until the same demand would be admitted, if no other is admitted before
	Reached    Limit         // the limit that rejects it; of several, the one that does so for the longest
	// TooMany reports that the demand exceeds the burst of Reached, so that waiting does not help. RetryAfter is then the
	// time until the bucket is full.
	TooMany bool
}

// Limiter decides on demands. One lock guards it, since a decision concerns several buckets at once and takes some 200 ns.
type Limiter struct {
	opts  Options
	begun time.Time

	gateway, ingest, enroll []*rule
	tallies                 []*tally

	mu       sync.Mutex
	table    table
	pending  []*bucket // to exchange with other replicas
	touched  []*bucket // buckets of the current demands; reused between calls
	failures uint64    // of syncs
	failing  bool
}

// New returns a Limiter. Run must run while it is used.
func New(opts Options) *Limiter {
	setDefault(&opts.MaxKeys, DefaultMaxKeys)
	setDefault(&opts.SyncInterval, time.Second)
	setDefault(&opts.SyncTimeout, 2*time.Second)
	if opts.Log == nil {
		opts.Log = zap.NewNop()
	}
	l := &Limiter{opts: opts, begun: opts.Now(), table: table{limit: opts.MaxKeys}}
	names := opts.Limits.names()
	for i, limit := range opts.Limits {
		tick := unitOf(limit.Window).tick
		one := int64(limit.Window / tick)
		r := &rule{
			Limit: limit, name: names[i], tick: int64(tick), one: one, full: limit.Burst * one,
			counts: l.tallyOf(limit), texts: map[string]*bucket{}, tokens: map[[32]byte]*bucket{},
		}
		r.overflow, r.shared = r.newBucket(0), r.newBucket(0)
		switch limit.Scope {
		case Gateway:
			l.gateway = append(l.gateway, r)
		case Ingest:
			l.ingest = append(l.ingest, r)
		case Enroll:
			l.enroll = append(l.enroll, r)
		}
	}
	return l
}

func setDefault[T int | time.Duration](value *T, standard T) {
	if *value <= 0 {
		*value = standard
	}
}

// Take admits n runs, executions or enrolments of one subject, or rejects all of them. With n 0 it reports whether one more
// would be admitted and takes nothing.
func (l *Limiter) Take(scope Scope, who Subject, n int) Decision {
	demands := [1]Demand{{who, n}}
	return l.TakeAll(scope, demands[:])
}

// TakeAll admits all demands or none. Limits by properties that no demand has do not apply.
func (l *Limiter) TakeAll(scope Scope, demands []Demand) Decision {
	rules := l.gateway
	switch scope {
	case Ingest:
		rules = l.ingest
	case Enroll:
		rules = l.enroll
	}
	if len(rules) == 0 {
		return Decision{Allowed: true}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	l.touched = l.touched[:0]
	for _, r := range rules {
		for i := range demands {
			if b := l.bucket(r, &demands[i].Subject, now); b != nil {
				b.asked += min(max(int64(demands[i].N), 0), maxBurst+1) // more makes no difference, and adds up to no overflow
				if !b.touched {
					b.touched = true
					b.refill(now)
					l.touched = append(l.touched, b)
				}
			}
		}
	}
	return l.decide(rules, now)
}

// now returns nanoseconds since the limiter began, by the monotonic clock if there is one.
func (l *Limiter) now() int64 { return int64(l.opts.Now().Sub(l.begun)) }

// decide takes what was asked for from the touched buckets if each of them has it.
func (l *Limiter) decide(rules []*rule, now int64) Decision {
	d := Decision{Allowed: true}
	for _, b := range l.touched {
		asked := max(b.asked, 1)
		tooMany := asked > b.Burst
		wait := b.wait(min(asked, b.Burst)*b.one, now)
		if wait == 0 && !tooMany {
			continue
		}
		b.counts.refuses = true
		if d.Allowed || tooMany && !d.TooMany || tooMany == d.TooMany && wait > d.RetryAfter {
			d.Reached, d.RetryAfter, d.TooMany = b.Limit, wait, tooMany
		}
		d.Allowed = false
	}
	d.Limits = make([]State, 0, len(rules))
	for i, b := range l.touched {
		if d.Allowed && b.asked > 0 {
			l.take(b)
			b.counts.lets = true
		}
		b.asked, b.touched = 0, false
		state := b.state(now)
		switch last := len(d.Limits) - 1; {
		case i == 0 || l.touched[i-1].rule != b.rule:
			d.Limits = append(d.Limits, state)
		case state.Remaining < d.Limits[last].Remaining, state.Remaining == d.Limits[last].Remaining && state.Reset > d.Limits[last].Reset:
			d.Limits[last] = state
		}
	}
	l.count()
	return d
}

func (l *Limiter) take(b *bucket) {
	b.level -= b.asked * b.one
	if l.opts.Store == nil {
		return
	}
	b.taken = min(b.taken+b.asked, maxTaken)
	if !b.listed {
		b.listed = true
		l.pending = append(l.pending, b)
	}
}
