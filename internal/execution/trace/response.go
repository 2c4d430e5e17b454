package trace

import (
	"slices"
	"time"
)

const (
	// ResponseWithin is the maximum time between the starts of calls with one response id. A later one is a repeated
	// read of a stored response.
	ResponseWithin = 10 * time.Minute
	// maxAdded is the maximum number of output tokens in the first part of a stream, by which counts that are added up
	// are too high.
	maxAdded = 8
	// uniqueLength is the minimum number of letters and digits in an id that is taken to be unique.
	uniqueLength = 12
)

// WeakResponse reports whether a response id may not be unique: servers that run models themselves, and those that
// stand in for providers, number their responses or give all of them the same id.
func WeakResponse(id string) bool {
	if i := slices.IndexFunc([]byte(id), func(c byte) bool { return !isLetter(c) }); i > 0 && !isDigit(id[i]) {
		id = id[i+1:] // without the prefix that names the kind of id
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

// byResponse joins calls that have the provider's response id in common.
func (c *calls) byResponse() {
	type answered struct {
		first int // the first call with the id
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
			before = before[1:] // drop the oldest
		}
		seen[n.ResponseID] = answered{before[0], append(before[1:], i)}
	}
}

// sameAnswer reports whether a common response id makes two calls one; first began before second. Between processes
// their counts must agree, and their models if one has no counts: a client may put any id on a span, and must not
// change the cost of another client's call. For an id that may not be unique, times and counts must match too.
func (c *calls) sameAnswer(first, second int) bool {
	x, y := &c.nodes[first], &c.nodes[second]
	if y.StartedAt.Sub(x.StartedAt) > ResponseWithin {
		return false
	}
	similar := x.TraceID == y.TraceID || x.Process != "" && x.Process == y.Process
	if !x.ambiguous && !y.ambiguous {
		return similar || agree(x, y) && (x.counts() && y.counts() || sameModel(x, y) || x.model() == "" || y.model() == "")
	}
	during := y.StartedAt.Sub(x.EndedAt) <= Slack
	switch {
	case !agree(x, y):
		return false
	case similar:
		return during || Reports(x.Span) || Reports(y.Span)
	}
	return during && (x.counts() && y.counts() || sameModel(x, y))
}

// byMiscount joins calls with a common response id that no other rule joined.
func (c *calls) byMiscount() {
	seen := map[string][]int{}
	for _, i := range c.all {
		n := &c.nodes[i]
		if n.ResponseID == "" || n.wrapper || !n.reported() || len(c.groups[n.group].members) > 1 {
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

// miscounted reports whether two calls with a common response id that may not be unique are one although their outputs
// differ, since some instrumentations add up the counts of a stream's parts. One call must then lie in the other and
// take nearly as long, and everything else must be equal.
func (c *calls) miscounted(first, second int) bool {
	x, y := &c.nodes[first], &c.nodes[second]
	if x.Process == "" || x.Process != y.Process || !sameModel(x, y) || x.failedItself() != y.failedItself() || !x.reported() || !y.reported() {
		return false
	}
	t, u := x.tokens(), y.tokens()
	inside := !y.StartedAt.Before(x.StartedAt.Add(-Slack)) && !y.EndedAt.After(x.EndedAt.Add(Slack)) || !x.EndedAt.After(y.EndedAt.Add(Slack)) && y.StartedAt.Sub(x.StartedAt) <= Slack
	return inside && around(x, y) <= 2*Slack && max(t.Output, u.Output)-min(t.Output, u.Output) <= maxAdded &&
		t.Input > 0 && t.Input == u.Input && t.CacheRead == u.CacheRead && t.CacheWrite == u.CacheWrite
}

// agree reports whether the counts of two calls may be those of one call. Unknown and estimated counts agree with any.
// Some instrumentations leave tokens read from or written to a cache out of the input.
func agree(a, b *node) bool {
	if !a.reported() || !b.reported() {
		return true
	}
	t, u := a.tokens(), b.tokens()
	if !t.Distinguish() || !u.Distinguish() {
		return t.Used == u.Used
	}
	return t.Output == u.Output && (t.Input == u.Input || t.Input-t.CacheRead-t.CacheWrite == u.Input || u.Input-u.CacheRead-u.CacheWrite == t.Input)
}
