package trace

import (
	"github.com/watchbill/watchbill/internal/execution"
)

// Decide returns a decision for each node. The nodes must include all known spans of a trace, and the calls of other
// traces that may be the same as calls of it.
func Decide(nodes []Node) []Decision {
	t := plant(nodes)
	t.placeAll()
	t.nameAll()
	t.takeApart()
	c := groupCalls(t)
	decisions := make([]Decision, len(nodes))
	for i := range t.nodes {
		if n := &t.nodes[i]; n.Execution != nil && n.duplicate == none {
			decisions[i] = t.decide(i)
		}
	}
	for g := range c.groups {
		if len(c.groups[g].members) > 1 {
			c.decide(g, decisions)
		}
	}
	c.accounts(decisions)
	for i := range t.nodes {
		if duplicate := t.nodes[i].duplicate; duplicate != none && t.nodes[i].Execution != nil && t.nodes[duplicate].Execution != nil {
			decisions[i] = decisions[duplicate]
			decisions[i].Members = nil
		}
	}
	return decisions
}

// decide returns the decision for a node that follows from its position in the tree.
func (t *tree) decide(i int) Decision {
	n := &t.nodes[i]
	d := Decision{
		Into: none, Missing: t.waitsFor(i), names: n.named, status: n.status(), role: n.Role, within: n.above != none,
	}
	switch {
	case n.step, n.wrapper && n.above != none:
		d.Gone, d.By = true, ByStep
	case n.wrapper:
		e := *n.Execution
		e.Kind, e.Joined = execution.Agent, nil
		uncount(&e)
		d.Merged, d.Kept = &e, true
	case n.reduced:
		d.Merged, d.Reprice, d.Kept = n.Execution, true, true
	case n.failed != i:
		from := &t.nodes[n.failed]
		if d.status = from.status(); from.Execution != nil && !n.failedItself() {
			d.message = from.Execution.ErrorMessage
		}
	}
	return d
}

// uncount removes the usage and its cost from an execution.
func uncount(e *execution.Execution) {
	e.Tokens, e.Cost, e.PriceVersion, e.Usage = execution.Tokens{}, nil, "", execution.UsageNone
	e.Billing, e.ProviderCost = execution.Billing{}, nil
	e.Model, e.Provider = "", ""
}

// on sets the known names on an execution.
func (n names) on(e *execution.Execution) {
	if n.agent != "" {
		e.AgentName = n.agent
	}
	if n.user != "" {
		e.UserID = n.user
	}
	if n.session != "" {
		e.SessionID = n.session
	}
}

// complete sets the known names on an execution that lacks them.
func (n names) complete(e *execution.Execution) {
	if e.AgentName != execution.Unknown {
		n.agent = ""
	}
	if e.UserID != execution.Unknown {
		n.user = ""
	}
	if e.SessionID != "" {
		n.session = ""
	}
	n.on(e)
}

// waitsFor returns the id of a missing span that may still change a node, or "" if there is none. Once a node's names
// and its run are known, spans further up change nothing.
func (t *tree) waitsFor(i int) string {
	for {
		n := &t.nodes[i]
		if n.missing == "" {
			return ""
		}
		if n.adopted || n.above == none || n.named.agent == "" || n.named.user == "" || n.named.session == "" {
			return n.missing
		}
		if t.nodes[n.above].group == none {
			return ""
		}
		i = n.above
	}
}

// decide merges the calls of a group.
func (c *calls) decide(g int, decisions []Decision) {
	ranked := c.ranked(g)
	if len(ranked) < 2 {
		return
	}
	stays := ranked[0]
	d := &decisions[stays]
	if d.Gone || c.nodes[stays].wrapper {
		return
	}
	d.Merged, d.Reprice = c.merge(ranked)
	d.Kept = true
	within := false
	for _, i := range ranked {
		d.names.fill(c.nodes[i].named)
		within = within || c.within(i) != none
	}
	d.within, d.Members = within, ranked[1:]
	for _, i := range ranked[1:] {
		decisions[i].Gone, decisions[i].Into, decisions[i].By = true, stays, c.reason(&c.nodes[stays], &c.nodes[i])
	}
}
