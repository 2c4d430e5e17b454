package prices

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/yamlfile"
)

// rateFields are the kinds of tokens, each with the kind that it is part of, whose price applies if it has none. Kinds
// that others fall back to are first.
var rateFields = []struct {
	name     string
	of       string
	required bool
}{
	{"input", "", true},
	{"output", "", true},
	{"cache_read", "input", false},
	{"cache_write", "input", false},
	{"cache_write_1h", "cache_write", false},
	{"audio_input", "input", false},
	{"audio_output", "output", false},
	{"audio_cache_read", "cache_read", false},
	{"image_input", "input", false},
	{"image_output", "output", false},
}

var rateNames = func() (names []string) {
	for _, f := range rateFields {
		names = append(names, f.name)
	}
	return names
}()

func withRates(fields ...string) []string { return append(fields, rateNames...) }

var (
	modelFields = append(withRates("match", "provider", "elsewhere", "exact", "from", "until"), "tiers", "service_tiers", "hours", "source", "date")
	tierFields  = withRates("above_input_tokens", "from_input_tokens")
	hourFields  = withRates("days", "from", "until", "factor")
)

// defaults are the values of fields that an entry omits.
type defaults struct {
	providers    []string
	elsewhere    Elsewhere
	source, date string
}

// models reads the list of prices.
func (r priceReader) models(root, n *yaml.Node, d defaults) []*ModelPrice {
	if n == nil {
		r.Fault(root, "models", "is missing")
	}
	var models []*ModelPrice
	for at, entry := range r.List(n, "models", 0, maxPrices) {
		models = append(models, r.model(entry, at, d))
	}
	r.overlaps(models)
	return models
}

func (r priceReader) model(n *yaml.Node, field string, d defaults) *ModelPrice {
	m := &ModelPrice{Line: n.Line}
	fields := r.Mapping(n, field, modelFields...)
	if n.Kind != yaml.MappingNode {
		return m
	}
	if match := fields["match"]; match != nil {
		m.Match = r.patterns(match, field+".match")
	} else {
		r.Fault(n, field+".match", "is missing; it lists the models' names")
	}
	m.Providers, m.Elsewhere = d.providers, d.elsewhere
	if provider := fields["provider"]; provider != nil {
		m.Providers, m.Elsewhere = r.providers(provider, field+".provider"), Nowhere
	}
	if elsewhere := fields["elsewhere"]; elsewhere != nil {
		m.Elsewhere = r.elsewhere(elsewhere, field+".elsewhere")
	}
	m.Exact = r.flag(fields["exact"], field+".exact")
	m.From, m.Until = r.date(fields["from"], field+".from"), r.date(fields["until"], field+".until")
	if !m.Until.IsZero() && !m.From.Before(m.Until) {
		r.Fault(fields["until"], field+".until", "must be after from")
		m.Match = nil // its period cannot be compared
	}
	m.Rates = r.rates(n, fields, field)
	m.Tiers = r.tiers(fields["tiers"], field+".tiers")
	m.ServiceTiers = r.serviceTiers(fields["service_tiers"], field+".service_tiers")
	m.Hours = r.hours(fields["hours"], field+".hours")
	m.Source = cmp.Or(r.Text(fields["source"], field+".source", maxSource), d.source)
	m.Date = cmp.Or(r.day(fields["date"], field+".date"), d.date)
	return m
}

// elsewhere reads whether a price applies beyond its providers.
func (r priceReader) elsewhere(n *yaml.Node, field string) Elsewhere {
	switch text := r.text(n, field); text {
	case "", "never":
	case "unnamed":
		return IfUnnamed
	case "unknown":
		return IfUnknown
	default:
		r.Fault(n, field, "must be unnamed, unknown or never, not %s", yamlfile.Quote(text))
	}
	return Nowhere
}

// providers reads a provider or a list of providers.
func (r priceReader) providers(n *yaml.Node, field string) []string {
	if n.Kind != yaml.SequenceNode {
		if text := r.provider(n, field); text != "" {
			return []string{text}
		}
		return nil
	}
	var all []string
	for at, entry := range r.List(n, field, 1, maxProviders) {
		if text := r.provider(entry, at); text != "" {
			if slices.Contains(all, text) {
				r.Fault(entry, at, "%s is duplicated", yamlfile.Quote(text))
				continue
			}
			all = append(all, text)
		}
	}
	return all
}

func (r priceReader) provider(n *yaml.Node, field string) string {
	text := r.text(n, field)
	if len(text) > execution.MaxProvider || !yamlfile.IsWord(text) {
		r.Fault(n, field, "must be at most %d bytes without blanks, not %s", execution.MaxProvider, yamlfile.Quote(text))
		return ""
	}
	return strings.ToLower(text)
}

// rates reads the prices by kind of token.
func (r priceReader) rates(n *yaml.Node, fields map[string]*yaml.Node, field string) Rates {
	var rates Rates
	read := map[string]Rate{}
	for i, into := range rates.all() {
		kind := rateFields[i]
		switch value := fields[kind.name]; {
		case value != nil:
			*into = r.rate(value, field+"."+kind.name)
		case kind.required:
			r.Fault(n, field+"."+kind.name, "is missing; write 0 for what costs nothing")
		case kind.name == "audio_cache_read" && fields["cache_read"] == nil:
			*into = read["audio_input"]
		default:
			*into = read[kind.of]
		}
		read[kind.name] = *into
	}
	return rates
}

func (r priceReader) tiers(n *yaml.Node, field string) []Tier {
	var tiers []Tier
	for at, entry := range r.List(n, field, 0, maxTiers) {
		fields := r.Mapping(entry, at, tierFields...)
		if entry.Kind != yaml.MappingNode {
			continue
		}
		tier := Tier{Rates: r.rates(entry, fields, at)}
		above, from := fields["above_input_tokens"], fields["from_input_tokens"]
		name, value := "above_input_tokens", above
		if above == nil && from != nil {
			name, value = "from_input_tokens", from
		}
		at += "." + name
		switch text := r.text(value, at); {
		case value == nil:
			r.Fault(entry, at, "is missing")
		case above != nil && from != nil:
			r.Fault(from, at, "cannot be combined with from_input_tokens")
		case text != "":
			count, err := strconv.ParseInt(text, 10, 64)
			if err != nil || count < 1 || count > execution.MaxTokens {
				r.Fault(value, at, "must be a whole number from 1 to %d, not %s", execution.MaxTokens, yamlfile.Quote(text))
				break
			}
			if value == from {
				count--
			}
			if len(tiers) > 0 && count <= tiers[len(tiers)-1].Above {
				r.Fault(value, at, "must be more than that of the tier before")
			}
			tier.Above = count
		}
		tiers = append(tiers, tier)
	}
	return tiers
}

// serviceTiers reads factors or prices by tier.
func (r priceReader) serviceTiers(n *yaml.Node, field string) []ServiceTier {
	fields := r.Mapping(n, field)
	if len(fields) > maxServiceTiers {
		r.Fault(n, field, "must have at most %d entries", maxServiceTiers)
		return nil
	}
	var tiers []ServiceTier
	for _, name := range slices.SortedFunc(maps.Keys(fields), func(a, b string) int {
		return cmp.Or(cmp.Compare(fields[a].Line, fields[b].Line), cmp.Compare(fields[a].Column, fields[b].Column))
	}) {
		value, at := fields[name], yamlfile.Under(field, name)
		tier := ServiceTier{Name: strings.ToLower(name)}
		switch {
		case name == "" || len(name) > maxBillingName || !yamlfile.IsWord(name):
			r.Fault(value, at, "must be named by at most %d bytes without blanks", maxBillingName)
		case serviceTier(tier.Name) != tier.Name:
			r.Fault(value, at, "is another name of %s", cmp.Or(serviceTier(tier.Name), "the standard tier, which has the price itself"))
		case value.Kind == yaml.MappingNode:
			rates := r.Mapping(value, at, append(withRates(), "tiers")...)
			tier.Rates = r.rates(value, rates, at)
			tier.Tiers = r.tiers(rates["tiers"], at+".tiers")
		default:
			tier.Factor = r.factor(value, at)
		}
		tiers = append(tiers, tier)
	}
	slices.SortStableFunc(tiers, func(a, b ServiceTier) int { return cmp.Compare(a.Name, b.Name) })
	return tiers
}

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

const everyDay = 1<<7 - 1

// hours reads times of day with their prices.
func (r priceReader) hours(n *yaml.Node, field string) []DailyWindow {
	var windows []DailyWindow
	for at, entry := range r.List(n, field, 0, maxHours) {
		fields := r.Mapping(entry, at, hourFields...)
		if entry.Kind != yaml.MappingNode {
			continue
		}
		w := DailyWindow{Days: everyDay, From: r.timeOfDay(fields["from"], at+".from", 0), Until: r.timeOfDay(fields["until"], at+".until", 24*time.Hour)}
		if w.From >= w.Until {
			r.Fault(entry, at+".until", "must be after from; write a time over midnight as two")
		}
		if days := fields["days"]; days != nil {
			w.Days = 0
			for day, name := range r.List(days, at+".days", 1, len(weekdays)) {
				text := r.text(name, day)
				i := slices.Index(weekdays, strings.ToLower(text))
				if i < 0 {
					if text != "" {
						r.Fault(name, day, "must be one of %s, not %s", strings.Join(weekdays, ", "), yamlfile.Quote(text))
					}
					continue
				}
				w.Days |= 1 << i
			}
		}
		if factor := fields["factor"]; factor != nil {
			w.Factor = r.factor(factor, at+".factor")
			for _, name := range rateNames {
				if fields[name] != nil {
					r.Fault(fields[name], at+"."+name, "cannot be combined with factor")
				}
			}
		} else {
			w.Rates = r.rates(entry, fields, at)
		}
		windows = append(windows, w)
	}
	return windows
}

// patterns reads model names and globs.
func (r priceReader) patterns(n *yaml.Node, field string) []string {
	var patterns []string
	for at, entry := range r.List(n, field, 1, maxPatterns) {
		text := r.text(entry, at)
		pattern := strings.ToLower(text)
		switch {
		case text == "":
		case len(pattern) > execution.MaxName || !yamlfile.IsWord(pattern):
			r.Fault(entry, at, "must be at most %d bytes without blanks, not %s", execution.MaxName, yamlfile.Quote(text))
		case strings.Contains(pattern, "**"):
			r.Fault(entry, at, "one * is enough where %s has several in a row", yamlfile.Quote(text))
		case slices.Contains(patterns, pattern):
			r.Fault(entry, at, "%s is duplicated", yamlfile.Quote(text))
		default:
			patterns = append(patterns, pattern)
		}
	}
	return patterns
}

// overlaps reports patterns that have several prices for the same time.
func (r priceReader) overlaps(models []*ModelPrice) {
	seen := map[seriesKey][]int{}
	for i, m := range models {
		for _, pattern := range m.Match {
			for _, key := range m.keys() {
				seen[seriesKey{key, pattern}] = append(seen[seriesKey{key, pattern}], i)
			}
		}
	}
	byName := func(a, b seriesKey) int {
		return cmp.Or(cmp.Compare(a.pattern, b.pattern), cmp.Compare(a.provider, b.provider))
	}
	reported := map[[2]int]bool{} // reported once for two entries that share several providers
	for _, key := range slices.SortedFunc(maps.Keys(seen), byName) {
		indexes := seen[key]
		slices.SortStableFunc(indexes, func(a, b int) int { return models[a].From.Compare(models[b].From) })
		last := -1 // the earlier one that is in force the longest
		for _, i := range indexes {
			if last >= 0 && (models[last].Until.IsZero() || models[i].From.Before(models[last].Until)) {
				first, second := min(last, i), max(last, i)
				if !reported[[2]int{first, second}] {
					r.FaultAt(models[second].Line, fmt.Sprintf("models[%d].match", second),
						"%s has a price for the same time in line %d", yamlfile.Quote(key.pattern), models[first].Line)
				}
				reported[[2]int{first, second}] = true
			}
			if last < 0 || later(models[i], models[last]) {
				last = i
			}
		}
	}
}

// later reports whether the period of a ends after that of b.
func later(a, b *ModelPrice) bool {
	return !b.Until.IsZero() && (a.Until.IsZero() || a.Until.After(b.Until))
}
