package trace

import (
	"cmp"
	"iter"
	"slices"
	"time"
)

const (
	// Slack is by how much a span may stick out of the one around it.
	Slack = 20 * time.Millisecond
	// BeganWithin is how much later than the one around it a span may begin.
	BeganWithin = 5 * time.Second
	// ReportedWithin is how long after a call's span its report may come: a stream is read meanwhile.
	ReportedWithin = 10 * time.Minute
	// tightWithin is how much longer than the inner one the outer span of a call may be whose counts do not tell it from others.
	tightWithin = 200 * time.Millisecond
	// tightShare is what part of it: a tenth.
	tightShare = 10
	// maxLooks bounds how many calls each is compared with on either side, and maxNestings how many of them it may be.
	maxLooks    = 64
	maxNestings = 8
)

// byReport joins spans of no length that report how a call ended with the call of the same scope: the one beside it that ended last
// before, and does not count itself. A report that says how long the answer took is of the call that ended when it began.
func (c *calls) byReport() {
	type place struct{ trace, parent, scope, process string }
	open := map[place][]int{}
	for _, i := range c.all {
		n := &c.nodes[i]
		at := place{n.TraceID, n.ParentSpanID, n.Scope, n.Process}
		if n.ParentSpanID == "" {
			at.trace = "" // each is the root of its own
		}
		if !Reports(n.Span) {
			if !n.counts() && !n.failedItself() {
				open[at] = append(open[at], i)
			}
			continue
		}
		best := none
		began, says := n.StartedAt, n.Execution != nil && n.Execution.Duration > 0
		if says {
			began = began.Add(-n.Execution.Duration)
		}
		distance := func(i int) time.Duration { return began.Sub(c.nodes[i].EndedAt).Abs() }
		for k, before := range slices.Backward(open[at]) {
			if k < len(open[at])-maxLooks {
				break
			}
			b := &c.nodes[before]
			gap := n.StartedAt.Sub(b.EndedAt)
			if gap < -Slack || gap > ReportedWithin || !sameModel(b, n) || len(c.groups[b.group].members) > 1 {
				continue
			}
			switch {
			case best == none, says && distance(before) < distance(best), !says && b.EndedAt.After(c.nodes[best].EndedAt):
				best = before
			}
		}
		if best != none {
			c.join(best, i, BySimilarity, true)
		}
	}
}

// byPartner joins what was found to be similar before, where nothing says otherwise.
func (c *calls) byPartner() {
	if !slices.ContainsFunc(c.all, func(i int) bool { return c.nodes[i].Partner != "" }) {
		return
	}
	byID := make(map[string]int, len(c.all))
	for _, i := range c.all {
		byID[c.nodes[i].id()] = i
	}
	for _, i := range c.all {
		partner, known := byID[c.nodes[i].Partner]
		if known && partner != i && len(c.groups[c.nodes[i].group].members) == 1 && c.compatible(partner, i) {
			c.join(partner, i, BySimilarity, true)
		}
	}
}

// bySimilarity joins calls of one process that different scopes saw at the same time, with the same model and the same counts. Of
// several that fit it takes the tightest, so that as many calls as both saw become as many. Counts that do not tell a call from others
// are no evidence: then one span must fill the other.
func (c *calls) bySimilarity() {
	if !c.scopes(c.all) {
		return
	}
	byProcess := map[string][]int{}
	var processes []string
	for _, i := range c.all {
		n := &c.nodes[i]
		if n.Process == "" || Reports(n.Span) || n.wrapper || !c.outermost(i) {
			continue
		}
		if byProcess[n.Process] == nil {
			processes = append(processes, n.Process)
		}
		byProcess[n.Process] = append(byProcess[n.Process], i)
	}
	for _, process := range processes {
		if several := byProcess[process]; c.scopes(several) {
			c.pair(several)
		}
	}
}

// scopes reports whether the calls are not all of one scope.
func (c *calls) scopes(several []int) bool {
	return slices.ContainsFunc(several, func(i int) bool { return c.nodes[i].Scope != c.nodes[several[0]].Scope })
}

// nesting is a call that may be another one, seen from further out, and how much longer the outer span is.
type nesting struct {
	outer, inner int
	around       time.Duration
}

// pair joins calls with those around them that are similar, the tightest first, so that chance takes no partner away. The calls are
// in the order of their time.
func (c *calls) pair(several []int) {
	var all []nesting
	for at, i := range several {
		all = c.tightest(all, i, slices.Backward(several[:at]), slices.All(several[at+1:]))
	}
	slices.SortStableFunc(all, func(a, b nesting) int { return cmp.Compare(a.around, b.around) })
	for _, one := range all {
		outer, inner := c.nodes[one.outer].group, c.nodes[one.inner].group
		if outer != inner && c.compatibleGroups(outer, inner) {
			c.join(one.outer, one.inner, BySimilarity, true)
		}
	}
}

// tightest appends the calls around one that are similar, at most maxNestings of them. The others come in the order in which they
// began, away from it.
func (c *calls) tightest(all []nesting, i int, others ...iter.Seq2[int, int]) []nesting {
	inner, first := &c.nodes[i], len(all)
	for _, some := range others {
		looks := 0
		for _, o := range some {
			outer := &c.nodes[o]
			if gap := inner.StartedAt.Sub(outer.StartedAt); gap > BeganWithin || gap < -Slack || looks == maxLooks {
				break
			}
			looks++
			if outer.group == inner.group || !c.similar(o, i) || !c.joinable(outer.group, inner.group, true) {
				continue
			}
			all = append(all, nesting{o, i, around(outer, inner)})
			if len(all)-first > maxNestings {
				worst := first
				for k := first + 1; k < len(all); k++ {
					if all[k].around >= all[worst].around {
						worst = k
					}
				}
				all = slices.Delete(all, worst, worst+1)
			}
		}
	}
	return all
}

// around is how much longer the outer span is, and by how much the inner one sticks out.
func around(outer, inner *node) time.Duration {
	return inner.StartedAt.Sub(outer.StartedAt).Abs() + outer.EndedAt.Sub(inner.EndedAt).Abs()
}

// similar reports whether the first call may be the second one, seen from further out.
func (c *calls) similar(outer, inner int) bool {
	o, i := &c.nodes[outer], &c.nodes[inner]
	return o.Scope != i.Scope && !i.StartedAt.Before(o.StartedAt.Add(-Slack)) && !i.EndedAt.After(o.EndedAt.Add(Slack)) &&
		(tight(o, i) || distinct(o) && distinct(i)) && c.compatible(outer, inner) && c.compatibleGroups(o.group, i.group)
}

// distinct reports whether a call's counts tell it from most others. Those of texts that are embedded in parallel are often the same.
func distinct(n *node) bool { return n.told() && n.tokens().Output > 0 }

// tight reports whether a call fills the one around it, but for what an instrumentation does before and after. Calls that have
// nothing to do with each other seldom do.
func tight(outer, inner *node) bool {
	return around(outer, inner) <= max(tightWithin, outer.EndedAt.Sub(outer.StartedAt)/tightShare)
}

// compatible reports whether nothing says that two calls are different ones.
func (c *calls) compatible(a, b int) bool {
	x, y := &c.nodes[a], &c.nodes[b]
	if x.wrapper || y.wrapper || !sameModel(x, y) || x.failedItself() != y.failedItself() {
		return false
	}
	if at, bt := c.within(a), c.within(b); at != none && bt != none && at != bt {
		return false
	}
	return agree(x, y)
}

// compatibleGroups reports whether two groups do not have different response ids.
func (c *calls) compatibleGroups(a, b int) bool {
	x, y := c.groupResponse(a), c.groupResponse(b)
	return x == "" || y == "" || x == y
}

// sameModel reports whether two calls may be of one model. A call that failed may not tell its own.
func sameModel(a, b *node) bool {
	x, y := a.model(), b.model()
	return x == y || (x == "" || y == "") && a.failedItself() && b.failedItself()
}

func (n *node) model() string {
	if n.Execution == nil {
		return ""
	}
	return PlainModel(n.Execution.Model)
}
