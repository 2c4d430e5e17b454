package prices

import (
	"cmp"
	"slices"
	"strings"

	"github.com/watchbill/watchbill/internal/text"
)

// seriesKey is what the periods of one price have in common.
type seriesKey struct{ provider, pattern string }

// List that hold where none of their providers is named are listed under these in place of a provider. No provider's
// name has blanks.
const (
	ifUnnamed = "if unnamed"
	ifUnknown = "if unknown"
)

// keys are the providers that a price is listed under.
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

// series is the prices of one pattern, by time.
type series struct {
	seriesKey
	exact   bool
	factors []factorRule  // of the file
	periods []*ModelPrice // none overlaps another
}

// factorRule multiplies the prices of models.
type factorRule struct {
	providers     []string // empty: any
	match, except []string // globs of models; an empty match: any
	regions       []string // globs; empty: any, and none
	serviceTier   string   // empty: it is a factor of regions
	factor        Factor
}

// named returns the provider that the prices are for; empty where they are for several, or for none that is named.
func (s *series) named() string {
	if s.provider == ifUnnamed || s.provider == ifUnknown {
		return ""
	}
	return s.provider
}

// elsewhereOf returns the first provider of prices that were found because they hold elsewhere too; empty for all others.
func (s *series) elsewhereOf() string {
	if s.provider != ifUnnamed && s.provider != ifUnknown || len(s.periods[0].Providers) == 0 {
		return ""
	}
	return s.periods[0].Providers[0]
}

// priceTable is files whose prices are asked for together: the most specific pattern of all of them wins.
type priceTable struct {
	version    string
	models     []*ModelPrice
	selfHosted []string
	series     map[seriesKey]*series
	exact      map[seriesKey]*series
	globs      map[string][]*series // by provider, the most specific first
	free       *series              // of what users host
}

// add adds what a file says.
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

// finish makes the table ready to be asked when all files are added.
func (t *priceTable) finish() {
	for _, globs := range t.globs {
		slices.SortStableFunc(globs, func(a, b *series) int { // of two that are as specific, the one that was written first
			aStars, bStars := strings.Count(a.pattern, "*"), strings.Count(b.pattern, "*")
			return cmp.Or(cmp.Compare(len(b.pattern)-bStars, len(a.pattern)-aStars), cmp.Compare(aStars, bStars))
		})
	}
	for _, m := range t.models {
		m.Version = t.version
	}
	t.free = &series{seriesKey: seriesKey{pattern: "*"}, periods: []*ModelPrice{{Match: []string{"*"}, Providers: t.selfHosted, Source: "self_hosted", Version: t.version}}}
}

// found is a price, and what it found it by.
type found struct {
	series *series
	zoned  bool // the pattern names the region, so that no factor is for it
}

// find finds the most specific pattern for a model: one for its provider goes before one for any; one that names the
// host before one that does not; a whole name before a glob; a fuller name before a shorter one; of globs, the one with
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

// factor returns what the first rule says that holds; factorOne if none does.
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
