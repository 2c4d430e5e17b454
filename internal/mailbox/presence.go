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
	for {
		done := false
		select {
		case <-ticker.C:
		case <-ctx.Done():
			done = true
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

// sightings are the agents that were seen since their last-seen was written, so that writing it need not look at all of them.
type sightings struct {
	shards [16]sightingsShard
}

type sightingsShard struct {
	mu     sync.Mutex
	agents []*Agent
	_      [32]byte // keeps neighbours' locks off one cache line
}

func (s *sightings) add(a *Agent) {
	shard := &s.shards[a.token[0]%byte(len(s.shards))]
	shard.mu.Lock()
	shard.agents = append(shard.agents, a)
	shard.mu.Unlock()
}

// take empties it.
func (s *sightings) take() (agents []*Agent) {
	for i := range s.shards {
		shard := &s.shards[i]
		shard.mu.Lock()
		agents = append(agents, shard.agents...)
		shard.agents = nil
		shard.mu.Unlock()
	}
	return agents
}

// saw notes when the agent was seen. It is listed as long as that is not written.
func (m *Mailbox) saw(a *Agent, nanos int64) {
	if a.seen.Swap(nanos) == 0 {
		m.sighted.add(a)
	}
}

// savePresence writes who was seen, if that is due, or in the end all.
func (m *Mailbox) savePresence(ctx context.Context, all bool) error {
	now := m.opts.Now()
	var seen []Sighting
	var at []int64
	var who []*Agent
	for _, a := range m.sighted.take() {
		if a.gone.Load() {
			continue
		}
		interval := m.Interval(a)
		if since := now.UnixNano() - a.saved; !all && since >= 0 && float64(since) < savedEvery*float64(interval) {
			m.sighted.add(a)
			continue
		}
		nanos := a.seen.Swap(0)
		if a.held.Load() > 0 {
			m.saw(a, now.UnixNano()) // and will be, while it is held
			nanos = now.UnixNano()
		}
		who, at = append(who, a), append(at, nanos)
		seen = append(seen, Sighting{a.id, max(now.Sub(time.Unix(0, nanos)), 0), interval})
	}
	if len(seen) == 0 {
		return nil
	}
	slices.SortFunc(seen, func(x, y Sighting) int { return strings.Compare(x.ID, y.ID) })

	ctx, cancel := context.WithTimeout(ctx, presenceTimeout)
	defer cancel()
	err := m.opts.Source.SavePresence(ctx, seen)
	for i, a := range who {
		if err == nil {
			a.saved = now.UnixNano()
		} else if a.seen.CompareAndSwap(0, at[i]) { // unless it was seen again
			m.sighted.add(a)
		}
	}
	return err
}
