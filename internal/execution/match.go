package execution

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// Models are called many names: gpt-4o-2024-08-06, models/gemini-2.5-pro-preview-05-06, us.anthropic.claude-sonnet-4-5-20250929-v1:0.
// A pattern is compared with the name as it stands first, and then with what is left of it when a host, a vendor, a date
// or the like is taken away, never with a mere beginning: gpt-4o is not the price of gpt-4o-mini.

var (
	// suffix is what says which edition of a model it is, not which model.
	suffix = regexp.MustCompile(`(?:` + strings.Join([]string{
		`@[^@]*`,               // Vertex AI: @20250929
		`-v[1-9](?::\d{1,2})?`, // Bedrock: -v1:0
		`:\d{1,2}`,
		`-20\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])`,    // -20250929
		`-20\d{2}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])`,  // -2024-08-06
		`-(?:0[1-9]|1[0-2])-20\d{2}`,                          // -08-2024
		`-(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])`,           // -0613
		`-2\d(?:0[1-9]|1[0-2])`,                               // -2411
		`-(?:preview|exp|experimental|beta)(?:-\d{2}-\d{2})?`, // -preview-05-06
		`-00\d`,
		`-latest`,
	}, "|") + `)$`)
	// vendor is what Bedrock puts before a model: where it runs, and whose it is.
	vendor = regexp.MustCompile(`^(?:[a-z]+(?:-gov)?\.){1,2}`)
)

const maxSuffixes = 6 // that are taken away

// modelNames are the names that a model's price may be listed under, the fullest first: those that say who hosts it,
// and those that do not.
func modelNames(model string) (hosted, plain []string) {
	name := strings.ToLower(strings.TrimSpace(model))
	if i := strings.LastIndexByte(name, '/'); i >= 0 {
		hosted = undated(nil, name)
		name = name[i+1:]
	}
	plain = undated(nil, name)
	if bare := vendor.ReplaceAllString(name, ""); bare != name {
		plain = undated(plain, bare)
	}
	return hosted, plain
}

// undated appends a name and what is left of it without one suffix after the other.
func undated(names []string, name string) []string {
	for range maxSuffixes {
		if name == "" {
			break
		}
		names = append(names, name)
		at := suffix.FindStringIndex(name)
		if at == nil {
			break
		}
		name = name[:at[0]]
	}
	return names
}

// matchGlob says whether a text is what a pattern says, in which * stands for any characters but the separator, or none.
func matchGlob(pattern, text string, separator byte) bool {
	star, from := -1, 0 // the last * in the pattern, and where in the text what follows it is tried
	p, t := 0, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, t
			p++
		case p < len(pattern) && pattern[p] == text[t]:
			p++
			t++
		case star >= 0 && text[from] != separator:
			from++
			p, t = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// noSeparator is for globs whose * stands for everything. No valid UTF-8 holds it.
const noSeparator = 0xff

// priceKey is what the periods of one price have in common.
type priceKey struct{ provider, pattern string }

// series is the prices of one pattern, by time.
type series struct {
	priceKey
	periods []*ModelPrice // none overlaps another
}

// priceTable is one file.
type priceTable struct {
	version string
	models  []*ModelPrice
	exact   map[priceKey]*series
	globs   []*series // the most specific first
}

func newPriceTable(version string, models []*ModelPrice) *priceTable {
	t := &priceTable{version: version, models: models, exact: map[priceKey]*series{}}
	all := map[priceKey]*series{}
	for _, m := range models {
		for _, pattern := range m.Match {
			key := priceKey{m.Provider, pattern}
			s := all[key]
			if s == nil {
				s = &series{priceKey: key}
				all[key] = s
				if strings.Contains(pattern, "*") {
					t.globs = append(t.globs, s)
				} else {
					t.exact[key] = s
				}
			}
			s.periods = append(s.periods, m)
		}
	}
	slices.SortStableFunc(t.globs, func(a, b *series) int { // of two that are as specific, the one that was written first
		aStars, bStars := strings.Count(a.pattern, "*"), strings.Count(b.pattern, "*")
		return cmp.Or(cmp.Compare(len(b.pattern)-bStars, len(a.pattern)-aStars), cmp.Compare(aStars, bStars))
	})
	return t
}

// find finds the most specific pattern for a model: one for its provider goes before one for any; one that names the
// host before one that does not; a whole name before a glob; a fuller name before a shorter one; of globs, the one with
// the most characters.
func (t *priceTable) find(provider string, hosted, plain []string) *series {
	providers := []string{strings.ToLower(provider), ""}
	if provider == "" {
		providers = providers[1:]
	}
	for _, provider := range providers {
		for _, names := range [][]string{hosted, plain} {
			for _, name := range names {
				if s := t.exact[priceKey{provider, name}]; s != nil {
					return s
				}
			}
			for _, glob := range t.globs {
				if glob.provider == provider && glob.matches(names) {
					return glob
				}
			}
		}
	}
	return nil
}

func (s *series) matches(names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return matchGlob(s.pattern, name, '/') })
}
