package trace

import (
	"slices"

	"github.com/watchbill/watchbill/internal/execution"
)

type spanKey struct{ trace, span string }

// tree links the nodes of any number of traces.
type tree struct {
	nodes []node
	order []int // parents before children
}

// plant builds a tree from nodes. Cycles of parents are broken.
func plant(given []Node) *tree {
	t := &tree{nodes: make([]node, len(given)), order: make([]int, 0, len(given))}
	index := make(map[spanKey]int, len(given))
	for i := range given {
		n := &t.nodes[i]
		n.Node, n.failed, n.group = &given[i], i, none
		n.duplicate, n.parent, n.above, n.first, n.weak, n.last, n.ended, n.final = none, none, none, none, none, none, none, none
		n.ambiguous = n.WeakResponse || n.ResponseID != "" && WeakResponse(n.ResponseID)
		key := spanKey{n.TraceID, n.SpanID}
		if first, twice := index[key]; twice {
			n.duplicate = first
			continue
		}
		index[key] = i
	}
	orphans := false
	for i := range t.nodes {
		n := &t.nodes[i]
		if n.ParentSpanID == "" {
			continue
		}
		if parent, known := index[spanKey{n.TraceID, n.ParentSpanID}]; known {
			n.parent = parent
		} else {
			n.missing, orphans = n.ParentSpanID, true
		}
	}
	if orphans {
		t.adopt()
	}
	t.sort()
	return t
}

// adopt places spans with an unknown parent under the run that is the root of their trace, if it is the only root and
// encloses them in time: the parent, which may never arrive, lies in it too.
func (t *tree) adopt() {
	roots := map[string]int{}
	for i := range t.nodes {
		n := &t.nodes[i]
		if n.ParentSpanID != "" || n.duplicate != none {
			continue
		}
		if _, another := roots[n.TraceID]; another {
			roots[n.TraceID] = none
		} else {
			roots[n.TraceID] = i
		}
	}
	for i := range t.nodes {
		n := &t.nodes[i]
		root, known := roots[n.TraceID]
		if n.missing == "" || !known || root == none {
			continue
		}
		r := &t.nodes[root]
		if (r.Role == execution.RoleRun || r.Role == execution.RoleStep) && !n.StartedAt.Before(r.StartedAt) && !n.EndedAt.After(r.EndedAt) && !n.StartedAt.IsZero() {
			n.parent, n.adopted = root, true
		}
	}
}

// sort orders parents before their children, and breaks each cycle at its earliest span.
func (t *tree) sort() {
	const untouched, climbing, done = 0, 1, 2
	state := make([]uint8, len(t.nodes))
	var path []int
	for i := 0; i < len(t.nodes); i++ {
		at := i
		for at != none && state[at] == untouched {
			state[at] = climbing
			path = append(path, at)
			at = t.nodes[at].parent
		}
		if at != none && state[at] == climbing {
			t.cut(path[slices.Index(path, at):])
			for _, climbed := range path {
				state[climbed] = untouched
			}
			path = path[:0]
			i-- // try again
			continue
		}
		for len(path) > 0 {
			last := path[len(path)-1]
			path = path[:len(path)-1]
			state[last] = done
			t.order = append(t.order, last)
		}
	}
}

// cut makes the earliest span of a cycle a root.
func (t *tree) cut(circle []int) {
	first := circle[0]
	for _, i := range circle[1:] {
		if t.began(i, first) {
			first = i
		}
	}
	t.nodes[first].parent = none
}

// placeAll finds the execution that encloses each node, and which nodes are steps.
func (t *tree) placeAll() {
	for _, i := range t.order {
		n := &t.nodes[i]
		if n.parent == none {
			continue
		}
		p := &t.nodes[n.parent]
		if p.missing != "" {
			n.missing, n.adopted = p.missing, p.adopted
		}
		n.above = p.above
		if p.executes() {
			n.above = n.parent
		}
		n.step = n.Role == execution.RoleStep && n.above != none && t.nodes[n.above].run()
	}
}

// nameAll determines how runs ended, and the names of each node. A run inherits names that it lacks from the spans
// below it, then from those above.
func (t *tree) nameAll() {
	for _, i := range t.order {
		n := &t.nodes[i]
		n.stated = names{n.Agent, n.User, n.Session}
		if n.step && n.DefaultName {
			n.stated.agent = ""
		}
	}
	for at := len(t.order) - 1; at >= 0; at-- {
		i := t.order[at]
		n := &t.nodes[i]
		if n.duplicate != none {
			continue
		}
		n.user.add(claim{value: n.User})
		n.session.add(claim{value: n.Session})
		if n.run() {
			t.conclude(n)
		}
		if n.ended != none && n.status() == execution.Failure && t.statusOf(n.ended) == execution.Timeout {
			n.failed = t.nodes[n.ended].failed // the enclosing span wrapped the error
		}
		if n.parent != none {
			parent := &t.nodes[n.parent]
			parent.user.add(n.user)
			parent.session.add(n.session)
			if !n.adopted && (parent.final == none || t.endedAfter(i, parent.final)) {
				parent.final = i
			}
		}
		if n.above != none {
			above := &t.nodes[n.above]
			if n.executes() && (above.ended == none || t.endedAfter(i, above.ended)) {
				above.ended = i
			}
			if above.run() {
				t.tell(above, i)
			}
		}
	}
	for _, i := range t.order {
		n := &t.nodes[i]
		n.named = n.stated
		if n.parent != none {
			n.named.fill(t.nodes[n.parent].named)
		}
	}
}

func (n *names) fill(from names) {
	if n.agent == "" {
		n.agent = from.agent
	}
	if n.user == "" {
		n.user = from.user
	}
	if n.session == "" {
		n.session = from.session
	}
}

// tell updates a run with a node directly below it.
func (t *tree) tell(run *node, i int) {
	n := &t.nodes[i]
	if !n.run() {
		run.calls = run.calls || n.executes()
		return
	}
	if n.stated.agent != "" {
		if n.certain && (run.first == none || t.began(i, run.first)) {
			run.first = i
		}
		if run.weak == none || t.began(i, run.weak) {
			run.weak = i
		}
	}
	if run.last == none || t.endedAfter(i, run.last) {
		run.last = i
	}
}

// statusOf returns the status of a node, including what it inherits from the nodes in it.
func (t *tree) statusOf(i int) execution.Status { return t.nodes[t.nodes[i].failed].status() }

func (t *tree) endedAfter(i, other int) bool {
	a, b := &t.nodes[i], &t.nodes[other]
	return compareTimes(a.EndedAt, b.EndedAt, a.SpanID, b.SpanID) > 0
}

func (t *tree) began(i, before int) bool {
	a, b := &t.nodes[i], &t.nodes[before]
	return compareTimes(a.StartedAt, b.StartedAt, a.SpanID, b.SpanID) < 0
}

// conclude decides a run's name and status once all nodes below it are known. A run that calls no model and no tool
// itself takes them from the runs in it: its name is that of the first one with its own name, since agents to which it
// hands over follow; its status is that of the last one.
func (t *tree) conclude(n *node) {
	n.certain = n.stated.agent != "" && !n.DefaultName
	switch {
	case n.certain, n.stated.agent != "" && n.calls:
	case n.first != none:
		n.stated.agent, n.certain = t.nodes[n.first].stated.agent, true
	case n.stated.agent == "" && n.weak != none:
		n.stated.agent = t.nodes[n.weak].stated.agent
	}
	if n.stated.user == "" {
		n.stated.user = n.user.unanimous()
	}
	if n.stated.session == "" {
		n.stated.session = n.session.unanimous()
	}
	if !n.failedItself() {
		if from := t.failureOf(n); from != none {
			n.failed = from
		}
	}
}
