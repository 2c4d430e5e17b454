package trace

import (
	"cmp"
	"slices"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
)

// takeApart gives calls their own counts that also have those of the calls before them. Growing counts alone prove nothing, since a
// conversation's input grows with each call. What proves it is a tool's use between two calls beside each other, of a library
// that adds up what such a loop used, and that the second one has the first one's prompt in its input twice.
func (t *tree) takeApart() {
	var tools map[spanKey][]int // by the span around them
	for i := range t.nodes {
		if n := &t.nodes[i]; n.Cumulative && n.Role == execution.RoleTool && n.ParentSpanID != "" && n.twin == none {
			if tools == nil {
				tools = map[spanKey][]int{}
			}
			around := spanKey{n.TraceID, n.ParentSpanID}
			tools[around] = append(tools[around], i)
		}
	}
	if tools == nil {
		return
	}
	calls := map[spanKey][]int{}
	for i := range t.nodes {
		n := &t.nodes[i]
		around := spanKey{n.TraceID, n.ParentSpanID}
		if n.call() && n.twin == none && tools[around] != nil && n.told() && !n.failedItself() {
			calls[around] = append(calls[around], i)
		}
	}
	for around, several := range calls {
		t.subtract(several, tools[around])
	}
}

// link is a call of a loop.
type link struct {
	node      int
	came      *execution.Execution
	own       int64 // of its input
	continued bool
}

// subtract takes from each call what it counts of the one that asked for the tool before it.
func (t *tree) subtract(calls, tools []int) {
	slices.SortFunc(calls, func(a, b int) int {
		x, y := &t.nodes[a], &t.nodes[b]
		return compareTimes(x.StartedAt, y.StartedAt, x.SpanID, y.SpanID)
	})
	slices.SortFunc(tools, func(a, b int) int {
		x, y := &t.nodes[a], &t.nodes[b]
		return compareTimes(x.EndedAt, y.EndedAt, x.SpanID, y.SpanID)
	})
	links := make([]link, 0, len(calls))
	for _, i := range calls {
		n := &t.nodes[i]
		l := link{node: i, came: n.Execution, own: n.tokens().Input}
		if asked, known := t.toolBefore(n, tools); known {
			if before := t.lastLink(links, n, asked); before != nil {
				own, less := minus(n.tokens(), before.came.Tokens)
				if less && own.Input >= before.own && own.Output > 0 {
					t.reduce(i, own, &before.came.Billing)
					l.own, before.continued = own.Input, true
				}
			}
		}
		links = append(links, l)
	}
}

// toolBefore returns when the last tool's use began that ended before a call of the same source did begin.
func (t *tree) toolBefore(n *node, tools []int) (began time.Time, known bool) {
	at, _ := slices.BinarySearchFunc(tools, n.StartedAt, func(i int, began time.Time) int { return cmp.Or(t.nodes[i].EndedAt.Compare(began), -1) })
	for k := at - 1; k >= max(at-maxLooks, 0); k-- {
		if u := &t.nodes[tools[k]]; u.Scope == n.Scope && u.Process == n.Process {
			return u.StartedAt, true
		}
	}
	return began, false
}

// lastLink returns the call that ended last before a tool was used, of the same source and model; nil: none, or another one
// went on from there.
func (t *tree) lastLink(links []link, n *node, used time.Time) *link {
	var last *link
	for k := len(links) - 1; k >= max(len(links)-maxLooks, 0); k-- {
		before := &t.nodes[links[k].node]
		if links[k].continued || before.EndedAt.After(used) || before.Scope != n.Scope || before.Process != n.Process || before.model() != n.model() {
			continue
		}
		if last == nil || before.EndedAt.After(t.nodes[last.node].EndedAt) {
			last = &links[k]
		}
	}
	return last
}

// reduce has a node count less than came. What the caller of Decide gave stays as it is.
func (t *tree) reduce(i int, own execution.Tokens, before *execution.Billing) {
	n := &t.nodes[i]
	given, e := *n.Node, *n.Execution
	e.Tokens, e.Cost = own, nil
	for k, count := range e.Billing.Counts() {
		*count = max(*count-*before.Counts()[k], 0)
	}
	given.Execution = &e
	n.Node, n.reduced = &given, true
}

// minus takes b from a, and reports whether b may be a part of a.
func minus(a, b execution.Tokens) (rest execution.Tokens, part bool) {
	rest = a
	rest.Add(b.Minus())
	return rest, min(rest.Input, rest.Output, rest.CacheRead, rest.CacheWrite, rest.Reasoning, rest.Used) >= 0
}
