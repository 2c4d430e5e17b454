package prices

import (
	"slices"
	"strings"
	"sync"

	"github.com/watchbill/watchbill/internal/execution"
)

// priceKey is the key of a price look-up.
type priceKey struct{ provider, model, region, serviceTier string }

// offer is the prices of a model in one table, with their factors.
type offer struct {
	series  *series
	region  Factor
	tier    string // service tier; empty: standard
	service Factor // unless the price lists the tier
}

// offersOf returns the prices of a model in each table that has any.
func (p *List) offersOf(key priceKey) []offer {
	if key.model == "" || len(key.model) > execution.MaxName || len(key.provider) > execution.MaxProvider {
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

const maxBillingName = 64 // limit in bytes of a region or a service tier

// asked is the provider that charges for a model, as far as the execution shows.
type asked struct {
	provider string   // as providerOf returns it, or as written if unknown
	keys     []string // under which the price may be listed, best first
	name     modelName
}

func (p *List) look(key priceKey) []offer {
	a := p.ask(key)
	region := strings.ToLower(key.region)
	if a.name.region != "" && (a.name.region != InRegion || region == "") {
		region = a.name.region // a profile takes precedence over the region that was called
	}
	a.name.addRegion(region)
	tier := serviceTier(key.serviceTier)
	var all []offer
	for _, t := range p.tables {
		if found, ok := t.find(a.keys, &a.name); ok {
			q := offer{series: found.series, region: factorOne, tier: tier, service: factorOne}
			charges := a.provider
			if maker := found.series.elsewhereOf(); maker != "" {
				charges = maker // its price applies, and so does its factor for a tier
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

// ask returns the provider that charges. A named provider takes precedence, unless the model's name is more specific:
// the client of a maker is often used to call a host, which is then part of the name.
func (p *List) ask(key priceKey) asked {
	written := strings.ToLower(key.provider)
	known := providerOf(written)
	for _, t := range p.tables {
		if known == "" && slices.Contains(t.selfHosted, written) {
			known = written
		}
	}
	a := asked{provider: known, name: readModelName(key.model, known)}
	if host := a.name.host; host != "" && host != known && (known == "" || makers[known] || routers[known]) {
		if known != protocol || !a.name.path || !makers[host] { // otherwise maker/model is a host's name
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

// serviceTier normalizes the name of a tier; empty is the standard one.
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

// priceCache caches what names resolved to. Since clients can send any names it is limited: entries not used since the
// younger half last filled up are evicted.
type priceCache struct {
	mu         sync.RWMutex
	young, old map[priceKey][]offer
}

const maxPriceCache = 4096 // per half

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
	// Copied, since the strings are parts of a large request that would otherwise be retained.
	key = priceKey{strings.Clone(key.provider), strings.Clone(key.model), strings.Clone(key.region), strings.Clone(key.serviceTier)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.young == nil || len(c.young) >= maxPriceCache {
		c.young, c.old = map[priceKey][]offer{}, c.young
	}
	c.young[key] = all
}
