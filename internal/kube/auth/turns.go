package auth

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Limits of requests to the API server. Reports are created some times a minute.
const (
	asksPerSecond = 50
	asksAtOnce    = 100

	maxWaiting      = 1000 // callers
	maxWaitingGroup = 64
)

// turns limits the rate of requests to the API server and queues callers fairly: groups take turns, and within a group its
// members do. A caller with a thousand requests delays others by one turn.
type turns struct {
	now func() time.Time

	mu      sync.Mutex
	left    float64 // turns that can be taken at once
	counted time.Time
	groups  ring // with a caller that waits, in the order of their turns
	waiting int
	timer   *time.Timer // to the next turn while a caller waits
}

// asker identifies a caller.
type asker struct{ group, member string }

// ring holds queues by name, in the order of their turns.
type ring struct {
	names []string
	of    map[string]*group
}

type group struct {
	members []string
	of      map[string][]*waiter
	waiting int
}

type waiter struct {
	asker
	turn chan bool // true: it is the waiter's turn; false: it was displaced
}

func newTurns(now func() time.Time) *turns {
	return &turns{now: now, left: asksAtOnce, groups: ring{of: map[string]*group{}}}
}

// take waits for the caller's turn. It returns ErrBusy if too many callers wait or ctx is done first.
func (t *turns) take(ctx context.Context, who asker) error {
	t.mu.Lock()
	t.count()
	if t.waiting == 0 && t.left >= 1 {
		t.left--
		t.mu.Unlock()
		return nil
	}
	w := &waiter{asker: who, turn: make(chan bool, 1)}
	if !t.admit(w) {
		t.mu.Unlock()
		return ErrBusy
	}
	t.arm()
	t.mu.Unlock()
	select {
	case mine := <-w.turn:
		if !mine {
			return ErrBusy
		}
		return nil
	case <-ctx.Done():
		t.mu.Lock()
		defer t.mu.Unlock()
		t.remove(w)
		return ErrBusy
	}
}

// count adds the turns accrued since the last call.
func (t *turns) count() {
	now := t.now()
	t.left = min(t.left+max(now.Sub(t.counted).Seconds(), 0)*asksPerSecond, asksAtOnce) // a clock may be set back
	t.counted = now
}

// arm schedules serve for the next turn.
func (t *turns) arm() {
	if t.waiting == 0 || t.timer != nil {
		return
	}
	wait := time.Duration((1 - min(t.left, 1)) / asksPerSecond * float64(time.Second))
	t.timer = time.AfterFunc(wait+time.Millisecond, t.serve)
}

func (t *turns) serve() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.timer = nil
	t.count()
	for t.waiting > 0 && t.left >= 1 {
		t.left--
		t.next().turn <- true
	}
	t.arm()
}

// close fails all waiting callers.
func (t *turns) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.timer != nil {
		t.timer.Stop()
	}
	for t.waiting > 0 {
		t.next().turn <- false
	}
}

// admit queues a waiter. If the queue is full it displaces the newest waiter of the longest line, provided that line is
// longer than its own.
func (t *turns) admit(w *waiter) bool {
	g := t.groups.of[w.group]
	if g == nil {
		g = &group{of: map[string][]*waiter{}}
	}
	switch {
	case g.waiting >= maxWaitingGroup:
		if !t.displace(g, len(g.of[w.member])) {
			return false
		}
	case t.waiting >= maxWaiting:
		var longest *group
		for _, other := range t.groups.of {
			if longest == nil || other.waiting > longest.waiting {
				longest = other
			}
		}
		if longest.waiting <= g.waiting+1 || !t.displace(longest, -1) {
			return false
		}
	}
	if g.waiting == 0 {
		t.groups.names = append(t.groups.names, w.group)
		t.groups.of[w.group] = g
	}
	if len(g.of[w.member]) == 0 {
		g.members = append(g.members, w.member)
	}
	g.of[w.member] = append(g.of[w.member], w)
	g.waiting++
	t.waiting++
	return true
}

// displace removes the newest waiter of a group's longest line if more than own+1 wait in it.
func (t *turns) displace(g *group, own int) bool {
	var longest []*waiter
	for _, line := range g.of {
		if len(line) > len(longest) {
			longest = line
		}
	}
	if len(longest) <= own+1 {
		return false
	}
	last := longest[len(longest)-1]
	t.remove(last)
	last.turn <- false
	return true
}

// next removes and returns the waiter whose turn it is.
func (t *turns) next() *waiter {
	name := t.groups.names[0]
	g := t.groups.of[name]
	member := g.members[0]
	w := g.of[member][0]
	t.groups.names = append(t.groups.names[1:], name)
	g.members = append(g.members[1:], member)
	t.remove(w)
	return w
}

// remove removes a waiter that is still waiting.
func (t *turns) remove(w *waiter) {
	g := t.groups.of[w.group]
	if g == nil {
		return
	}
	line := g.of[w.member]
	at := slices.Index(line, w)
	if at < 0 {
		return
	}
	g.of[w.member] = slices.Delete(line, at, at+1)
	g.waiting--
	t.waiting--
	if len(g.of[w.member]) == 0 {
		delete(g.of, w.member)
		g.members = without(g.members, w.member)
	}
	if g.waiting == 0 {
		delete(t.groups.of, w.group)
		t.groups.names = without(t.groups.names, w.group)
	}
}

func without(names []string, name string) []string {
	if at := slices.Index(names, name); at >= 0 {
		return slices.Delete(names, at, at+1)
	}
	return names
}

// network returns the part of a remote address that one client has: an IPv4 address, or an IPv6 /64.
func network(remote string) string {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return ""
	}
	addr := at.Addr().Unmap()
	if addr.Is6() {
		if prefix, err := addr.WithZone("").Prefix(64); err == nil {
			return prefix.String()
		}
	}
	return addr.String()
}
