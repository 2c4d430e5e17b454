package prices

import "slices"

// Override is a price that goes before others.
type Override struct {
	Price ModelPrice
	// Of is the patterns of the other table whose prices it takes the place of, of all their models or of some, in order.
	Of []string
}

// Overrides says which prices of one table take the place of prices of another when it is laid over it.
func Overrides(base, over *List) []Override {
	var all []Override
	for _, t := range over.tables {
		of := t.overridden(base, over)
		for _, m := range t.models {
			if patterns := of[m]; len(patterns) > 0 {
				slices.Sort(patterns)
				all = append(all, Override{*m, slices.Compact(patterns)})
			}
		}
	}
	return all
}

// overridden finds, for each price, the patterns of another table that it takes models from: those that are found by it
// themselves, and those that would have found what it names.
func (t *priceTable) overridden(base, over *List) map[*ModelPrice][]string {
	of := map[*ModelPrice][]string{}
	note := func(s *series, pattern string) {
		for _, m := range s.periods {
			of[m] = append(of[m], pattern)
		}
	}
	providers := map[string]bool{"": true}
	for _, m := range t.models {
		for _, provider := range m.Providers {
			providers[provider] = true
		}
	}
	for _, s := range base.allSeries() {
		of := providers // for which s may be asked
		if provider := s.named(); provider != "" {
			of = map[string]bool{provider: true}
		}
		for provider := range of {
			a := over.ask(priceKey{provider: provider, model: s.pattern})
			if found, ok := t.find(a.keys, &a.name); ok {
				note(found.series, s.pattern)
			}
		}
	}
	for key, s := range t.exact {
		for _, found := range base.offersOf(priceKey{provider: s.named(), model: key.pattern}) {
			if !slices.ContainsFunc(base.tables, func(t *priceTable) bool { return t.free == found.series }) {
				note(s, found.series.pattern)
			}
		}
	}
	return of
}

func (p *List) allSeries() []*series {
	var all []*series
	for _, t := range p.tables {
		for _, s := range t.exact {
			all = append(all, s)
		}
		for _, globs := range t.globs {
			all = append(all, globs...)
		}
	}
	return all
}
