package prices

import "slices"

// Override is a price that takes precedence over others.
type Override struct {
	Price ModelPrice
	// Of is the patterns of the other table whose prices it replaces, for all or some of their models, in order.
	Of []string
}

// Overrides returns which prices of base are replaced by those of over when it is laid over base.
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

// overridden returns, for each price, the patterns of another table from which it takes models: those that it matches
// themselves, and those that would have matched what it names.
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
		of := providers // to which s may apply
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
