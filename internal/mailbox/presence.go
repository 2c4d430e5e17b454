package mailbox

import (
	"context"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
)

// presenceTimeout is for how long a write of last-seen may take before it is tried again.
const presenceTimeout = 10 * time.Second

// writePresence writes who was seen, every second, in one statement, and once more at the end.
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
		err := m.savePresence(context.WithoutCancel(ctx))
		if err != nil && !failing {
			m.opts.Log.Warn("last-seen cannot be written", zap.Error(err))
		}
		failing = err != nil
		if done {
			return
		}
	}
}

func (m *Mailbox) savePresence(ctx context.Context) error {
	now := m.opts.Now()
	var seen []Sighting
	var at []int64
	var who []*Agent
	m.agents.each(func(a *Agent) {
		nanos := a.seen.Swap(0)
		if a.held.Load() > 0 {
			nanos = now.UnixNano()
		}
		if nanos != 0 {
			who, at = append(who, a), append(at, nanos)
			seen = append(seen, Sighting{a.id, max(now.Sub(time.Unix(0, nanos)), 0), m.Interval(a)})
		}
	})
	if len(seen) == 0 {
		return nil
	}
	slices.SortFunc(seen, func(x, y Sighting) int { return strings.Compare(x.ID, y.ID) })

	ctx, cancel := context.WithTimeout(ctx, presenceTimeout)
	defer cancel()
	err := m.opts.Source.SavePresence(ctx, seen)
	if err != nil {
		for i, a := range who {
			a.seen.CompareAndSwap(0, at[i]) // unless it was seen again
		}
	}
	return err
}
