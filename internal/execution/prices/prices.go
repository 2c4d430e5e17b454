package prices

import (
	"strconv"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
)

// Rate is a price in micro-USD per million tokens, which is pico-USD per token.
type Rate int64

// String writes it in USD per million tokens.
func (r Rate) String() string { return decimal(int64(r), 1e6) }

// Factor multiplies a price. It is kept in ten-thousandths; zero stands for none.
type Factor int64

const factorOne Factor = 10_000

func (f Factor) String() string { return decimal(int64(f), int64(factorOne)) }

// decimal writes n/unit, unit being a power of ten, without trailing zeros.
func decimal(n, unit int64) string {
	whole, rest := strconv.FormatInt(n/unit, 10), n%unit
	if rest == 0 {
		return whole
	}
	decimals := strconv.FormatInt(unit+rest, 10)[1:]
	return whole + "." + strings.TrimRight(decimals, "0")
}

// Rates are what the kinds of tokens cost. A kind without a price of its own has that of the kind it is part of.
type Rates struct {
	Input, Output, CacheRead, CacheWrite    Rate
	CacheWrite1h                            Rate // written to a cache that is kept for an hour
	AudioInput, AudioOutput, AudioCacheRead Rate
	ImageInput, ImageOutput                 Rate
}

// Tier is what a request costs, the whole of it, when it has more input tokens than Above, cached ones included.
type Tier struct {
	Above int64
	Rates
}

// ServiceTier is what a request costs that was not processed as usual: batch, flex, priority and the like.
type ServiceTier struct {
	Name   string
	Factor Factor // of the usual price; zero: Rates and Tiers take its place
	Rates
	Tiers []Tier
}

// DailyWindow is what a request costs that begins at a time of day, in UTC.
type DailyWindow struct {
	Days        uint8         // a bit for each time.Weekday
	From, Until time.Duration // since midnight; Until is exclusive
	Factor      Factor        // of the usual price; zero: Rates take its place
	Rates
}

// Elsewhere says whether a price also holds where none of its providers is named.
type Elsewhere uint8

// The kinds of Elsewhere.
const (
	Nowhere   Elsewhere = iota // only its providers charge it
	IfUnnamed                  // also where no provider is named: other hosts charge their own price for the model
	IfUnknown                  // also where a provider is named that is not known, such as a gateway
)

// ModelPrice is what models cost, for a time.
type ModelPrice struct {
	Match     []string // names and globs, in lower case
	Providers []string // in lower case; empty: any
	Elsewhere Elsewhere
	Exact     bool      // Match is compared with whole names only, not with what is left of them without a date
	From      time.Time // when an execution must have begun; zero: from ever
	Until     time.Time // and before when; zero: for ever
	Rates
	Tiers        []Tier // the smallest first
	ServiceTiers []ServiceTier
	Hours        []DailyWindow // the first that holds decides

	Source  string // where the numbers are from
	Date    string // when they were checked, as 2006-01-02
	Version string // of the table
	File    string // of a shipped table
	Line    int    // of its file
}

// inForce says whether it is the price of what began then.
func (m *ModelPrice) inForce(at time.Time) bool {
	return !at.Before(m.From) && (m.Until.IsZero() || at.Before(m.Until))
}

// List is what models cost. It may be used by many goroutines.
type List struct {
	version  string
	tables   []*priceTable // one is asked after the other
	unpriced bool          // models that their users host have no price
	cache    priceCache
}

// Overlay puts the prices of one table before those of another: only where over has no price for a model at a time is
// base asked.
func Overlay(base, over *List) *List {
	p := &List{version: over.version + "+" + base.version, unpriced: base.unpriced}
	p.tables = append(append(p.tables, over.tables...), base.tables...)
	return p
}

// SelfHosted returns the same prices, by which models that their users host cost nothing, or have no price.
func (p *List) SelfHosted(free bool) *List {
	return &List{version: p.version, tables: p.tables, unpriced: !free}
}

// Version names the table, as Execution.PriceVersion records it.
func (p *List) Version() string { return p.version }

// Models lists all prices, in the order in which tables are asked.
func (p *List) Models() []ModelPrice {
	var all []ModelPrice
	for _, t := range p.tables {
		for _, m := range t.models {
			all = append(all, *m)
		}
	}
	return all
}

// Cost is what an execution cost, in nano-USD. It is not ok if its model had no price when it began, or its tokens are
// not told apart.
func (p *List) Cost(e *execution.Execution) (nanoUSD int64, ok bool) {
	if !e.Tokens.TellApart() {
		return 0, false
	}
	offers := p.offersOf(priceKey{e.Provider, e.Model, e.Billing.Region, e.Billing.ServiceTier})
	for i := range offers {
		if m := offers[i].series.at(e.CreatedAt); m != nil {
			return m.cost(&offers[i], e), true
		}
	}
	return 0, false
}

// Price sets an execution's cost, or takes it away, and marks it as priced by this table either way.
func (p *List) Price(e *execution.Execution) {
	e.Cost, e.PriceVersion = nil, p.version
	if nanoUSD, ok := p.Cost(e); ok {
		e.Cost = &nanoUSD
	}
}

// Query is what a price is asked for.
type Query struct {
	Model, Provider, Region, ServiceTier string
	At                                   time.Time
}

// Found says how a model finds its price.
type Found struct {
	Pattern  string // that its name matches
	Provider string // that the price is for; empty: any, or none that the execution names
	Version  string // of the table that lists it
	// Price is nil when the pattern has prices, but none for that time.
	Price *ModelPrice
	// Rates and Tiers are the price with the factors of region, service tier and time, rounded to a Rate.
	Rates
	Tiers []Tier
	// Factor is by what the listed rates were multiplied.
	Factor Factor
}

// Find finds the price of a model at a time; not ok: no pattern matches its name.
func (p *List) Find(q Query) (found Found, ok bool) {
	for _, offer := range p.offersOf(priceKey{q.Provider, q.Model, q.Region, q.ServiceTier}) {
		s := offer.series
		m := s.at(q.At)
		if m == nil && ok {
			continue // the first says best why there is none
		}
		found, ok = Found{Pattern: s.pattern, Provider: s.named(), Version: s.periods[0].Version, Price: m}, true
		if m != nil {
			c := m.charge(&offer, q.At)
			found.Rates, found.Factor = c.rates.times(c.factors), Factor(c.factors.whole())
			for _, t := range c.tiers {
				found.Tiers = append(found.Tiers, Tier{t.Above, t.times(c.factors)})
			}
			return found, true
		}
	}
	return found, ok
}

func (s *series) at(t time.Time) *ModelPrice {
	for _, m := range s.periods {
		if m.inForce(t) {
			return m
		}
	}
	return nil
}
