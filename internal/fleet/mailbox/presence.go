package mailbox

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
)

// presenceTimeout is the deadline of a write of last-seen, after which it is retried.
const presenceTimeout = 10 * time.Second

// writePresence writes when agents were last seen: every second, in one statement, and once more at the end. It writes an
// agent at most once in savedEvery of its interval.
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
			m.opts.Log.Warn("cannot write last-seen", zap.Error(err))
		}
		failing = err != nil
		if done {
			return
		}
	}
}

// savedEvery is the share of its interval after which an agent's last-seen is written again, so that an agent that polls
// too often costs no more writes. An agent counts as late after one and a half intervals (fleet.LateAfter), so its last
// poll is written well before that.
const savedEvery = 0.9

// rewriteGap is the minimum time between rewrites of all agents' last-seen.
const rewriteGap = 20 * time.Second

// rewritePresence schedules all agents' last-seen to be written again.
func (m *Mailbox) rewritePresence() {
	m.agents.each(func(number uint32, rec *record) {
		if rec.saved.Swap(0) != 0 && rec.seen.CompareAndSwap(0, rec.savedSeen.Load()) {
			m.seen.add(number)
		}
	})
}

// seenSet holds the numbers of agents seen since their last-seen was written, so that a write need not visit all agents.
type seenSet struct {
	shards [16]seenShard
}

type seenShard struct {
	mu      sync.Mutex
	numbers []uint32
	_       [32]byte // padding: one lock per cache line
}

func (s *seenSet) add(number uint32) {
	shard := &s.shards[number%uint32(len(s.shards))]
	shard.mu.Lock()
	shard.numbers = append(shard.numbers, number)
	shard.mu.Unlock()
}

// take removes and returns all numbers.
func (s *seenSet) take() (numbers []uint32) {
	for i := range s.shards {
		shard := &s.shards[i]
		shard.mu.Lock()
		numbers = append(numbers, shard.numbers...)
		shard.numbers = nil
		shard.mu.Unlock()
	}
	return numbers
}

// markSeen records when the agent was seen. It stays in the seenSet until that is written.
func (m *Mailbox) markSeen(a Agent, nanos int64) {
	if !a.gone() && a.record.seen.Swap(nanos) == 0 {
		m.seen.add(a.number)
	}
}

// parking holds the numbers of agents that were seen but are not due to be written, by the second in which to check them
// again, so that agents that poll too often are not checked every second. Only writePresence uses it.
type parking struct {
	until  map[int64][]uint32 // by Unix time in seconds
	newest int64              // time of the last take, in Unix nanoseconds
}

// parkedFor is the maximum time before an agent is checked again. Its interval may become shorter, or its record be reused.
const parkedFor = 5 * time.Second

func (p *parking) add(number uint32, due int64) {
	if p.until == nil {
		p.until = map[int64][]uint32{}
	}
	second := min(due, p.newest+int64(parkedFor)) / int64(time.Second)
	p.until[second] = append(p.until[second], number)
}

// take removes and returns the agents whose second has begun, or all of them. If the clock was set back it returns all.
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

// seenAgent is a Sighting to write, with the recorded time.
type seenAgent struct {
	Sighting
	agent Agent
	nanos int64
}

// dueSeen removes and returns the sightings due to be written, or all of them.
func (m *Mailbox) dueSeen(now int64, all bool) (due []seenAgent) {
	m.agents.owners.RLock()
	defer m.agents.owners.RUnlock()
	for _, number := range append(m.seen.take(), m.parked.take(now, all)...) {
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
			m.markSeen(a, now) // a held poll counts as seen all the time
			nanos = now
		}
		due = append(due, seenAgent{Sighting{a.id, max(time.Duration(now-nanos), 0), interval}, a, nanos})
	}
	slices.SortFunc(due, func(x, y seenAgent) int { return strings.Compare(x.ID, y.ID) })
	return due
}

// savePresence writes the last-seen times that are due, or all of them.
func (m *Mailbox) savePresence(ctx context.Context, all bool) error {
	now := m.opts.Now().UnixNano()
	due := m.dueSeen(now, all)
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
			m.seen.add(s.agent.number)
		}
	}
	return err
}
