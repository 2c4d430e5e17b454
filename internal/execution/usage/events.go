package usage

import (
	"strconv"

	"github.com/watchbill/watchbill/internal/execution"
)

// Events collects successive usage objects of one call, such as a stream's events. Counts are cumulative, so a later
// object replaces the counts that it has. The zero value is empty.
type Events struct {
	stated statement
	some   bool
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
	e.stated.over(&later)
	e.some = true
	return later.has(output) || later.has(total)
}

// Service records the service tier that a response names.
func (e *Events) Service(name string) {
	if name = word(name); name != "" {
		e.stated.tier, e.some = name, true
	}
}

// Settle returns the settled usage.
func (e *Events) Settle(by Source) Result {
	if !e.some {
		return Result{}
	}
	return e.stated.settle(by, true)
}

// Own reads usage in Watchbill's own terms: a total, or an object whose input includes cached tokens and whose output
// includes the reasoning.
func Own(raw string, by Source) Result {
	stated := statement{within: true, inOutput: true}
	if f, err := strconv.ParseFloat(raw, 64); err == nil || f != 0 {
		stated.number(Name{kind: total}, f)
	} else if looksLikeObject(raw) && !readObject(raw, "", false, false, &stated) {
		return Result{}
	}
	return stated.settle(by, true)
}

// Parts is the set of counts in Tokens that were reported.
type Parts struct{ Input, Output bool }

// Reconcile settles counts in Watchbill's own terms whose total exceeds their parts.
func Reconcile(t execution.Tokens, result Parts, by Source) execution.Tokens {
	if t.Used > 0 && !t.Distinguish() && by.onlyReads() {
		t.Input = t.Used
	}
	if t.Used <= t.Input+t.Output || !t.Distinguish() {
		return t
	}
	stated := statement{within: true, inOutput: true, reported: 1 << total}
	stated.n[input], stated.n[output], stated.n[total] = t.Input, t.Output, t.Used
	stated.n[cacheRead], stated.n[cacheWrite], stated.n[reasoning] = t.CacheRead, t.CacheWrite, t.Reasoning
	if result.Input {
		stated.reported |= 1 << input
	}
	if result.Output {
		stated.reported |= 1 << output
	}
	settled := t
	settled.Input += stated.outside(&t, by, true)
	stated.settleOutput(&settled, by, true)
	stated.settleRest(&settled, by)
	return settled
}
