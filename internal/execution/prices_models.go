package execution

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/watchbill/watchbill/internal/yamlfile"
)

// models reads the prices themselves.
func (r priceReader) models(root, n *yaml.Node, version string) []*ModelPrice {
	if n == nil {
		r.Fault(root, "models", "is missing")
	}
	var models []*ModelPrice
	for at, entry := range r.List(n, "models", 0, maxPrices) {
		m := r.model(entry, at)
		m.Version = version
		models = append(models, m)
	}
	r.overlaps(models)
	return models
}

func (r priceReader) model(n *yaml.Node, field string) *ModelPrice {
	m := &ModelPrice{Line: n.Line}
	fields := r.Mapping(n, field, "match", "provider", "from", "until", "input", "output", "cache_read", "cache_write", "tiers")
	if n.Kind != yaml.MappingNode {
		return m
	}
	if match := fields["match"]; match != nil {
		m.Match = r.patterns(match, field+".match")
	} else {
		r.Fault(n, field+".match", "is missing; it lists the models' names")
	}
	if provider := fields["provider"]; provider != nil {
		text := r.text(provider, field+".provider")
		if len(text) > MaxProvider || !yamlfile.IsWord(text) {
			r.Fault(provider, field+".provider", "must be at most %d bytes without blanks, not %s", MaxProvider, yamlfile.Quote(text))
		}
		m.Provider = strings.ToLower(text)
	}
	m.From, m.Until = r.date(fields["from"], field+".from"), r.date(fields["until"], field+".until")
	if !m.Until.IsZero() && !m.From.Before(m.Until) {
		r.Fault(fields["until"], field+".until", "must be after from")
		m.Match = nil // its time cannot be compared
	}
	m.Rates = r.rates(n, fields, field)
	m.Tiers = r.tiers(fields["tiers"], field+".tiers")
	return m
}

// rates reads four prices. A cache that has none costs what other input costs.
func (r priceReader) rates(n *yaml.Node, fields map[string]*yaml.Node, field string) Rates {
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
			*rate.into = r.rate(value, field+"."+rate.name)
		case rate.required:
			r.Fault(n, field+"."+rate.name, "is missing; write 0 for what costs nothing")
		default:
			*rate.into = rates.Input
		}
	}
	return rates
}

func (r priceReader) tiers(n *yaml.Node, field string) []Tier {
	var tiers []Tier
	for at, entry := range r.List(n, field, 0, maxTiers) {
		fields := r.Mapping(entry, at, "above_input_tokens", "input", "output", "cache_read", "cache_write")
		if entry.Kind != yaml.MappingNode {
			continue
		}
		tier := Tier{Rates: r.rates(entry, fields, at)}
		at += ".above_input_tokens"
		if above := fields["above_input_tokens"]; above == nil {
			r.Fault(entry, at, "is missing")
		} else if text := r.text(above, at); text != "" {
			count, err := strconv.ParseInt(text, 10, 64)
			if err != nil || count < 1 || count > MaxTokens {
				r.Fault(above, at, "must be a whole number from 1 to %d, not %s", MaxTokens, yamlfile.Quote(text))
			} else if len(tiers) > 0 && count <= tiers[len(tiers)-1].Above {
				r.Fault(above, at, "must be more than that of the tier before")
			}
			tier.Above = count
		}
		tiers = append(tiers, tier)
	}
	return tiers
}

// patterns reads names of models and globs.
func (r priceReader) patterns(n *yaml.Node, field string) []string {
	var patterns []string
	for at, entry := range r.List(n, field, 1, maxPatterns) {
		text := r.text(entry, at)
		pattern := strings.ToLower(text)
		switch {
		case text == "":
		case len(pattern) > MaxName || !yamlfile.IsWord(pattern):
			r.Fault(entry, at, "must be at most %d bytes without blanks, not %s", MaxName, yamlfile.Quote(text))
		case strings.Contains(pattern, "**"):
			r.Fault(entry, at, "one * is enough where %s has several in a row", yamlfile.Quote(text))
		case slices.Contains(patterns, pattern):
			r.Fault(entry, at, "%s is there twice", yamlfile.Quote(text))
		default:
			patterns = append(patterns, pattern)
		}
	}
	return patterns
}

// overlaps finds patterns that have several prices for the same time.
func (r priceReader) overlaps(models []*ModelPrice) {
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
				r.FaultAt(models[second].Line, fmt.Sprintf("models[%d].match", second),
					"%s has a price for the same time in line %d", yamlfile.Quote(key.pattern), models[first].Line)
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
