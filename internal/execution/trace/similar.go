package trace

import (
	"cmp"
	"iter"
	"slices"
	"time"
)

const (
	// Slack is how far a span may extend beyond its enclosing span.
	Slack = 20 * time.Millisecond
	// BeganWithin is how much later than its enclosing span a span may begin.
	BeganWithin = 5 * time.Second
	// ReportedWithin is how long after a call's span its report may follow: the stream is read in between.
	ReportedWithin = 10 * time.Minute
	// tightWithin is how much longer than the inner span an outer span may be if the counts do not identify the call.
	tightWithin = 200 * time.Millisecond
	// tightShare is the same limit as a fraction of the outer span: a tenth.
	tightShare = 10
	// maxLooks limits how many calls each call is compared with in each direction, and maxNestings how many candidates
	// are kept.
	maxLooks    = 64
	maxNestings = 8
)

// byReport joins zero-length spans, which report how a call ended, with a call of the same scope: the sibling that
// ended last before the report and has no counts. If the report has the response's duration, the call is the one that
// ended nearest to when the response began.
func (c *calls) byReport() {
	type place struct{ trace, parent, scope, process string }
	open := map[place][]int{}
	for _, i := range c.all {
		n := &c.nodes[i]
		at := place{n.TraceID, n.ParentSpanID, n.Scope, n.Process}
		if n.ParentSpanID == "" {
			at.trace = "" // each is the root of its trace
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

// byPartner joins calls that were found to be similar before, unless something contradicts it.
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

// bySimilarity joins calls of one process that different scopes reported at the same time, with the same model and the
// same counts. Of several candidates it takes the tightest, so that if two scopes both saw n calls, n remain. If the
// counts do not identify a call, the inner span must nearly fill the outer one.
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

// scopes reports whether the calls are of more than one scope.
func (c *calls) scopes(several []int) bool {
	return slices.ContainsFunc(several, func(i int) bool { return c.nodes[i].Scope != c.nodes[several[0]].Scope })
}

// nesting is a call that may be the same as an enclosing call, and how much longer the outer span is.
type nesting struct {
	outer, inner int
	around       time.Duration
}

// pair joins calls with similar enclosing calls, the tightest first, so that no chance match takes another call's
// partner. The calls are ordered by time.
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

// tightest appends up to maxNestings similar calls that enclose a call. The others are iterated in order of their
// start, away from the call.
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

// around returns how much the two spans differ at the start plus at the end.
func around(outer, inner *node) time.Duration {
	return inner.StartedAt.Sub(outer.StartedAt).Abs() + outer.EndedAt.Sub(inner.EndedAt).Abs()
}

// similar reports whether the outer call may be the same as the inner one.
func (c *calls) similar(outer, inner int) bool {
	o, i := &c.nodes[outer], &c.nodes[inner]
	return o.Scope != i.Scope && !i.StartedAt.Before(o.StartedAt.Add(-Slack)) && !i.EndedAt.After(o.EndedAt.Add(Slack)) &&
		(tight(o, i) || distinct(o) && distinct(i)) && c.compatible(outer, inner) && c.compatibleGroups(o.group, i.group)
}

// distinct reports whether a call's counts distinguish it from most others. Embeddings computed in parallel often have
// equal counts.
func distinct(n *node) bool { return n.reported() && n.tokens().Output > 0 }

// tight reports whether a call fills its enclosing call, except for the work of an instrumentation before and after.
// Unrelated calls rarely do.
func tight(outer, inner *node) bool {
	return around(outer, inner) <= max(tightWithin, outer.EndedAt.Sub(outer.StartedAt)/tightShare)
}

// compatible reports whether nothing shows that two calls are different.
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

// sameModel reports whether two calls may be of one model. A failed call may not have one.
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
