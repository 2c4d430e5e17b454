package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/prices"
	"github.com/watchbill/watchbill/internal/text"
)

// priceList is the output, also as JSON.
type priceList struct {
	Version string        `json:"version"`
	Prices  []listedPrice `json:"prices"`
}

type listedPrice struct {
	Model     string   `json:"model,omitempty"`   // the requested model
	Pattern   string   `json:"pattern,omitempty"` // the pattern that matched
	Match     []string `json:"match"`
	For       string   `json:"for,omitempty"`      // the provider whose price applies
	Provider  string   `json:"provider,omitempty"` // the providers with this price, separated by commas
	Elsewhere string   `json:"elsewhere,omitempty"`
	From      string   `json:"from,omitempty"`
	Until     string   `json:"until,omitempty"`
	// Rates are those of the file. For a requested model the factors of its region, tier and time are applied.
	Rates        listedRates   `json:"usd_per_million_tokens"`
	Factor       string        `json:"factor,omitempty"` // the factor applied to the file's rates
	Tiers        []listedTier  `json:"tiers,omitempty"`
	ServiceTiers []listedTier  `json:"service_tiers,omitempty"`
	Hours        []listedHours `json:"hours,omitempty"`
	Source       string        `json:"source,omitempty"`
	Date         string        `json:"date,omitempty"`
	Version      string        `json:"version"`
	File         string        `json:"file,omitempty"`
	Line         int           `json:"line"`
}

// listedRates are decimals, as strings to avoid rounding. Kinds without a separate price are left out.
type listedRates struct {
	Input          string `json:"input"`
	Output         string `json:"output"`
	CacheRead      string `json:"cache_read"`
	CacheWrite     string `json:"cache_write"`
	CacheWrite1h   string `json:"cache_write_1h,omitempty"`
	AudioInput     string `json:"audio_input,omitempty"`
	AudioOutput    string `json:"audio_output,omitempty"`
	AudioCacheRead string `json:"audio_cache_read,omitempty"`
	ImageInput     string `json:"image_input,omitempty"`
	ImageOutput    string `json:"image_output,omitempty"`
}

type listedTier struct {
	Name   string       `json:"name,omitempty"`
	Above  int64        `json:"above_input_tokens,omitempty"`
	Factor string       `json:"factor,omitempty"`
	Rates  *listedRates `json:"usd_per_million_tokens,omitempty"`
	Tiers  []listedTier `json:"tiers,omitempty"`
}

type listedHours struct {
	Days   []string     `json:"days"`
	From   string       `json:"from"`
	Until  string       `json:"until"`
	Factor string       `json:"factor,omitempty"`
	Rates  *listedRates `json:"usd_per_million_tokens,omitempty"`
}

func newListedPrice(m prices.ModelPrice) listedPrice {
	p := listedPrice{
		Match: m.Match, Provider: strings.Join(m.Providers, ", "), From: priceTime(m.From), Until: priceTime(m.Until),
		Rates: newListedRates(m.Rates), Tiers: newListedTiers(m.Tiers),
		Source: m.Source, Date: m.Date, Version: m.Version, File: m.File, Line: m.Line,
	}
	switch m.Elsewhere {
	case prices.IfUnnamed:
		p.Elsewhere = "unnamed"
	case prices.IfUnknown:
		p.Elsewhere = "unknown"
	}
	for _, s := range m.ServiceTiers {
		tier := listedTier{Name: s.Name}
		if s.Factor != 0 {
			tier.Factor = s.Factor.String()
		} else {
			rates := newListedRates(s.Rates)
			tier.Rates, tier.Tiers = &rates, newListedTiers(s.Tiers)
		}
		p.ServiceTiers = append(p.ServiceTiers, tier)
	}
	for _, w := range m.Hours {
		hours := listedHours{From: timeOfDay(w.From), Until: timeOfDay(w.Until)}
		for day := time.Sunday; day <= time.Saturday; day++ {
			if w.Days&(1<<day) != 0 {
				hours.Days = append(hours.Days, strings.ToLower(day.String()[:3]))
			}
		}
		if w.Factor != 0 {
			hours.Factor = w.Factor.String()
		} else {
			rates := newListedRates(w.Rates)
			hours.Rates = &rates
		}
		p.Hours = append(p.Hours, hours)
	}
	return p
}

func timeOfDay(d time.Duration) string {
	return fmt.Sprintf("%02d:%02d", int(d.Hours()), int(d.Minutes())%60)
}

func newListedTiers(tiers []prices.Tier) []listedTier {
	var all []listedTier
	for _, tier := range tiers {
		rates := newListedRates(tier.Rates)
		all = append(all, listedTier{Above: tier.Above, Rates: &rates})
	}
	return all
}

func newListedRates(r prices.Rates) listedRates {
	own := func(rate, of prices.Rate) string {
		if rate == of {
			return ""
		}
		return rate.String()
	}
	return listedRates{
		r.Input.String(), r.Output.String(), r.CacheRead.String(), r.CacheWrite.String(), own(r.CacheWrite1h, r.CacheWrite),
		own(r.AudioInput, r.Input), own(r.AudioOutput, r.Output), own(r.AudioCacheRead, r.CacheRead),
		own(r.ImageInput, r.Input), own(r.ImageOutput, r.Output),
	}
}

// priceTime formats a time as in a price file.
func priceTime(t time.Time) string {
	switch {
	case t.IsZero():
		return ""
	case t.Equal(t.Truncate(24 * time.Hour)):
		return t.Format(time.DateOnly)
	default:
		return t.Format(time.RFC3339Nano)
	}
}

// find lists the prices of models. The error names those without one and the reasons.
func (l *priceList) find(list *prices.List, models []string, query prices.Query) error {
	var missing []error
	for _, model := range models {
		query.Model = model
		found, ok := list.Find(query)
		name := text.FitRunes(text.OneLine(model), execution.MaxName)
		switch {
		case !ok:
			missing = append(missing, fmt.Errorf("%s: has no price: no pattern matches it", name))
		case found.Price == nil:
			missing = append(missing, fmt.Errorf("%s: has no price today: those of %s in %s are for other times", name, found.Pattern, found.Version))
		default:
			price := newListedPrice(*found.Price)
			price.Model, price.Pattern, price.For = model, found.Pattern, found.Provider
			price.Rates, price.Tiers = newListedRates(found.Rates), newListedTiers(found.Tiers)
			if factor := found.Factor.String(); factor != "1" {
				price.Factor = factor
			}
			l.Prices = append(l.Prices, price)
		}
	}
	return errors.Join(missing...)
}

// table formats a row for each price, followed by a row for each of its tiers.
func (l *priceList) table(c console, asked bool) string {
	head := []string{"MODELS", "PROVIDER", "FROM", "UNTIL", "ABOVE", "INPUT", "OUTPUT", "CACHE READ", "CACHE WRITE", "VERSION", "LINE"}
	if asked {
		head = append([]string{"MODEL"}, head...)
		head[1] = "FOUND"
	}
	var rows [][]cell
	for _, p := range l.Prices {
		row := []cell{brief(strings.Join(p.Match, ", ")), brief(p.Provider)}
		if asked {
			row = []cell{plain(p.Model), plain(p.Pattern), plain(p.For)}
		}
		row = append(row, plain(p.From), plain(p.Until), plain(""))
		tier := make([]cell, len(row))
		rows = append(rows, append(append(row, p.Rates.cells()...), plain(p.Version), plain(p.where())))
		for _, t := range p.Tiers {
			tier[len(tier)-1] = plain(strconv.FormatInt(t.Above, 10))
			rows = append(rows, append(append([]cell{}, tier...), t.Rates.cells()...))
		}
	}
	return c.table(head, rows)
}

// where returns the file and line of a price.
func (p listedPrice) where() string {
	if p.File == "" {
		return strconv.Itoa(p.Line)
	}
	return p.File + ":" + strconv.Itoa(p.Line)
}

func (r listedRates) cells() []cell {
	return []cell{plain(r.Input), plain(r.Output), plain(r.CacheRead), plain(r.CacheWrite)}
}
