package trace

import (
	"cmp"
	"slices"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
)

// takeApart corrects the counts of calls that include those of the calls before them. Growing counts alone prove
// nothing, since a conversation's input grows with each call. The counts are cumulative if a tool was used between two
// sibling calls, the library adds up the usage of such loops, and the later call's input contains the earlier call's
// prompt twice.
func (t *tree) takeApart() {
	var tools map[spanKey][]int // by enclosing span
	for i := range t.nodes {
		if n := &t.nodes[i]; n.Cumulative && n.Role == execution.RoleTool && n.ParentSpanID != "" && n.duplicate == none {
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
		if n.call() && n.duplicate == none && tools[around] != nil && n.reported() && !n.failedItself() {
			calls[around] = append(calls[around], i)
		}
	}
	for around, several := range calls {
		t.subtract(several, tools[around])
	}
}

// link is a call of a tool loop.
type link struct {
	node      int
	came      *execution.Execution
	own       int64 // its input, without that of the calls before
	continued bool
}

// subtract removes from each call the counts of the call that requested the tool use before it.
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

// toolBefore returns the start of the last tool use of the same source that ended before a call began.
func (t *tree) toolBefore(n *node, tools []int) (began time.Time, known bool) {
	at, _ := slices.BinarySearchFunc(tools, n.StartedAt, func(i int, began time.Time) int { return cmp.Or(t.nodes[i].EndedAt.Compare(began), -1) })
	for k := at - 1; k >= max(at-maxLooks, 0); k-- {
		if u := &t.nodes[tools[k]]; u.Scope == n.Scope && u.Process == n.Process {
			return u.StartedAt, true
		}
	}
	return began, false
}

// lastLink returns the call of the same source and model that ended last before a tool was used, or nil if there is
// none. Calls that another call already continued are ignored.
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

// reduce replaces a node's counts with smaller ones. It copies the node, since the caller of Decide owns the original.
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

// minus returns a minus b, and reports whether b can be a part of a.
func minus(a, b execution.Tokens) (rest execution.Tokens, part bool) {
	rest = a
	rest.Add(b.Minus())
	return rest, min(rest.Input, rest.Output, rest.CacheRead, rest.CacheWrite, rest.Reasoning, rest.Used) >= 0
}
