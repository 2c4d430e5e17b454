package trace

import (
	"slices"

	"github.com/watchbill/watchbill/internal/execution"
)

type spanKey struct{ trace, span string }

// tree is nodes of any traces with what is found out about them.
type tree struct {
	nodes []node
	order []int // parents before children
}

// plant links nodes with those above them. Parents that go in circles are no parents.
func plant(given []Node) *tree {
	t := &tree{nodes: make([]node, len(given)), order: make([]int, 0, len(given))}
	index := make(map[spanKey]int, len(given))
	for i := range given {
		n := &t.nodes[i]
		n.Node, n.failed, n.group = &given[i], i, none
		n.twin, n.parent, n.above, n.first, n.weak, n.last, n.ended, n.final = none, none, none, none, none, none, none, none
		n.ambiguous = n.WeakResponse || n.ResponseID != "" && WeakResponse(n.ResponseID)
		key := spanKey{n.TraceID, n.SpanID}
		if first, twice := index[key]; twice {
			n.twin = first
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

// adopt puts spans whose parent is not known into the run that is their trace's root, if it is the only one and lies around them: the
// parent, which may never come, lies in it too.
func (t *tree) adopt() {
	roots := map[string]int{}
	for i := range t.nodes {
		n := &t.nodes[i]
		if n.ParentSpanID != "" || n.twin != none {
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

// sort puts parents before their children, and cuts each circle where it began.
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
			i-- // once more
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

// cut makes the first span of a circle a root.
func (t *tree) cut(circle []int) {
	first := circle[0]
	for _, i := range circle[1:] {
		if t.began(i, first) {
			first = i
		}
	}
	t.nodes[first].parent = none
}

// placeAll finds for each node the execution that it lies in, and which are steps of it.
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

// nameAll finds out how runs ended, and whose each node is: what runs do not say themselves those below say, and then those
// above.
func (t *tree) nameAll() {
	for _, i := range t.order {
		n := &t.nodes[i]
		n.said = names{n.Agent, n.User, n.Session}
		if n.step && n.DefaultName {
			n.said.agent = ""
		}
	}
	for at := len(t.order) - 1; at >= 0; at-- {
		i := t.order[at]
		n := &t.nodes[i]
		if n.twin != none {
			continue
		}
		n.user.add(claim{value: n.User})
		n.session.add(claim{value: n.Session})
		if n.run() {
			t.conclude(n)
		}
		if n.ended != none && n.status() == execution.Failure && t.statusOf(n.ended) == execution.Timeout {
			n.failed = t.nodes[n.ended].failed // it wrapped the error
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
		n.named = n.said
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

// tell tells a run of what lies directly in it.
func (t *tree) tell(run *node, i int) {
	n := &t.nodes[i]
	if !n.run() {
		run.calls = run.calls || n.executes()
		return
	}
	if n.said.agent != "" {
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

// statusOf is how a node ended, by what is in it as well.
func (t *tree) statusOf(i int) execution.Status { return t.nodes[t.nodes[i].failed].status() }

func (t *tree) endedAfter(i, other int) bool {
	a, b := &t.nodes[i], &t.nodes[other]
	return compareTimes(a.EndedAt, b.EndedAt, a.SpanID, b.SpanID) > 0
}

func (t *tree) began(i, before int) bool {
	a, b := &t.nodes[i], &t.nodes[before]
	return compareTimes(a.StartedAt, b.StartedAt, a.SpanID, b.SpanID) < 0
}

// conclude decides a run's name and status when all below it is known. A run that calls no model and no tool itself leaves that to
// the runs in it: it is theirs. The first of them that has a name of its own is the one that was asked; those it hands over to
// come later. How the last one ended is how all of it ended.
func (t *tree) conclude(n *node) {
	n.certain = n.said.agent != "" && !n.DefaultName
	switch {
	case n.certain, n.said.agent != "" && n.calls:
	case n.first != none:
		n.said.agent, n.certain = t.nodes[n.first].said.agent, true
	case n.said.agent == "" && n.weak != none:
		n.said.agent = t.nodes[n.weak].said.agent
	}
	if n.said.user == "" {
		n.said.user = n.user.unanimous()
	}
	if n.said.session == "" {
		n.said.session = n.session.unanimous()
	}
	if !n.failedItself() {
		if from := t.failureOf(n); from != none {
			n.failed = from
		}
	}
}
