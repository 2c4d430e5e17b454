package usage

import (
	"fmt"
	"math"
	"strings"

	"github.com/watchbill/watchbill/internal/execution"
)

// Report collects the usage that a span's attributes report. The zero value, with a Source, is ready to use.
type Report struct {
	Source Source

	flat    statement
	objects *Result // nil if there were none
	answer  *Result // the provider's response; nil if it reported nothing or was not read
	tooMany bool
}

// ErrCount is returned for an invalid count.
var ErrCount = fmt.Errorf("must be a whole number from 0 to %d", execution.MaxTokens)

// Number adds a numeric attribute. It returns ErrCount if a convention requires a count and f is none. The AI SDK sends
// NaN if the provider reported nothing; NaN is ignored.
func (r *Report) Number(key string, name Name, f float64) error {
	switch {
	case name.kind == unread && f > 0:
		r.flat.missed(key)
	case name.is(conventional) && (f < 0 || f > execution.MaxTokens && name.kind != total || f > 2*execution.MaxTokens || f != math.Trunc(f)) && !math.IsNaN(f):
		return ErrCount
	}
	r.flat.number(name, f)
	return nil
}

// Other adds an attribute of another type, which is never a count.
func (r *Report) Other(name Name) error {
	if name.is(conventional) {
		return ErrCount
	}
	return nil
}

// Text adds a string attribute: a word, a number, or an object in JSON or in Python's notation.
func (r *Report) Text(key string, name Name, text string) error {
	if looksLikeObject(text) {
		r.object(key, name, text)
		return nil
	}
	if name.is(conventional) && strings.TrimSpace(text) != "" {
		f, ok := numeric(text, name.kind)
		if !ok {
			return ErrCount
		}
		return r.Number(key, name, f)
	}
	r.flat.text(name, text)
	return nil
}

// looksLikeObject reports whether a text may be an object, or a class in Python's notation: Usage(prompt_tokens=5).
func looksLikeObject(text string) bool {
	text = strings.TrimLeft(text, " \t\r\n")
	if text == "" {
		return false
	}
	if text[0] == '{' {
		return true
	}
	open := strings.IndexByte(text[:min(len(text), 64)], '(')
	return open > 0 && isLetter(text[0]) && strings.HasSuffix(strings.TrimRight(text, " \t\r\n"), ")")
}

func (r *Report) object(key string, name Name, text string) {
	switch name.kind {
	case silent, ignored, tier, tierAsked, region, speed:
		return
	case container:
		if !strings.Contains(text, "sage") && !strings.Contains(text, gateway) { // usage, tokenUsage
			return
		}
	}
	found := statement{source: key, parts: strings.HasPrefix(key, "langfuse.")}
	if !readObject(text, name.prefix(), name.is(money), name.kind == container, &found) {
		return // truncated, or not an object
	}
	if name.is(money) {
		// The instrumentation's own price list was used, as for costs in attributes.
		if found.costKnown || found.costFound {
			r.flat.over(&statement{cost: found.cost, costKnown: found.costKnown, costParts: found.costParts, costFound: found.costFound})
		}
		return
	}
	if name.is(ofInput | ofOutput) { // a part of what the attributes report
		r.flat.join(&found)
		return
	}
	if !found.absurd && !found.has(input) && !found.has(output) && !found.has(total) && !found.has(bare) {
		r.flat.join(&found) // it has only parts of the total in the attributes
	}
	r.add(found.settle(r.Source, true))
}

// add merges another object's usage. Of two that differ the larger counts are used, since errors in counts are usually
// omissions.
func (r *Report) add(result Result) {
	if r.objects == nil {
		r.objects = &result
		return
	}
	r.objects.widen(&result)
}

// Settle returns the settled usage.
func (r *Report) Settle() Result {
	result := r.flat.settle(r.Source, false)
	r.tooMany = result.Absurd
	if r.objects != nil {
		result.widen(r.objects)
	}
	if r.answer != nil && (!result.Counted() && !result.Absurd || r.answer.explains(&result.Tokens)) {
		result.widen(r.answer)
	}
	return result
}

// TooMany reports whether the attributes, once settled, exceed the maximum count.
func (r *Report) TooMany() bool { return r.tooMany }

// widen sets each count to the larger of the two, and takes other's values for the rest if it has them.
func (t *Result) widen(other *Result) {
	if other.Absurd && !t.Counted() {
		t.Absurd = true
	}
	a, b := &t.Tokens, other.Tokens
	for _, n := range []struct {
		is *int64
		or int64
	}{
		{&a.Input, b.Input},
		{&a.Output, b.Output},
		{&a.CacheRead, b.CacheRead},
		{&a.CacheWrite, b.CacheWrite},
		{&a.Reasoning, b.Reasoning},
		{&a.Used, b.Used},
	} {
		*n.is = max(*n.is, n.or)
	}
	counts := other.Billing.Counts()
	for i, count := range t.Billing.Counts() {
		*count = max(*count, *counts[i])
	}
	clamp(a)
	a.Used = max(a.Used, a.Input+a.Output)
	fit(&t.Billing, a)
	if t.Billing.ServiceTier == "" {
		t.Billing.ServiceTier = other.Billing.ServiceTier
	}
	if other.Billing.Region != "" {
		t.Billing.Region = other.Billing.Region
	}
	if other.Cost != nil {
		t.Cost = other.Cost
	}
	for _, name := range other.Unread {
		if len(t.Unread) < maxUnread {
			t.Unread = append(t.Unread, name)
		}
	}
}

// join adds another part of the same statement.
func (s *statement) join(other *statement) {
	for k := range counts {
		if other.has(k) {
			if other.n[k] > s.n[k] {
				s.n[k], s.rank[k] = other.n[k], other.rank[k]
			}
		}
	}
	s.reported |= other.reported
	s.within, s.prompt = s.within || other.within, s.prompt || other.prompt
	s.beside, s.inOutput = s.beside || other.beside, s.inOutput || other.inOutput
	s.absurd = s.absurd || other.absurd
	if s.tierAsked == "" {
		s.tierAsked = other.tierAsked
	}
	for _, name := range other.unread {
		if len(s.unread) < maxUnread {
			s.unread = append(s.unread, name)
		}
	}
}
