package trace

import (
	"slices"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
)

// maxRuns limits how many enclosing runs a call's usage is added to.
const maxRuns = 256

// maxNear limits how many calls outside a run but within its time are examined.
const maxNear = 1024

// inOrder is the tolerance for the order of clock readings.
const inOrder = 2 * time.Millisecond

// account is the usage that a run reports, compared with that of the calls in it.
type account struct {
	run      int
	sum      execution.Tokens
	last     int  // the group that was added last
	silent   bool // has a call without counts
	direct   bool // model and provider are those of calls that the run made itself
	model    string
	provider string
	models   bool // several models were called
	calls    []int
}

// accounts finds usage of runs that no call in them accounts for. Some libraries have one span for several calls, with
// the counts of the last one, and the sum on the run's span; others have no spans for calls. Nearly always the calls
// account for everything, and the run used nothing itself.
func (c *calls) accounts(decisions []Decision) {
	of := map[int]*account{}
	var runs []*account
	for _, i := range slices.Backward(c.order) {
		if n := &c.nodes[i]; n.duplicate == none && n.run() && n.tokens().Used > 0 {
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
	for _, a := range runs { // inner runs first
		d := &decisions[a.run]
		total := c.nodes[a.run].tokens()
		// The run's counts are dropped only if they equal the sum of its calls: two spans of one call may both count
		// until they are merged.
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

// credit adds a call's usage once to each run that encloses one of its spans.
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

// used returns a call's usage and the node that has its row, or none.
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

// note records the model of a call. Calls that the run made itself take precedence over others.
func (a *account) note(e *execution.Execution, direct bool) {
	switch {
	case e.Model == "" || a.direct && !direct:
		return
	case direct && !a.direct, a.model == "":
		a.model, a.provider, a.models, a.direct = e.Model, e.Provider, false, direct
	case PlainModel(a.model) != PlainModel(e.Model):
		a.models = true
	case len(e.Model) > len(a.model), len(e.Model) == len(a.model) && e.Model > a.model: // regardless of the order of arrival
		a.model = e.Model
	}
	if a.provider != e.Provider {
		a.provider = min(a.provider, e.Provider)
	}
}

// modelOf returns the model and provider of a run's own tokens: those that it called, otherwise those on its span. They
// are empty if it called several models.
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

// accountsFor reports whether a sum equals a total: in input and output if the total has them, otherwise in the number
// of tokens.
func accountsFor(sum, total execution.Tokens) bool {
	if !total.Distinguish() {
		return sum.Used == total.Used
	}
	return sum.Input == total.Input && sum.Output == total.Output
}

// unaccounted returns a total minus a sum, and reports whether something is left and no count is negative.
func unaccounted(total, sum execution.Tokens) (rest execution.Tokens, some bool) {
	rest = total
	rest.Add(sum.Minus())
	if !total.Distinguish() {
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

// lacks reports whether there is evidence that a run's calls, or their counts, are incomplete. A larger total alone is
// not: it may be that of a conversation, or of the agent's lifetime. The evidence is that no call of the run has
// counts, that one of them has none, or a tool use that no call can have requested or read the result of.
func (c *calls) lacks(a *account) bool {
	if a.sum.Used == 0 || a.silent {
		return true
	}
	counting := slices.DeleteFunc(a.calls, func(i int) bool { return !c.groupCounts(c.nodes[i].group) })
	if len(counting) == 0 {
		return false // agents in it made all calls
	}
	first, last := counting[0], counting[0] // by when they ended
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
		if around != none && c.nodes[around].call() { // a call that runs tools itself
			around = c.nodes[around].above
		}
		return around == a.run && (c.nodes[first].EndedAt.After(u.StartedAt.Add(inOrder)) || c.nodes[last].EndedAt.Before(u.EndedAt))
	})
}

// withNear returns the usage of a run's calls plus that of calls that may be the run's: calls of the same trace and
// within its time that are siblings of the run, or lie in a run that another instrumentation reported.
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
