package mailbox

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
)

// presenceTimeout is for how long a write of last-seen may take before it is tried again.
const presenceTimeout = 10 * time.Second

// writePresence writes who was seen, every second, in one statement, and once more at the end. Of one agent it is written no more
// often than savedEvery of its interval.
func (m *Mailbox) writePresence(ctx context.Context) {
	ticker := time.NewTicker(m.opts.PresenceInterval)
	defer ticker.Stop()
	failing := false
	var rewritten time.Time
	for {
		done := false
		select {
		case <-ticker.C:
		case <-ctx.Done():
			done = true
		}
		if now := m.opts.Now(); now.Sub(rewritten).Abs() >= rewriteGap && m.unwritten.Swap(false) {
			rewritten = now
			m.rewritePresence()
		}
		err := m.savePresence(context.WithoutCancel(ctx), done)
		if err != nil && !failing {
			m.opts.Log.Warn("last-seen cannot be written", zap.Error(err))
		}
		failing = err != nil
		if done {
			return
		}
	}
}

// savedEvery is how much of its interval must have passed since an agent's last-seen was written before it is written again, so
// that who polls more often than told costs the database no more for it. It is late, and that only if it is silent, after one and
// a half (fleet.LateAfter): what it did last is written long before.
const savedEvery = 0.9

// rewriteGap is the least time from one rewriting of everybody's last-seen to the next.
const rewriteGap = 20 * time.Second

// rewritePresence has what was written written again, soon.
func (m *Mailbox) rewritePresence() {
	m.agents.each(func(number uint32, rec *record) {
		if rec.saved.Swap(0) != 0 && rec.seen.CompareAndSwap(0, rec.savedSeen.Load()) {
			m.sighted.add(number)
		}
	})
}

// sightings are the numbers of agents that were seen since their last-seen was written, so that writing it need not look at all of them.
type sightings struct {
	shards [16]sightingsShard
}

type sightingsShard struct {
	mu      sync.Mutex
	numbers []uint32
	_       [32]byte // keeps neighbours' locks off one cache line
}

func (s *sightings) add(number uint32) {
	shard := &s.shards[number%uint32(len(s.shards))]
	shard.mu.Lock()
	shard.numbers = append(shard.numbers, number)
	shard.mu.Unlock()
}

// take empties it.
func (s *sightings) take() (numbers []uint32) {
	for i := range s.shards {
		shard := &s.shards[i]
		shard.mu.Lock()
		numbers = append(numbers, shard.numbers...)
		shard.numbers = nil
		shard.mu.Unlock()
	}
	return numbers
}

// saw notes when the agent was seen. It is listed as long as that is not written.
func (m *Mailbox) saw(a Agent, nanos int64) {
	if !a.gone() && a.record.seen.Swap(nanos) == 0 {
		m.sighted.add(a.number)
	}
}

// parking has the numbers of agents that were seen but are not to be written yet, by the second in which to look at them again, so that
// those that poll too often are not looked at each second. Who writes last-seen has it for himself.
type parking struct {
	until  map[int64][]uint32 // seconds of the Unix clock
	newest int64              // nanoseconds: when it was last asked
}

// parkedFor is how long an agent is not looked at for at the most. Its interval may become shorter meanwhile, or its record another's.
const parkedFor = 5 * time.Second

func (p *parking) add(number uint32, due int64) {
	if p.until == nil {
		p.until = map[int64][]uint32{}
	}
	second := min(due, p.newest+int64(parkedFor)) / int64(time.Second)
	p.until[second] = append(p.until[second], number)
}

// take returns those whose second has begun, or all. If the clock was set back they are all looked at anew.
func (p *parking) take(now int64, all bool) (numbers []uint32) {
	all = all || now < p.newest
	p.newest = now
	for second, parked := range p.until {
		if all || second*int64(time.Second) <= now {
			numbers = append(numbers, parked...)
			delete(p.until, second)
		}
	}
	return numbers
}

// sighting is what is written of an agent, and what was noted.
type sighting struct {
	Sighting
	agent Agent
	nanos int64
}

// dueSightings takes those whose time to be written it is, or all.
func (m *Mailbox) dueSightings(now int64, all bool) (due []sighting) {
	m.agents.owners.RLock()
	defer m.agents.owners.RUnlock()
	for _, number := range append(m.sighted.take(), m.parked.take(now, all)...) {
		a := m.agents.handle(number)
		interval := m.Interval(a)
		saved := a.record.saved.Load()
		if next := saved + int64(savedEvery*float64(interval)); a.id != "" && saved <= now && now < next && !all {
			m.parked.add(number, next)
			continue
		}
		nanos := a.record.seen.Swap(0)
		if a.id == "" || nanos == never {
			continue
		}
		if a.record.held.Load() > 0 {
			m.saw(a, now) // and will be, while it is held
			nanos = now
		}
		due = append(due, sighting{Sighting{a.id, max(time.Duration(now-nanos), 0), interval}, a, nanos})
	}
	slices.SortFunc(due, func(x, y sighting) int { return strings.Compare(x.ID, y.ID) })
	return due
}

// savePresence writes who was seen, if that is due, or in the end all.
func (m *Mailbox) savePresence(ctx context.Context, all bool) error {
	now := m.opts.Now().UnixNano()
	due := m.dueSightings(now, all)
	if len(due) == 0 {
		return nil
	}
	seen := make([]Sighting, len(due))
	for i := range due {
		seen[i] = due[i].Sighting
	}
	ctx, cancel := context.WithTimeout(ctx, presenceTimeout)
	defer cancel()
	err := m.opts.Source.SavePresence(ctx, seen)
	for _, s := range due {
		switch rec := s.agent.record; {
		case err == nil && !s.agent.gone():
			rec.savedSeen.Store(s.nanos)
			rec.saved.Store(now)
		case err != nil && rec.seen.CompareAndSwap(0, s.nanos): // unless it was seen again
			m.sighted.add(s.agent.number)
		}
	}
	return err
}
