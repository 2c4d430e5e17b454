package main

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/watchbill/watchbill/internal/fault"
	"github.com/watchbill/watchbill/internal/fleet"
)

// legal returns an error if a deployment's history has no explanation: a sequence of its events, each at a moment
// between its request and its response, in which the state machine of internal/fleet gives every observed response.
// This is linearizability (Herlihy and Wing, 1990), searched for as Wing and Gong do, with a memory of visited
// positions (Lowe, 2017).
//
// Leases expire by themselves: between events the machine may expire a run whose lease may have ended. An event with an
// unknown response may take effect at any later time, or never.
func legal(h history) error {
	s := newSearch(h)
	first := position{done: make([]byte, (len(s.events)+7)/8), d: fleet.Deployment{
		ID: uuid.Nil, Status: fleet.Pending, Attempt: 1, MaxAttempts: h.maxAttempts, Lease: h.lease,
	}}
	switch found, err := s.explain(first); {
	case err != nil:
		return fmt.Errorf("deployment %s: %w", h.id, err)
	case found:
		return nil
	}
	return fmt.Errorf("deployment %s: no sequence of moves explains what was seen; after %d of %d events (%s) none of the others fits:\n%s",
		h.id, s.limit, s.known, s.deepest.describe(), s.show())
}

// maxPlaces limits the positions of a search. A history short enough to read takes some hundreds.
const maxPlaces = 2_000_000

var errTooMany = errors.New("the history is too long to be searched")

type search struct {
	events []event // by request time
	known  int     // events with a known response
	been   map[string]struct{}

	limit   int      // events that were explained at once, at most
	deepest position // where that was
}

func newSearch(h history) *search {
	s := &search{events: slices.Clone(h.events), been: map[string]struct{}{}}
	slices.SortStableFunc(s.events, func(a, b event) int { return a.asked.Compare(b.asked) })
	for _, e := range s.events {
		if e.known() {
			s.known++
		}
	}
	return s
}

// position is the state after a sequence of events.
type position struct {
	done  []byte    // one bit per event
	clock time.Time // the earliest time of the last event
	d     fleet.Deployment
	past  map[int]*fleet.Attempt // superseded attempts; never modified in place
}

func (p position) has(i int) bool { return p.done[i/8]&(1<<(i%8)) != 0 }

func (p position) key() string {
	var b strings.Builder
	b.Write(p.done)
	fmt.Fprintf(&b, "%s/%d/%s", p.d.Status, p.d.Attempt, p.d.Claim)
	var times [16]byte
	binary.BigEndian.PutUint64(times[:8], uint64(p.clock.UnixNano()))
	if !p.d.LeaseExpiresAt.IsZero() {
		binary.BigEndian.PutUint64(times[8:], uint64(p.d.LeaseExpiresAt.UnixNano()))
	}
	b.Write(times[:])
	writeFields(&b, p.d.Progress, p.d.Message, p.d.Output)
	for _, n := range slices.Sorted(maps.Keys(p.past)) {
		a := p.past[n]
		fmt.Fprintf(&b, "/%d%s%s", n, a.Status, a.Claim)
		writeFields(&b, a.Progress, a.Message, a.Output)
	}
	return b.String()
}

// writeFields writes the parts that distinguish a repeated report from another one.
func writeFields(b *strings.Builder, progress *float64, texts ...*string) {
	if progress != nil {
		fmt.Fprintf(b, "/%g", *progress)
	}
	for _, text := range texts {
		if text != nil {
			fmt.Fprintf(b, "/%q", *text)
		}
	}
}

func (p position) describe() string {
	return fmt.Sprintf("it is %s on attempt %d, claim %q", p.d.Status, p.d.Attempt, p.d.Claim)
}

// explain searches for a sequence of the remaining events at p.
func (s *search) explain(p position) (bool, error) {
	bound, left := s.firstResponse(p)
	if explained := s.known - left; explained > s.limit || s.deepest.done == nil {
		s.limit, s.deepest = explained, p
	}
	if left == 0 {
		return true, nil
	}
	key := p.key()
	if _, again := s.been[key]; again {
		return false, nil
	}
	if len(s.been) == maxPlaces {
		return false, errTooMany
	}
	s.been[key] = struct{}{}
	for _, next := range s.steps(p, bound) {
		if found, err := s.explain(next); found || err != nil {
			return found, err
		}
	}
	return false, nil
}

// firstResponse returns the time of the earliest response among the remaining events, and how many of them have one. The
// next event of the sequence must have been requested before that.
func (s *search) firstResponse(p position) (bound time.Time, left int) {
	for i, e := range s.events {
		if p.has(i) || !e.known() {
			continue
		}
		left++
		if bound.IsZero() || e.answered.Before(bound) {
			bound = e.answered
		}
	}
	return bound, left
}

// steps returns the positions after one more event or an expired lease, the most promising first.
func (s *search) steps(p position, bound time.Time) []position {
	var candidates []int
	for i, e := range s.events {
		if e.asked.After(bound) {
			break
		}
		if !p.has(i) {
			candidates = append(candidates, i)
		}
	}
	slices.SortStableFunc(candidates, func(a, b int) int {
		x, y := s.events[a], s.events[b]
		switch {
		case x.known() && y.known():
			return x.answered.Compare(y.answered)
		case x.known():
			return -1
		case y.known():
			return 1
		}
		return cmp.Compare(a, b)
	})
	var next []position
	for _, i := range candidates {
		if moved, ok := p.take(i, s.events[i]); ok {
			next = append(next, moved)
		}
	}
	if given, ok := p.expire(bound); ok {
		next = append(next, given)
	}
	return next
}

// take returns the position after an event, if the machine gives the observed response.
func (p position) take(i int, e event) (position, bool) {
	at := p.clock
	if e.asked.After(at) {
		at = e.asked
	}
	if e.known() && at.After(e.answered) {
		return p, false
	}
	next := p
	next.done = slices.Clone(p.done)
	next.done[i/8] |= 1 << (i % 8)
	next.clock = at
	if e.seen != nil {
		return next, p.shows(e.seen)
	}
	t, err := p.decide(e, at)
	switch {
	case !e.known():
		if err != nil || !t.Changed {
			return p, false // as if it never took effect
		}
	case e.refused != "":
		return next, refuses(p, e, err)
	case err != nil:
		return p, false
	}
	next.move(t)
	return next, true
}

func (p position) decide(e event, at time.Time) (fleet.Transition, error) {
	if e.cancel {
		return p.d.Cancel(at)
	}
	return p.d.Apply(*e.report, p.past[e.report.Attempt], at, atOnce)
}

// atOnce makes retries due immediately. The real wait is random, so refuses allows for it instead.
func atOnce(int) time.Duration { return 0 }

func refuses(p position, e event, err error) bool {
	if e.refused == fleet.ErrNotDue.Code {
		return p.d.Status == fleet.Pending && p.d.Attempt > 1 && e.report != nil && e.report.Attempt == p.d.Attempt && e.report.Status == fleet.Running
	}
	var problem *fault.Error
	return errors.As(err, &problem) && problem.Code == e.refused
}

func (p *position) move(t fleet.Transition) {
	p.d = t.Next
	if t.Superseded != nil {
		p.past = maps.Clone(p.past)
		if p.past == nil {
			p.past = map[int]*fleet.Attempt{}
		}
		p.past[t.Superseded.Number] = t.Superseded
	}
}

// expire returns the position after the run's lease expired, if that may have been before the bound. A lease begins no
// earlier than it was requested, so it ended no earlier than LeaseExpiresAt.
func (p position) expire(bound time.Time) (position, bool) {
	if p.d.Status != fleet.Running || p.d.LeaseExpiresAt.After(bound) {
		return p, false
	}
	next := p
	if p.d.LeaseExpiresAt.After(next.clock) {
		next.clock = p.d.LeaseExpiresAt
	}
	t, expired := p.d.Expire(next.clock, atOnce)
	if !expired {
		return p, false
	}
	next.move(t)
	return next, true
}

func (p position) shows(s *snapshot) bool {
	if s.status != p.d.Status || s.attempt != p.d.Attempt {
		return false
	}
	if !s.whole {
		return true
	}
	if s.claim != p.d.Claim || len(s.past) != len(p.past) {
		return false
	}
	for _, seen := range s.past {
		known := p.past[seen.Number]
		if known == nil || known.Claim != seen.Claim || known.Status != seen.Status {
			return false
		}
	}
	return true
}

// show lists the events and marks those that the longest sequence explains.
func (s *search) show() string {
	var b strings.Builder
	for i, e := range s.events {
		mark := "  "
		if s.deepest.has(i) {
			mark = "✓ "
		}
		b.WriteString("    " + mark + e.String() + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}
