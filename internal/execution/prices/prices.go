package prices

import (
	"strconv"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
)

// Rate is a price in micro-USD per million tokens, which is pico-USD per token.
type Rate int64

// String formats the rate in USD per million tokens.
func (r Rate) String() string { return decimal(int64(r), 1e6) }

// Factor multiplies a price. Its unit is a ten-thousandth; zero means none.
type Factor int64

const factorOne Factor = 10_000

func (f Factor) String() string { return decimal(int64(f), int64(factorOne)) }

// decimal formats n/unit without trailing zeros; unit is a power of ten.
func decimal(n, unit int64) string {
	whole, rest := strconv.FormatInt(n/unit, 10), n%unit
	if rest == 0 {
		return whole
	}
	decimals := strconv.FormatInt(unit+rest, 10)[1:]
	return whole + "." + strings.TrimRight(decimals, "0")
}

// Rates are the prices by kind of token. A kind without its own price has that of the kind it is part of.
type Rates struct {
	Input, Output, CacheRead, CacheWrite    Rate
	CacheWrite1h                            Rate // written to a cache that is kept for an hour
	AudioInput, AudioOutput, AudioCacheRead Rate
	ImageInput, ImageOutput                 Rate
}

// ByKind returns the rates in USD per million tokens by kind: of input and output, and of the kinds whose price is not
// that of the kind that they are part of.
func (r Rates) ByKind() map[string]float64 {
	by, all := map[string]float64{}, map[string]Rate{}
	for i, rate := range r.all() {
		kind := rateFields[i]
		all[kind.name] = *rate
		if kind.required || *rate != all[kind.of] {
			by[kind.name] = float64(*rate) / 1e6
		}
	}
	return by
}

// Tier is the price of the whole request if it has more input tokens than Above, including cached ones.
type Tier struct {
	Above int64
	Rates
}

// ServiceTier is the price of a request in a service tier: batch, flex, priority and the like.
type ServiceTier struct {
	Name   string
	Factor Factor // of the usual price; zero: Rates and Tiers apply instead
	Rates
	Tiers []Tier
}

// DailyWindow is the price of a request that begins at a time of day, in UTC.
type DailyWindow struct {
	Days        uint8         // a bit for each time.Weekday
	From, Until time.Duration // since midnight; Until is exclusive
	Factor      Factor        // of the usual price; zero: Rates apply instead
	Rates
}

// Elsewhere is whether a price also applies if none of its providers is named.
type Elsewhere uint8

// The values of Elsewhere.
const (
	Nowhere   Elsewhere = iota // only for its providers
	IfUnnamed                  // also if no provider is named; other hosts charge their own prices
	IfUnknown                  // also if an unknown provider is named, such as a gateway
)

// String returns the name of the value in a file.
func (e Elsewhere) String() string { return [...]string{"never", "unnamed", "unknown"}[e] }

// ModelPrice is the price of models in a period.
type ModelPrice struct {
	Match     []string // names and globs, in lower case
	Providers []string // in lower case; empty: any
	Elsewhere Elsewhere
	Exact     bool      // Match is compared with whole names only, not with names shortened by a date
	From      time.Time // earliest start of an execution; zero: no limit
	Until     time.Time // exclusive; zero: no limit
	Rates
	Tiers        []Tier // in ascending order
	ServiceTiers []ServiceTier
	Hours        []DailyWindow // the first that matches applies

	Source  string // of the numbers
	Date    string // of the last check, as 2006-01-02
	Version string // of the table
	File    string // of a shipped table
	Line    int    // of its file
}

// InForce reports whether the price applies to an execution that began at a time.
func (m *ModelPrice) InForce(at time.Time) bool {
	return !at.Before(m.From) && (m.Until.IsZero() || at.Before(m.Until))
}

// List is the prices of models. It is safe for concurrent use.
type List struct {
	version  string
	tables   []*priceTable // in the order of look-ups
	unpriced bool          // self-hosted models have no price
	cache    priceCache
}

// Overlay returns the prices of two tables, of which over takes precedence: base is used only if over has no price for
// a model at a time.
func Overlay(base, over *List) *List {
	p := &List{version: over.version + "+" + base.version, unpriced: base.unpriced}
	p.tables = append(append(p.tables, over.tables...), base.tables...)
	return p
}

// SelfHosted returns the same prices, by which self-hosted models are free or have no price.
func (p *List) SelfHosted(free bool) *List {
	return &List{version: p.version, tables: p.tables, unpriced: !free}
}

// Version returns the version of the table, as recorded in Execution.PriceVersion.
func (p *List) Version() string { return p.version }

// Models returns all prices, in the order of look-ups.
func (p *List) Models() []ModelPrice {
	var all []ModelPrice
	for _, t := range p.tables {
		for _, m := range t.models {
			all = append(all, *m)
		}
	}
	return all
}

// Cost returns the cost of an execution in nano-USD. It is not ok if the model had no price when the execution began,
// or if input and output tokens are not known separately.
func (p *List) Cost(e *execution.Execution) (nanoUSD int64, ok bool) {
	if !e.Tokens.Distinguish() {
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

// Price sets or clears an execution's cost, and records the version of the table either way.
func (p *List) Price(e *execution.Execution) {
	e.Cost, e.PriceVersion = nil, p.version
	if nanoUSD, ok := p.Cost(e); ok {
		e.Cost = &nanoUSD
	}
}

// Query identifies a price.
type Query struct {
	Model, Provider, Region, ServiceTier string
	At                                   time.Time
}

// Found is how the price of a model was found.
type Found struct {
	Pattern  string // that matches its name
	Provider string // of the price; empty: any, or none that the execution names
	Version  string // of the table of the price
	// Price is nil if the pattern has prices, but none for that time.
	Price *ModelPrice
	// Rates and Tiers are the price multiplied by the factors of region, service tier and time, rounded to a Rate.
	Rates
	Tiers []Tier
	// Factor is the factor that the listed rates were multiplied by.
	Factor Factor
}

// Find returns the price of a model at a time; it is not ok if no pattern matches its name.
func (p *List) Find(q Query) (found Found, ok bool) {
	for _, offer := range p.offersOf(priceKey{q.Provider, q.Model, q.Region, q.ServiceTier}) {
		s := offer.series
		m := s.at(q.At)
		if m == nil && ok {
			continue // the first explains best why there is none
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
		if m.InForce(t) {
			return m
		}
	}
	return nil
}
