package execution

import (
	"slices"
	"strings"
	"sync"
)

// priceKey is what an execution's price is looked up by.
type priceKey struct{ provider, model, region, serviceTier string }

// offer is the prices of a model in one table, and by what they are multiplied.
type offer struct {
	series  *series
	region  Factor
	tier    string // of service; empty: standard
	service Factor // unless the price says how much the tier costs
}

// offersOf finds the prices of a model, of each table that has any.
func (p *Prices) offersOf(key priceKey) []offer {
	if key.model == "" || len(key.model) > MaxName || len(key.provider) > MaxProvider {
		return nil
	}
	if len(key.region) > maxBillingName {
		key.region = ""
	}
	if len(key.serviceTier) > maxBillingName {
		key.serviceTier = ""
	}
	all, ok := p.cache.get(key)
	if !ok {
		all = p.look(key)
		p.cache.put(key, all)
	}
	return all
}

const maxBillingName = 64 // bytes of a region, or a service tier

// asked is who charges for a model, as far as its execution says.
type asked struct {
	provider string   // as providerOf returns it, or as it is written where it is not known
	keys     []string // that its price may be listed under, the best first
	name     modelName
}

func (p *Prices) look(key priceKey) []offer {
	a := p.ask(key)
	region := strings.ToLower(key.region)
	if a.name.region != "" && (a.name.region != InRegion || region == "") {
		region = a.name.region // a profile decides, wherever it was called
	}
	a.name.addRegion(region)
	tier := serviceTier(key.serviceTier)
	var all []offer
	for _, t := range p.tables {
		if found, ok := t.find(a.keys, &a.name); ok {
			q := offer{series: found.series, region: factorOne, tier: tier, service: factorOne}
			charges := a.provider
			if maker := found.series.elsewhereOf(); maker != "" {
				charges = maker // its price holds, and so does what it asks for a tier
			}
			if !found.zoned {
				q.region = found.series.factor(charges, &a.name, region, "")
			}
			if tier != "" {
				q.service = found.series.factor(charges, &a.name, region, tier)
			}
			all = append(all, q)
		}
	}
	for _, t := range p.tables {
		if !p.unpriced && slices.Contains(t.selfHosted, a.provider) {
			all = append(all, offer{series: t.free, region: factorOne, service: factorOne})
		}
	}
	return all
}

// ask tells who charges. A provider that is named decides, unless the model's name says better: a client of a maker is
// often used to ask a host, which then stands in the name.
func (p *Prices) ask(key priceKey) asked {
	written := strings.ToLower(key.provider)
	known := providerOf(written)
	for _, t := range p.tables {
		if known == "" && slices.Contains(t.selfHosted, written) {
			known = written
		}
	}
	a := asked{provider: known, name: readModelName(key.model, known)}
	if host := a.name.host; host != "" && host != known && (known == "" || makers[known] || routers[known]) {
		if known != protocol || !a.name.path || !makers[host] { // or else a host calls a model so, by whose it is
			a.provider = host
		}
	}
	if a.provider != "" && a.provider != known {
		a.keys = append(a.keys, a.provider)
	}
	if written != "" {
		a.keys = append(a.keys, written)
	}
	if known != "" && known != written {
		a.keys = append(a.keys, known)
	}
	switch {
	case a.provider != "" && !makers[a.provider]: // a host
	case written == "", known == protocol && !a.name.path && a.name.host == "":
		a.keys = append(a.keys, ifUnnamed, ifUnknown)
	case known == "", known == protocol:
		a.keys = append(a.keys, ifUnknown)
	}
	if a.provider == "" {
		a.provider = written
	}
	a.keys = append(a.keys, "")
	return a
}

// serviceTier brings the names of a tier together; empty is the standard one.
func serviceTier(name string) string {
	name = strings.TrimPrefix(strings.ToLower(name), "on_demand_")
	switch name {
	case "default", "standard", "auto", "standard_only", "on_demand", "base", "unspecified":
		return ""
	case "batches", "batch_api":
		return "batch"
	case "fast_mode":
		return "fast"
	}
	return name
}

// priceCache remembers what names resolved to. Anyone can make names up, so it forgets: what was not asked for since
// its younger half last filled up is dropped.
type priceCache struct {
	mu         sync.RWMutex
	young, old map[priceKey][]offer
}

const maxPriceCache = 4096 // names in each half

func (c *priceCache) get(key priceKey) ([]offer, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if all, ok := c.young[key]; ok {
		return all, true
	}
	all, ok := c.old[key]
	return all, ok
}

func (c *priceCache) put(key priceKey, all []offer) {
	// What is cached must not hold on to the large request that its names are parts of.
	key = priceKey{strings.Clone(key.provider), strings.Clone(key.model), strings.Clone(key.region), strings.Clone(key.serviceTier)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.young == nil || len(c.young) >= maxPriceCache {
		c.young, c.old = map[priceKey][]offer{}, c.young
	}
	c.young[key] = all
}
