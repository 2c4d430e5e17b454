package trace

import (
	"slices"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
)

// maxRuns bounds how many runs above a call count what it used.
const maxRuns = 256

// maxNear bounds how many calls in a run's time are looked at that do not lie in it.
const maxNear = 1024

// inOrder is by how much clocks that are read one after the other may be out of order.
const inOrder = 2 * time.Millisecond

// account is what a run says that it used, and what the calls in it did.
type account struct {
	run      int
	sum      execution.Tokens
	last     int  // the group that was added last
	silent   bool // it has a call that did not say what it used
	direct   bool // model and provider are of calls that it made itself
	model    string
	provider string
	models   bool // there are several
	calls    []int
}

// accounts finds what runs used that no call in them tells of: some libraries have one span for several calls, with the counts of the
// last one, and the sum on the run's span; others have no span for calls. Where calls account for all that the run says, which is
// nearly always, the run used nothing itself.
func (c *calls) accounts(decisions []Decision) {
	of := map[int]*account{}
	var runs []*account
	for _, i := range slices.Backward(c.order) {
		if n := &c.nodes[i]; n.twin == none && n.run() && n.tokens().Used > 0 {
			a := &account{run: i, last: none}
			of[i] = a
			runs = append(runs, a)
		}
	}
	if len(runs) == 0 {
		return
	}
	for g := range c.groups {
		c.credit(g, decisions, of)
	}
	for _, a := range runs { // inner ones come first
		d := &decisions[a.run]
		total := c.nodes[a.run].tokens()
		// What it says is forgotten only where calls account for exactly that: two spans of one call may count twice for a while.
		if d.Kept = !accountsFor(a.sum, total); !d.Kept || !c.lacks(a) {
			continue
		}
		rest, some := unaccounted(total, c.withNear(a, decisions))
		if !some {
			continue
		}
		d.Rest, d.Reprice = rest, true
		d.model, d.provider = c.modelOf(a)
		for above, steps := c.nodes[a.run].above, 0; above != none && steps < maxRuns; above, steps = c.nodes[above].above, steps+1 {
			if outer := of[above]; outer != nil {
				outer.sum.Add(rest)
			}
		}
	}
}

// credit adds what a call used to all runs that one of its spans lies in, once.
func (c *calls) credit(g int, decisions []Decision, of map[int]*account) {
	used, stays := c.used(g, decisions)
	if stays == none {
		return
	}
	for _, m := range c.groups[g].members {
		direct := true
		for above, steps := c.nodes[m].above, 0; above != none && steps < maxRuns; above, steps = c.nodes[above].above, steps+1 {
			if a := of[above]; a != nil && a.last != g {
				a.last = g
				a.sum.Add(used)
				a.silent = a.silent || used.Used == 0 && !c.nodes[stays].failedItself()
				a.note(c.nodes[stays].Execution, direct)
				if direct {
					a.calls = append(a.calls, stays)
				}
			}
			direct = direct && !c.nodes[above].run()
		}
	}
}

// used returns what a call used, and the span that has its row; none where there is none.
func (c *calls) used(g int, decisions []Decision) (execution.Tokens, int) {
	for _, m := range c.groups[g].members {
		n, d := &c.nodes[m], &decisions[m]
		switch {
		case !n.call() || n.Execution == nil || d.Gone || n.wrapper:
		case d.Merged != nil:
			return d.Merged.Tokens, m
		default:
			return n.tokens(), m
		}
	}
	return execution.Tokens{}, none
}

// note notes the model of a call. Of those that a run called itself and others the first count.
func (a *account) note(e *execution.Execution, direct bool) {
	switch {
	case e.Model == "" || a.direct && !direct:
		return
	case direct && !a.direct, a.model == "":
		a.model, a.provider, a.models, a.direct = e.Model, e.Provider, false, direct
	case PlainModel(a.model) != PlainModel(e.Model):
		a.models = true
	case len(e.Model) > len(a.model), len(e.Model) == len(a.model) && e.Model > a.model: // whichever came first
		a.model = e.Model
	}
	if a.provider != e.Provider {
		a.provider = min(a.provider, e.Provider)
	}
}

// modelOf returns whose tokens a run's own are: those of the model that it called, or else of the one that it names; empty: of several.
func (c *calls) modelOf(a *account) (model, provider string) {
	switch {
	case a.models:
		return "", ""
	case a.model != "":
		return a.model, a.provider
	}
	e := c.nodes[a.run].Execution
	return e.Model, e.Provider
}

// accountsFor reports whether a sum is exactly a total, as far as that tells its parts apart.
func accountsFor(sum, total execution.Tokens) bool {
	if !total.TellApart() {
		return sum.Used == total.Used
	}
	return sum.Input == total.Input && sum.Output == total.Output
}

// unaccounted returns what a total has beyond a sum, and whether it has more of all that it tells apart.
func unaccounted(total, sum execution.Tokens) (rest execution.Tokens, some bool) {
	rest = total
	rest.Add(sum.Minus())
	if !total.TellApart() {
		return execution.Tokens{Used: rest.Used}, rest.Used > 0
	}
	if rest.Input < 0 || rest.Output < 0 || rest.Input+rest.Output == 0 {
		return execution.Tokens{}, false
	}
	rest.CacheRead = min(max(rest.CacheRead, 0), rest.Input)
	rest.CacheWrite = min(max(rest.CacheWrite, 0), rest.Input-rest.CacheRead)
	rest.Reasoning = min(max(rest.Reasoning, 0), rest.Output)
	rest.Used = rest.Input + rest.Output
	return rest, true
}

// lacks reports whether something shows that a run's calls are not all known with what they used. A larger total alone does not: it may
// be that of a conversation, or of all that an agent ever used. What shows it is that no call of the run counts, that one of them does
// not, or a tool's use that none of them asked for or read the result of.
func (c *calls) lacks(a *account) bool {
	if a.sum.Used == 0 || a.silent {
		return true
	}
	counting := slices.DeleteFunc(a.calls, func(i int) bool { return !c.groupCounts(c.nodes[i].group) })
	if len(counting) == 0 {
		return false // agents in it made all of them
	}
	first, last := counting[0], counting[0] // by their ends
	for _, i := range counting {
		if c.nodes[i].EndedAt.Before(c.nodes[first].EndedAt) {
			first = i
		}
		if c.nodes[i].EndedAt.After(c.nodes[last].EndedAt) {
			last = i
		}
	}
	return slices.ContainsFunc(c.tools, func(i int) bool {
		u := &c.nodes[i]
		around := u.above
		if around != none && c.nodes[around].call() { // which runs tools itself
			around = c.nodes[around].above
		}
		return around == a.run && (c.nodes[first].EndedAt.After(u.StartedAt.Add(inOrder)) || c.nodes[last].EndedAt.Before(u.EndedAt))
	})
}

// withNear adds to what a run's calls used what others did that may be its calls: those of its trace and its time that lie beside it, or
// in a run that another instrumentation saw.
func (c *calls) withNear(a *account, decisions []Decision) execution.Tokens {
	run, sum := &c.nodes[a.run], a.sum
	at, _ := slices.BinarySearchFunc(c.all, run.StartedAt.Add(-Slack), func(i int, began time.Time) int { return c.nodes[i].StartedAt.Compare(began) })
	for _, i := range c.all[at:min(at+maxNear, len(c.all))] {
		n := &c.nodes[i]
		if n.StartedAt.After(run.EndedAt) {
			break
		}
		if n.TraceID != run.TraceID || n.EndedAt.After(run.EndedAt.Add(Slack)) {
			continue
		}
		used, stays := c.used(n.group, decisions)
		if stays != i || used.Used == 0 {
			continue
		}
		beside := true
		for above, steps := n.above, 0; beside && above != none && above != run.above && steps < maxRuns; above, steps = c.nodes[above].above, steps+1 {
			beside = above != a.run && (!c.nodes[above].run() || c.nodes[above].Scope != run.Scope)
		}
		if beside {
			sum.Add(used)
		}
	}
	return sum
}
