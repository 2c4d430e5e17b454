package trace

import (
	"slices"
	"time"
)

const (
	// ResponseWithin is how far apart those with one response id may begin: an answer that is read again later is none.
	ResponseWithin = 10 * time.Minute
	// maxAdded is how many output tokens the first part of a stream tells of, which counts that are added up have too many.
	maxAdded = 8
	// uniqueLength is how many letters and digits an id has that no other answer has.
	uniqueLength = 12
)

// WeakResponse reports whether other answers may have the same id: servers that run models themselves, and those that stand in for
// providers, number their answers or give all the same id.
func WeakResponse(id string) bool {
	if i := slices.IndexFunc([]byte(id), func(c byte) bool { return !isLetter(c) }); i > 0 && !isDigit(id[i]) {
		id = id[i+1:] // what it is the id of
	}
	length, digits := 0, false
	for i := range len(id) {
		if isDigit(id[i]) || isLetter(id[i]) {
			length++
		}
		digits = digits || isDigit(id[i])
	}
	return length < uniqueLength || !digits
}

func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// byResponse joins calls that have the provider's id of the answer in common.
func (c *calls) byResponse() {
	type answered struct {
		first int // that has the id
		later []int
	}
	seen := make(map[string]answered, len(c.all))
	for _, i := range c.all {
		n := &c.nodes[i]
		if n.ResponseID == "" {
			continue
		}
		answer, again := seen[n.ResponseID]
		if !again {
			seen[n.ResponseID] = answered{first: i}
			continue
		}
		before := append([]int{answer.first}, answer.later...)
		joined := slices.ContainsFunc(before, func(other int) bool { return c.sameAnswer(other, i) && c.join(other, i, ByResponse, true) })
		if joined {
			continue
		}
		if len(before) == maxGroup {
			before = before[1:] // the next ones began later
		}
		seen[n.ResponseID] = answered{before[0], append(before[1:], i)}
	}
}

// sameAnswer reports whether one response id makes two calls one, the first of which began before. Between processes the counts must
// agree, and the models where one has no counts: whoever sends a span may put any id on it, and must not change what another's call
// costs. An id that other answers may have needs times and counts that go together.
func (c *calls) sameAnswer(first, second int) bool {
	x, y := &c.nodes[first], &c.nodes[second]
	if y.StartedAt.Sub(x.StartedAt) > ResponseWithin {
		return false
	}
	kin := x.TraceID == y.TraceID || x.Process != "" && x.Process == y.Process
	if !x.ambiguous && !y.ambiguous {
		return kin || agree(x, y) && (x.counts() && y.counts() || sameModel(x, y) || x.model() == "" || y.model() == "")
	}
	during := y.StartedAt.Sub(x.EndedAt) <= Slack
	switch {
	case !agree(x, y):
		return false
	case kin:
		return during || Reports(x.Span) || Reports(y.Span)
	}
	return during && (x.counts() && y.counts() || sameModel(x, y))
}

// byMiscount joins calls with a response id in common that nothing else joined with any.
func (c *calls) byMiscount() {
	seen := map[string][]int{}
	for _, i := range c.all {
		n := &c.nodes[i]
		if n.ResponseID == "" || n.wrapper || !n.told() || len(c.groups[n.group].members) > 1 {
			continue
		}
		before := seen[n.ResponseID]
		if at := slices.IndexFunc(before, func(other int) bool { return c.miscounted(other, i) && c.join(other, i, ByResponse, true) }); at >= 0 {
			seen[n.ResponseID] = slices.Delete(before, at, at+1)
			continue
		}
		if len(before) == maxGroup {
			before = append(before[:0], before[1:]...)
		}
		seen[n.ResponseID] = append(before, i)
	}
}

// miscounted reports whether two calls with one response id, which other answers may have, are one although their outputs
// differ: some instrumentations add up what the parts of a stream tell. One lies in the other then and fills it, and all
// else is the same.
func (c *calls) miscounted(first, second int) bool {
	x, y := &c.nodes[first], &c.nodes[second]
	if x.Process == "" || x.Process != y.Process || !sameModel(x, y) || x.failedItself() != y.failedItself() || !x.told() || !y.told() {
		return false
	}
	t, u := x.tokens(), y.tokens()
	inside := !y.StartedAt.Before(x.StartedAt.Add(-Slack)) && !y.EndedAt.After(x.EndedAt.Add(Slack)) || !x.EndedAt.After(y.EndedAt.Add(Slack)) && y.StartedAt.Sub(x.StartedAt) <= Slack
	return inside && around(x, y) <= 2*Slack && max(t.Output, u.Output)-min(t.Output, u.Output) <= maxAdded &&
		t.Input > 0 && t.Input == u.Input && t.CacheRead == u.CacheRead && t.CacheWrite == u.CacheWrite
}

// agree reports whether the counts of two calls may be those of one. One that is not known, or an estimate, agrees with any; and some
// instrumentations leave out of the input what was read from a cache or written to it.
func agree(a, b *node) bool {
	if !a.told() || !b.told() {
		return true
	}
	t, u := a.tokens(), b.tokens()
	if !t.TellApart() || !u.TellApart() {
		return t.Used == u.Used
	}
	return t.Output == u.Output && (t.Input == u.Input || t.Input-t.CacheRead-t.CacheWrite == u.Input || u.Input-u.CacheRead-u.CacheWrite == t.Input)
}
