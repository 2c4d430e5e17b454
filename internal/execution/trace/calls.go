package trace

import (
	"cmp"
	"slices"
	"strings"

	"github.com/watchbill/watchbill/internal/execution"
)

// maxGroup is the maximum number of spans that are merged into one call. Spans beyond it count as calls of their own.
const maxGroup = 8

// group is a set of call spans that describe the same call.
type group struct {
	members []int
	user    string // empty if no member's user is known
}

// calls groups the calls of a tree.
type calls struct {
	*tree
	groups []group
	all    []int // the calls, ordered by time
	tools  []int // the uses of tools, which are joined only with their enclosing spans
}

// groupCalls groups the calls of a tree that are the same.
func groupCalls(t *tree) *calls {
	c := &calls{tree: t, groups: make([]group, 0, len(t.nodes)), all: make([]int, 0, len(t.nodes))}
	alone := make([]int, 0, len(t.nodes)) // backing array of the groups' initial members
	for i := range t.nodes {
		n := &t.nodes[i]
		if n.duplicate != none || !n.call() && n.Role != execution.RoleTool {
			continue
		}
		n.group = len(c.groups)
		alone = append(alone, i)
		c.groups = append(c.groups, group{members: alone[len(alone)-1 : len(alone) : len(alone)], user: n.named.user})
		if n.call() {
			c.all = append(c.all, i)
		} else {
			c.tools = append(c.tools, i)
		}
	}
	c.sort()
	c.byReport()
	c.byResponse()
	c.byParent()
	c.byPartner()
	c.bySimilarity()
	c.byMiscount()
	return c
}

// sort orders the calls by time. Comparing microseconds first decides nearly all pairs.
func (c *calls) sort() {
	type timed struct {
		micro int64
		call  int
	}
	order := make([]timed, len(c.all))
	for k, i := range c.all {
		order[k] = timed{c.nodes[i].StartedAt.UnixMicro(), i}
	}
	slices.SortFunc(order, func(a, b timed) int {
		if a.micro != b.micro {
			return cmp.Compare(a.micro, b.micro)
		}
		x, y := &c.nodes[a.call], &c.nodes[b.call]
		return cmp.Or(compareTimes(x.StartedAt, y.StartedAt, x.TraceID, y.TraceID), strings.Compare(x.SpanID, y.SpanID))
	})
	for k := range order {
		c.all[k] = order[k].call
	}
}

// join merges the groups of two calls and reports whether they are in one group. It does not merge calls of different
// users or groups that would exceed maxGroup. If separate is set, it also does not merge groups that have a source in
// common, since a source reports each call once.
func (c *calls) join(a, b int, by string, separate bool) bool {
	x, y := &c.nodes[a], &c.nodes[b]
	if x.group == y.group {
		return true
	}
	if !c.joinable(x.group, y.group, separate) {
		return false
	}
	into, from := x.group, y.group
	g, other := &c.groups[into], &c.groups[from]
	if g.user == "" {
		g.user = other.user
	}
	for _, m := range other.members {
		c.nodes[m].group = into
	}
	g.members = append(g.members, other.members...)
	other.members = nil
	for _, n := range []*node{x, y} {
		if n.by == "" {
			n.by = by
		}
	}
	return true
}

// joinable reports whether two groups may be merged.
func (c *calls) joinable(a, b int, separate bool) bool {
	g, other := &c.groups[a], &c.groups[b]
	if len(g.members)+len(other.members) > maxGroup || g.user != "" && other.user != "" && g.user != other.user {
		return false
	}
	if separate {
		for _, m := range g.members {
			for _, o := range other.members {
				if c.sameSource(m, o) {
					return false
				}
			}
		}
	}
	return true
}

// sameSource reports whether two spans are from one instrumentation of one process, which reports each call once. The
// zero-length spans in which it reports how calls ended are a separate source.
func (c *calls) sameSource(a, b int) bool {
	x, y := &c.nodes[a], &c.nodes[b]
	return x.Scope == y.Scope && x.Process == y.Process && Reports(x.Span) == Reports(y.Span)
}

// byParent joins calls with the call that encloses them.
func (c *calls) byParent() {
	inner := map[int][]int{} // by enclosing call
	var outers []int
	for _, some := range [][]int{c.all, c.tools} {
		for _, i := range some {
			if above := c.nodes[i].above; above != none && c.nodes[above].Role == c.nodes[i].Role {
				if inner[above] == nil {
					outers = append(outers, above)
				}
				inner[above] = append(inner[above], i)
			}
		}
	}
	for _, outer := range outers {
		c.around(outer, inner[outer])
	}
}

// around joins a call with the calls in it. If one scope reports several of them, the enclosing span is not a call
// itself, unless at most one of the inner calls has counts: then the others that succeeded are auxiliary calls, and
// those that failed are earlier attempts.
func (c *calls) around(outer int, inner []int) {
	var scopes []string
	of := map[string][]int{} // one call of each group, by scope
	groups := map[int]bool{c.nodes[outer].group: true}
	for _, i := range inner {
		n := &c.nodes[i]
		if groups[n.group] {
			continue
		}
		groups[n.group] = true
		if of[n.Scope] == nil {
			scopes = append(scopes, n.Scope)
		}
		of[n.Scope] = append(of[n.Scope], i)
	}
	for _, scope := range scopes {
		several := of[scope]
		if !c.nodes[outer].call() {
			if len(several) == 1 && scope != c.nodes[outer].Scope {
				c.join(outer, several[0], ByParent, true)
			}
			continue
		}
		counting, main := 0, none
		for _, i := range several {
			n := &c.nodes[i]
			switch counts := c.groupCounts(n.group); {
			case counts:
				counting++
				main = i
			case counting == 0 && (main == none || !n.failedItself() || c.nodes[main].failedItself()):
				main = i
			}
		}
		if counting > 1 {
			c.nodes[outer].wrapper = true
			return
		}
		for _, i := range several {
			if i == main || !c.nodes[i].failedItself() {
				c.join(outer, i, ByParent, false)
			}
		}
	}
}

func (c *calls) groupCounts(g int) bool {
	return slices.ContainsFunc(c.groups[g].members, func(i int) bool { return c.nodes[i].counts() })
}

// groupResponse returns the response id of a group, or "" if it has none.
func (c *calls) groupResponse(g int) string {
	for _, i := range c.groups[g].members {
		if id := c.nodes[i].ResponseID; id != "" {
			return id
		}
	}
	return ""
}

// outermost reports whether a call is enclosed by no other call of its group.
func (c *calls) outermost(i int) bool {
	above := c.nodes[i].above
	for above != none && c.nodes[above].group != none {
		if c.nodes[above].group == c.nodes[i].group {
			return false
		}
		above = c.nodes[above].above
	}
	return true
}

// within returns the execution that encloses the call and the calls of its group above it, or none.
func (c *calls) within(i int) int {
	above := c.nodes[i].above
	for above != none && c.nodes[above].group == c.nodes[i].group {
		above = c.nodes[above].above
	}
	return above
}

// ranked returns the members of a group that have an execution, ordered by precedence; the first is kept. A member in a
// run precedes one outside of runs, and an outer member precedes an inner one.
func (c *calls) ranked(g int) []int {
	members := slices.DeleteFunc(slices.Clone(c.groups[g].members), func(i int) bool { return c.nodes[i].Execution == nil })
	slices.SortFunc(members, func(a, b int) int {
		x, y := &c.nodes[a], &c.nodes[b]
		for _, better := range [][2]bool{
			{c.within(a) != none, c.within(b) != none},
			{!Reports(x.Span), !Reports(y.Span)},
			{c.outermost(a), c.outermost(b)},
			{x.ParentSpanID != "", y.ParentSpanID != ""},
		} {
			switch {
			case better[0] && !better[1]:
				return -1
			case better[1] && !better[0]:
				return 1
			}
		}
		if d := compareTimes(x.StartedAt, y.StartedAt, "", ""); d != 0 {
			return d
		}
		return compareTimes(y.EndedAt, x.EndedAt, x.id(), y.id())
	})
	return members
}
