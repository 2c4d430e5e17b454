package prices

import (
	"cmp"
	"slices"
	"strings"

	"github.com/watchbill/watchbill/internal/text"
)

// seriesKey identifies the periods of one price.
type seriesKey struct{ provider, pattern string }

// Prices that apply if none of their providers is named are listed under these instead of a provider. Providers' names
// have no blanks.
const (
	ifUnnamed = "if unnamed"
	ifUnknown = "if unknown"
)

// keys returns the keys of a price: its providers, and one of the above if it applies elsewhere; "" if it is for any.
func (m *ModelPrice) keys() []string {
	keys := slices.Clone(m.Providers)
	switch m.Elsewhere {
	case Nowhere:
	case IfUnnamed:
		return append(keys, ifUnnamed)
	case IfUnknown:
		return append(keys, ifUnknown)
	}
	if len(keys) == 0 {
		keys = []string{""}
	}
	return keys
}

// series is the prices of one pattern, by period.
type series struct {
	seriesKey
	exact   bool
	factors []factorRule  // of the file
	periods []*ModelPrice // they do not overlap
}

// factorRule multiplies prices of models.
type factorRule struct {
	providers     []string // empty: any
	match, except []string // globs of models; an empty match: any
	regions       []string // globs; empty: any or no region
	serviceTier   string   // empty: a factor of regions
	factor        Factor
}

// named returns the provider of the prices; empty if there are several, or if none is named.
func (s *series) named() string {
	if s.provider == ifUnnamed || s.provider == ifUnknown {
		return ""
	}
	return s.provider
}

// elsewhereOf returns the first provider of prices that apply because they hold elsewhere too; otherwise it is empty.
func (s *series) elsewhereOf() string {
	if s.provider != ifUnnamed && s.provider != ifUnknown || len(s.periods[0].Providers) == 0 {
		return ""
	}
	return s.periods[0].Providers[0]
}

// priceTable is the prices of files that are searched together: the most specific pattern of all files wins.
type priceTable struct {
	version    string
	models     []*ModelPrice
	selfHosted []string
	series     map[seriesKey]*series
	exact      map[seriesKey]*series
	globs      map[string][]*series // by provider, most specific first
	free       *series              // for self-hosted models
}

// add adds the contents of a file.
func (t *priceTable) add(file *priceFile) {
	if t.series == nil {
		t.series, t.exact, t.globs = map[seriesKey]*series{}, map[seriesKey]*series{}, map[string][]*series{}
	}
	t.models, t.selfHosted = append(t.models, file.models...), append(t.selfHosted, file.selfHosted...)
	for _, m := range file.models {
		for _, key := range m.keys() {
			known := providerOf(key)
			for _, pattern := range m.Match {
				t.list(seriesKey{key, pattern}, m, file.factors)
				if known != "" && known != key && !slices.Contains(m.Providers, known) {
					t.list(seriesKey{known, pattern}, m, file.factors)
				}
			}
		}
	}
}

// list adds a price to those of a pattern.
func (t *priceTable) list(key seriesKey, m *ModelPrice, factors []factorRule) {
	s := t.series[key]
	if s == nil {
		s = &series{seriesKey: key, exact: m.Exact, factors: factors}
		t.series[key] = s
		if strings.Contains(key.pattern, "*") {
			t.globs[key.provider] = append(t.globs[key.provider], s)
		} else {
			t.exact[key] = s
		}
	}
	s.periods = append(s.periods, m)
}

// finish prepares the table for look-ups after all files are added.
func (t *priceTable) finish() {
	for _, globs := range t.globs {
		slices.SortStableFunc(globs, func(a, b *series) int { // equally specific ones stay in the order of the files
			aStars, bStars := strings.Count(a.pattern, "*"), strings.Count(b.pattern, "*")
			return cmp.Or(cmp.Compare(len(b.pattern)-bStars, len(a.pattern)-aStars), cmp.Compare(aStars, bStars))
		})
	}
	for _, m := range t.models {
		m.Version = t.version
	}
	t.free = &series{seriesKey: seriesKey{pattern: "*"}, periods: []*ModelPrice{{Match: []string{"*"}, Providers: t.selfHosted, Source: "self_hosted", Version: t.version}}}
}

// found is a price and how it was found.
type found struct {
	series *series
	zoned  bool // the pattern includes the region, so no factor applies for it
}

// find returns the most specific pattern for a model. A pattern for its provider takes precedence over one for any; one
// with the host over one without; a whole name over a glob; a longer name over a shorter one; among globs, the one with
// the most characters.
func (t *priceTable) find(keys []string, n *modelName) (found, bool) {
	for _, key := range keys {
		for _, names := range [][]candidate{n.hosted, n.plain} {
			for _, c := range names {
				if s := t.exact[seriesKey{key, c.name}]; s != nil && (c.whole || !s.exact) {
					return found{s, c.zoned}, true
				}
			}
			for _, glob := range t.globs[key] {
				for _, c := range names {
					if text.MatchGlob(glob.pattern, c.name, '/') && (c.whole || !glob.exact) {
						return found{glob, c.zoned}, true
					}
				}
			}
		}
	}
	return found{}, false
}

// factor returns the factor of the first rule that applies, or factorOne.
func (s *series) factor(provider string, n *modelName, region, serviceTier string) Factor {
	for i := range s.factors {
		if r := &s.factors[i]; r.serviceTier == serviceTier && r.holds(provider, n, region) {
			return r.factor
		}
	}
	return factorOne
}

func (r *factorRule) holds(provider string, n *modelName, region string) bool {
	if len(r.providers) > 0 && !slices.Contains(r.providers, provider) {
		return false
	}
	if len(r.regions) > 0 && (region == "" || !anyGlob(r.regions, region)) {
		return false
	}
	return (len(r.match) == 0 || n.isAny(r.match)) && !n.isAny(r.except)
}

func (n *modelName) isAny(patterns []string) bool {
	return slices.ContainsFunc(n.plain, func(c candidate) bool { return anyGlob(patterns, c.name) })
}

func anyGlob(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return text.MatchGlob(pattern, name, text.NoSeparator) })
}
