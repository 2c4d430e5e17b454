package usage

import (
	"strconv"

	"github.com/watchbill/watchbill/internal/execution"
)

// Events collects successive usage objects of one call, such as a stream's events. Counts are cumulative, so a later
// object replaces the counts that it has. The zero value is empty.
type Events struct {
	said statement
	some bool
}

// Add adds an object as a provider sends it, and reports whether it has a count of the output. Anything that is not an
// object is ignored.
func (e *Events) Add(object string) (written bool) {
	if !looksLikeObject(object) {
		return false
	}
	later := statement{source: "usage"}
	if !readObject(object, "", false, false, &later) {
		return false
	}
	e.said.over(&later)
	e.some = true
	return later.has(output) || later.has(total)
}

// Service records the service tier that a response names.
func (e *Events) Service(name string) {
	if name = word(name); name != "" {
		e.said.tier, e.some = name, true
	}
}

// Settle returns the settled usage.
func (e *Events) Settle(by Source) Result {
	if !e.some {
		return Result{}
	}
	return e.said.settle(by, true)
}

// Own reads usage in Watchbill's own terms: a total, or an object whose input includes cached tokens and whose output
// includes the reasoning.
func Own(raw string, by Source) Result {
	said := statement{within: true, inOutput: true}
	if f, err := strconv.ParseFloat(raw, 64); err == nil || f != 0 {
		said.number(Name{kind: total}, f)
	} else if looksLikeObject(raw) && !readObject(raw, "", false, false, &said) {
		return Result{}
	}
	return said.settle(by, true)
}

// Parts says which of the counts in Tokens were reported.
type Parts struct{ Input, Output bool }

// Reconcile settles counts in Watchbill's own terms whose total exceeds their parts.
func Reconcile(t execution.Tokens, result Parts, by Source) execution.Tokens {
	if t.Used > 0 && !t.Distinguish() && by.onlyReads() {
		t.Input = t.Used
	}
	if t.Used <= t.Input+t.Output || !t.Distinguish() {
		return t
	}
	said := statement{within: true, inOutput: true, reported: 1 << total}
	said.n[input], said.n[output], said.n[total] = t.Input, t.Output, t.Used
	said.n[cacheRead], said.n[cacheWrite], said.n[reasoning] = t.CacheRead, t.CacheWrite, t.Reasoning
	if result.Input {
		said.reported |= 1 << input
	}
	if result.Output {
		said.reported |= 1 << output
	}
	settled := t
	settled.Input += said.outside(&t, by, true)
	said.settleOutput(&settled, by, true)
	said.settleRest(&settled, by)
	return settled
}
