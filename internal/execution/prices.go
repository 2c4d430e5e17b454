package execution

import (
	_ "embed"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Rate is a price in micro-USD per million tokens, which is pico-USD per token.
type Rate int64

// String writes it in USD per million tokens.
func (r Rate) String() string {
	whole, rest := strconv.FormatInt(int64(r)/1e6, 10), int64(r)%1e6
	if rest == 0 {
		return whole
	}
	decimals := strconv.FormatInt(1e6+rest, 10)[1:]
	return whole + "." + strings.TrimRight(decimals, "0")
}

// Rates are what the kinds of tokens cost.
type Rates struct{ Input, Output, CacheRead, CacheWrite Rate }

// Tier is what a request costs, the whole of it, when it has more input tokens than Above, cached ones included.
type Tier struct {
	Above int64
	Rates
}

// ModelPrice is what models cost, for a time.
type ModelPrice struct {
	Match    []string  // names and globs, in lower case
	Provider string    // in lower case; empty: any
	From     time.Time // when an execution must have begun; zero: from ever
	Until    time.Time // and before when; zero: for ever
	Rates
	Tiers []Tier // the smallest first

	Version string // of the table
	Line    int    // of its file
}

// inForce says whether it is the price of what began then.
func (m *ModelPrice) inForce(at time.Time) bool {
	return !at.Before(m.From) && (m.Until.IsZero() || at.Before(m.Until))
}

// cost is in nano-USD, rounded half up, once.
func (m *ModelPrice) cost(t Tokens) int64 {
	input, read, write := max(t.Input, 0), max(t.CacheRead, 0), max(t.CacheWrite, 0)
	rates := m.Rates
	for _, tier := range m.Tiers {
		if input > tier.Above {
			rates = tier.Rates
		}
	}
	var sum picoUSD
	sum.add(max(max(input-read, 0)-write, 0), rates.Input)
	sum.add(read, rates.CacheRead)
	sum.add(write, rates.CacheWrite)
	sum.add(max(t.Output, 0), rates.Output)
	return sum.nano()
}

// picoUSD is an amount of 128 bits, which four products of any counts and rates cannot exceed.
type picoUSD struct{ high, low uint64 }

func (s *picoUSD) add(tokens int64, rate Rate) {
	high, low := bits.Mul64(uint64(tokens), uint64(rate))
	var carry uint64
	s.low, carry = bits.Add64(s.low, low, 0)
	s.high += high + carry
}

// nano rounds to nano-USD, and stops at the largest number.
func (s picoUSD) nano() int64 {
	const picos = 1000
	low, carry := bits.Add64(s.low, picos/2, 0)
	high := s.high + carry
	if high >= picos {
		return math.MaxInt64
	}
	nanos, _ := bits.Div64(high, low, picos)
	return int64(min(nanos, math.MaxInt64))
}

// Prices is what models cost. It may be used by many goroutines.
type Prices struct {
	version string
	tables  []*priceTable // one is asked after the other
	cache   priceCache
}

//go:embed prices.yaml
var shippedPrices []byte

// DefaultPrices are the public list prices that are shipped.
func DefaultPrices() *Prices { return defaultPrices() }

var defaultPrices = sync.OnceValue(func() *Prices {
	p, err := ParsePrices(shippedPrices)
	if err != nil {
		panic("the shipped prices: " + err.Error()) // a test reads them
	}
	return p
})

// Overlay puts the prices of one table before those of another: only where over has no price for a model at a time is
// base asked.
func Overlay(base, over *Prices) *Prices {
	p := &Prices{version: over.version + "+" + base.version}
	p.tables = append(append(p.tables, over.tables...), base.tables...)
	return p
}

// Version names the table, as Execution.PriceVersion records it.
func (p *Prices) Version() string { return p.version }

// Models lists all prices, in the order in which tables are asked.
func (p *Prices) Models() []ModelPrice {
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
func (p *Prices) Cost(e *Execution) (nanoUSD int64, ok bool) {
	if !e.Tokens.TellApart() {
		return 0, false
	}
	for _, s := range p.seriesOf(e.Model, e.Provider) {
		if m := s.at(e.CreatedAt); m != nil {
			return m.cost(e.Tokens), true
		}
	}
	return 0, false
}

// Price sets an execution's cost, or takes it away, and marks it as priced by this table either way.
func (p *Prices) Price(e *Execution) {
	e.Cost, e.PriceVersion = nil, p.version
	if nanoUSD, ok := p.Cost(e); ok {
		e.Cost = &nanoUSD
	}
}

// FoundPrice says how a model finds its price.
type FoundPrice struct {
	Pattern  string // that its name matches
	Provider string // that the price is for; empty: any
	Version  string // of the table that lists it
	// Price is nil when the pattern has prices, but none for that time.
	Price *ModelPrice
}

// Find finds the price of a model at a time; not ok: no pattern matches its name.
func (p *Prices) Find(model, provider string, at time.Time) (found FoundPrice, ok bool) {
	for _, s := range p.seriesOf(model, provider) {
		m := s.at(at)
		if m == nil && ok {
			continue // the first says best why there is none
		}
		found, ok = FoundPrice{Pattern: s.pattern, Provider: s.provider, Version: s.periods[0].Version, Price: m}, true
		if m != nil {
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

// seriesOf finds the prices of a model, of each table that has any.
func (p *Prices) seriesOf(model, provider string) []*series {
	if model == "" || len(model) > MaxName || len(provider) > MaxProvider {
		return nil
	}
	key := priceKey{provider, model}
	all, ok := p.cache.get(key)
	if !ok {
		hosted, plain := modelNames(model)
		for _, t := range p.tables {
			if s := t.find(provider, hosted, plain); s != nil {
				all = append(all, s)
			}
		}
		p.cache.put(key, all)
	}
	return all
}

// priceCache remembers what names resolved to. Anyone can make names up, so it forgets: what was not asked for since
// its younger half last filled up is dropped.
type priceCache struct {
	mu         sync.RWMutex
	young, old map[priceKey][]*series
}

const maxPriceCache = 4096 // names in each half

func (c *priceCache) get(key priceKey) ([]*series, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if all, ok := c.young[key]; ok {
		return all, true
	}
	all, ok := c.old[key]
	return all, ok
}

func (c *priceCache) put(key priceKey, all []*series) {
	// What is cached must not hold on to the large request that its name is a part of.
	key = priceKey{strings.Clone(key.provider), strings.Clone(key.pattern)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.young == nil || len(c.young) >= maxPriceCache {
		c.young, c.old = map[priceKey][]*series{}, c.young
	}
	c.young[key] = all
}
