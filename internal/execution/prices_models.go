package execution

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// models reads the prices themselves.
func (r *priceReader) models(root, n *yaml.Node, version string) []*ModelPrice {
	switch {
	case n == nil:
		r.fault(root, "models", "is missing")
		return nil
	case n.Kind != yaml.SequenceNode:
		r.wrongKind(n, "models", "a list")
		return nil
	case len(n.Content) > maxPrices:
		r.fault(n, "models", "must have at most %d entries", maxPrices)
		return nil
	}
	models := make([]*ModelPrice, len(n.Content))
	for i, entry := range n.Content {
		models[i] = r.model(entry, fmt.Sprintf("models[%d]", i))
		models[i].Version = version
	}
	r.overlaps(models)
	return models
}

func (r *priceReader) model(n *yaml.Node, field string) *ModelPrice {
	m := &ModelPrice{Line: n.Line}
	fields := r.mapping(n, field, "match", "provider", "from", "until", "input", "output", "cache_read", "cache_write", "tiers")
	if n.Kind != yaml.MappingNode {
		return m
	}
	if match := fields["match"]; match != nil {
		m.Match = r.patterns(match, field+".match")
	} else {
		r.fault(n, field+".match", "is missing; it lists the models' names")
	}
	if provider := fields["provider"]; provider != nil {
		text, ok := r.text(provider, field+".provider")
		if ok && (len(text) > MaxProvider || !isWord(text)) {
			r.fault(provider, field+".provider", "must be at most %d bytes without blanks, not %s", MaxProvider, quoteExcerpt(text))
		}
		m.Provider = strings.ToLower(text)
	}
	m.From, m.Until = r.date(fields["from"], field+".from"), r.date(fields["until"], field+".until")
	if !m.Until.IsZero() && !m.From.Before(m.Until) {
		r.fault(fields["until"], field+".until", "must be after from")
		m.Match = nil // its time cannot be compared
	}
	m.Rates = r.rates(n, fields, field)
	m.Tiers = r.tiers(fields["tiers"], field+".tiers")
	return m
}

// rates reads four prices. A cache that has none costs what other input costs.
func (r *priceReader) rates(n *yaml.Node, fields map[string]*yaml.Node, field string) Rates {
	var rates Rates
	for _, rate := range []struct {
		name     string
		into     *Rate
		required bool
	}{
		{"input", &rates.Input, true},
		{"output", &rates.Output, true},
		{"cache_read", &rates.CacheRead, false},
		{"cache_write", &rates.CacheWrite, false},
	} {
		switch value := fields[rate.name]; {
		case value != nil:
			*rate.into = r.rate(value, join(field, rate.name))
		case rate.required:
			r.fault(n, join(field, rate.name), "is missing; write 0 for what costs nothing")
		default:
			*rate.into = rates.Input
		}
	}
	return rates
}

func (r *priceReader) tiers(n *yaml.Node, field string) []Tier {
	switch {
	case n == nil:
		return nil
	case n.Kind != yaml.SequenceNode:
		r.wrongKind(n, field, "a list")
		return nil
	case len(n.Content) > maxTiers:
		r.fault(n, field, "must have at most %d entries", maxTiers)
		return nil
	}
	tiers := make([]Tier, 0, len(n.Content))
	for i, entry := range n.Content {
		at := fmt.Sprintf("%s[%d]", field, i)
		fields := r.mapping(entry, at, "above_input_tokens", "input", "output", "cache_read", "cache_write")
		if entry.Kind != yaml.MappingNode {
			continue
		}
		tier := Tier{Rates: r.rates(entry, fields, at)}
		at += ".above_input_tokens"
		if above := fields["above_input_tokens"]; above == nil {
			r.fault(entry, at, "is missing")
		} else if text, ok := r.text(above, at); ok {
			count, err := strconv.ParseInt(text, 10, 64)
			if err != nil || count < 1 || count > MaxTokens {
				r.fault(above, at, "must be a whole number from 1 to %d, not %s", MaxTokens, quoteExcerpt(text))
			} else if len(tiers) > 0 && count <= tiers[len(tiers)-1].Above {
				r.fault(above, at, "must be more than that of the tier before")
			}
			tier.Above = count
		}
		tiers = append(tiers, tier)
	}
	return tiers
}

// patterns reads names of models and globs.
func (r *priceReader) patterns(n *yaml.Node, field string) []string {
	switch {
	case n.Kind != yaml.SequenceNode:
		r.wrongKind(n, field, "a list of names")
		return nil
	case len(n.Content) == 0:
		r.fault(n, field, "must not be empty")
		return nil
	case len(n.Content) > maxPatterns:
		r.fault(n, field, "must have at most %d entries", maxPatterns)
		return nil
	}
	patterns := make([]string, 0, len(n.Content))
	for i, entry := range n.Content {
		at := fmt.Sprintf("%s[%d]", field, i)
		text, ok := r.text(entry, at)
		pattern := strings.ToLower(text)
		switch {
		case !ok:
		case len(pattern) > MaxName || !isWord(pattern):
			r.fault(entry, at, "must be at most %d bytes without blanks, not %s", MaxName, quoteExcerpt(text))
		case strings.Contains(pattern, "**"):
			r.fault(entry, at, "one * is enough where %s has several in a row", quoteExcerpt(text))
		case slices.Contains(patterns, pattern):
			r.fault(entry, at, "%s is there twice", quoteExcerpt(text))
		default:
			patterns = append(patterns, pattern)
		}
	}
	return patterns
}

// isWord says whether a text can be seen, and has no blanks.
func isWord(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsGraphic(r) })
}

// overlaps finds patterns that have several prices for the same time.
func (r *priceReader) overlaps(models []*ModelPrice) {
	seen := map[priceKey][]int{}
	for i, m := range models {
		for _, pattern := range m.Match {
			key := priceKey{m.Provider, pattern}
			seen[key] = append(seen[key], i)
		}
	}
	byName := func(a, b priceKey) int {
		return cmp.Or(cmp.Compare(a.pattern, b.pattern), cmp.Compare(a.provider, b.provider))
	}
	for _, key := range slices.SortedFunc(maps.Keys(seen), byName) {
		indexes := seen[key]
		slices.SortStableFunc(indexes, func(a, b int) int { return models[a].From.Compare(models[b].From) })
		last := -1 // of those before, the one that is in force the longest
		for _, i := range indexes {
			if last >= 0 && (models[last].Until.IsZero() || models[i].From.Before(models[last].Until)) {
				first, second := min(last, i), max(last, i)
				r.faultAt(models[second].Line, fmt.Sprintf("models[%d].match", second),
					"%s has a price for the same time in line %d", quoteExcerpt(key.pattern), models[first].Line)
			}
			if last < 0 || later(models[i], models[last]) {
				last = i
			}
		}
	}
}

// later says whether a price is in force longer than another.
func later(a, b *ModelPrice) bool {
	return !b.Until.IsZero() && (a.Until.IsZero() || a.Until.After(b.Until))
}
