package ratelimit

import "github.com/watchbill/watchbill/internal/observe/metrics"

// tally counts the decisions of the limits with the same scope and property: one per demand, however many limits there are.
type tally struct {
	scope            Scope
	by               By
	allowed, limited uint64

	lets, refuses bool // outcome of the current demands
}

func (l *Limiter) tallyOf(limit Limit) *tally {
	for _, t := range l.tallies {
		if t.scope == limit.Scope && t.by == limit.By {
			return t
		}
	}
	t := &tally{scope: limit.Scope, by: limit.By}
	l.tallies = append(l.tallies, t)
	return t
}

// count counts a decision for the limits that tokens were taken from or that rejected it. A limit that would have admitted
// a demand rejected by another counts nothing.
func (l *Limiter) count() {
	for _, t := range l.tallies {
		switch {
		case t.refuses:
			t.limited++
		case t.lets:
			t.allowed++
		}
		t.lets, t.refuses = false, false
	}
}

// Sample returns the values of the metrics.
func (l *Limiter) Sample() metrics.LimitSample {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := metrics.LimitSample{Keys: len(l.table.all), Overflows: l.table.overflows, SyncFailures: l.failures}
	for _, t := range l.tallies {
		s.Decisions = append(s.Decisions, metrics.LimitDecisions{
			Scope: string(t.scope), By: t.by.Label(), Allowed: t.allowed, Limited: t.limited,
		})
	}
	return s
}
