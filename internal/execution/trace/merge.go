package trace

import (
	"cmp"
	"slices"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
)

// merge returns the single execution of a group. It is the first ranked member's, with what that lacks taken from the
// other members in order. The counts are those of the innermost span, which is nearest to the provider. It reports
// whether the cost must be calculated again.
func (c *calls) merge(ranked []int) (*execution.Execution, bool) {
	first := &c.nodes[ranked[0]]
	e := *first.Execution
	e.Joined = nil
	if first.Status != "" {
		e.Status = first.Status
	}
	if e.Status == execution.Success {
		e.ErrorMessage = ""
	}
	ends := first.StartedAt.Add(e.Duration)
	for _, i := range ranked[1:] {
		n := &c.nodes[i]
		other := n.Execution
		fill(&e, other)
		if e.RequestID == first.TraceID && other.RequestID != n.TraceID {
			e.RequestID = other.RequestID
		}
		if end := n.end(); end.After(ends) {
			ends = end
		}
		e.Joined = append(e.Joined, execution.Joined{ID: other.ID, By: c.reason(first, n)})
	}
	if !first.StartedAt.IsZero() {
		e.Duration = ends.Sub(first.StartedAt)
	}
	return &e, c.count(&e, ranked)
}

// fill sets what an execution lacks to what another one of the same call has.
func fill(e, other *execution.Execution) {
	e.Input, e.Output = orOther(e.Input, other.Input), orOther(e.Output, other.Output)
	e.Model = cmp.Or(e.Model, other.Model)
	e.Provider = cmp.Or(e.Provider, other.Provider)
	e.Variant = cmp.Or(e.Variant, other.Variant)
	e.ProviderCost = cmp.Or(e.ProviderCost, other.ProviderCost)
	if e.Status == execution.Failure && other.Status == execution.Timeout {
		e.Status = other.Status // the enclosing span wrapped the error
	}
	if e.Status != execution.Success {
		e.ErrorMessage = cmp.Or(e.ErrorMessage, other.ErrorMessage)
	}
}

func orOther(own, other []byte) []byte {
	if len(own) == 0 {
		return other
	}
	return own
}

// end returns when a call ended, as far as its span says; zero if that has no start.
func (n *node) end() time.Time {
	if n.StartedAt.IsZero() || Reports(n.Span) { // a report begins when the response ended
		return n.StartedAt
	}
	return n.StartedAt.Add(n.Execution.Duration)
}

// reason returns why a call was found to be the same as the one that is kept.
func (c *calls) reason(first, n *node) string {
	if n.by != "" {
		return n.by
	}
	return first.by
}

// count sets a group's counts and what depends on them. It reports whether the cost differs from the one that came with
// the counts.
func (c *calls) count(e *execution.Execution, ranked []int) (reprice bool) {
	base := ranked[0]
	for _, i := range ranked[1:] {
		if better(c.nodes[i].Execution, c.nodes[base].Execution) {
			base = i
		}
	}
	from := c.nodes[base].Execution
	e.Tokens, e.Usage, e.Billing, e.Cost, e.PriceVersion = from.Tokens, from.Usage, from.Billing, from.Cost, from.PriceVersion
	if e.Model != from.Model && PlainModel(e.Model) == PlainModel(from.Model) {
		e.Model = from.Model // the response's, which was used to look up the price
	}
	for _, i := range slices.Backward(ranked) {
		other := c.nodes[i].Execution
		t, u := &e.Tokens, other.Tokens
		if t.Input != u.Input || t.Output != u.Output {
			continue // they do not count the same way
		}
		fillCount(&t.CacheRead, u.CacheRead, t.Input-t.CacheWrite)
		fillCount(&t.CacheWrite, u.CacheWrite, t.Input-t.CacheRead)
		fillCount(&t.Reasoning, u.Reasoning, t.Output)
		if e.Billing == (execution.Billing{}) {
			e.Billing = other.Billing
		}
	}
	return c.nodes[base].reduced || e.Tokens != from.Tokens || e.Model != from.Model || e.Provider != from.Provider || e.Billing != from.Billing
}

// better reports whether a is a better source of counts than b, which precedes it: provider counts are better than
// estimates, estimates are better than incomplete counts, and of two equal ones the inner is better.
func better(a, b *execution.Execution) bool {
	if a.Tokens.Used == 0 || b.Tokens.Used == 0 {
		return a.Tokens.Used > 0 || b.Tokens.Used == 0 && a.Usage != execution.UsageNone && b.Usage == execution.UsageNone
	}
	return trust(a.Usage) >= trust(b.Usage)
}

// trust ranks the reliability of counts that are not zero.
func trust(u execution.Usage) int {
	switch u {
	case execution.UsageUnknown:
		return 0
	case execution.UsageEstimated:
		return 1
	}
	return 2
}

// fillCount sets a count that is zero to other, unless that exceeds the limit.
func fillCount(count *int64, other, limit int64) {
	if *count == 0 && other <= limit {
		*count = other
	}
}
