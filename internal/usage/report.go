package usage

import (
	"fmt"
	"math"
	"strings"

	"github.com/watchbill/watchbill/internal/execution"
)

// Report gathers what the attributes of a span say of what a call used. Its zero value, with a Source, is ready to use.
type Report struct {
	Source Source

	flat    statement
	objects *Told // nil: there were none
	answer  *Told // the provider's own; nil: it did not say, or was not asked for
	tooMany bool
}

// ErrCount is what is wrong with a count.
var ErrCount = fmt.Errorf("must be a whole number from 0 to %d", execution.MaxTokens)

// Number takes the value of an attribute that is a number. The error is ErrCount, where a convention wants a count. NaN is
// what the AI SDK sends where the provider did not say: no count.
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

// Other takes a value of another type, which is no count.
func (r *Report) Other(name Name) error {
	if name.is(conventional) {
		return ErrCount
	}
	return nil
}

// Text takes the value of an attribute that is a text: a word, a number, or an object in JSON or in Python's notation.
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

// looksLikeObject reports whether a text may be an object, or in Python's notation a class: Usage(prompt_tokens=5).
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
	said := statement{source: key, parts: strings.HasPrefix(key, "langfuse.")}
	if !readObject(text, name.prefix(), name.is(money), name.kind == container, &said) {
		return // cut off, or something else that begins like one
	}
	if name.is(money) {
		// The instrumentation's own list of prices, as attributes have.
		if said.costKnown || said.costFound {
			r.flat.over(&statement{cost: said.cost, costKnown: said.costKnown, costParts: said.costParts, costFound: said.costFound})
		}
		return
	}
	if name.is(ofInput | ofOutput) { // a part of what the attributes say
		r.flat.join(&said)
		return
	}
	if !said.absurd && !said.has(input) && !said.has(output) && !said.has(total) && !said.has(bare) {
		r.flat.join(&said) // it has only parts, of the whole that the attributes tell
	}
	r.add(said.settle(r.Source, true))
}

// add puts another account beside those there are: of two that differ, the larger counts hold, for what is wrong with a
// count is that something was left out.
func (r *Report) add(told Told) {
	if r.objects == nil {
		r.objects = &told
		return
	}
	r.objects.widen(&told)
}

// Settle returns what was told.
func (r *Report) Settle() Told {
	told := r.flat.settle(r.Source, false)
	r.tooMany = told.Absurd
	if r.objects != nil {
		told.widen(r.objects)
	}
	if r.answer != nil && (!told.Counted() && !told.Absurd || r.answer.explains(&told.Tokens)) {
		told.widen(r.answer)
	}
	return told
}

// TooMany reports whether the attributes come to more than may be counted, once they are settled.
func (r *Report) TooMany() bool { return r.tooMany }

// widen takes the larger of two accounts' counts, and of the rest what other has.
func (t *Told) widen(other *Told) {
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

// join adds what another part of the same statement says.
func (s *statement) join(other *statement) {
	for k := range counts {
		if other.has(k) {
			if other.n[k] > s.n[k] {
				s.n[k], s.rank[k] = other.n[k], other.rank[k]
			}
		}
	}
	s.told |= other.told
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
