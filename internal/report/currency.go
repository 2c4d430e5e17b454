package report

import (
	"math"
	"time"

	"github.com/watchbill/watchbill/internal/currency"
)

// Currency is the currency in which costs are shown in addition to USD; the zero value means none.
type Currency struct {
	Code  string
	Rates currency.Rates
}

// Converted is a cost in another currency. It is empty if no currency is configured, if there is no rate for the day or
// if the cost is unknown.
type Converted struct {
	Cost     *float64 `json:"cost,omitempty"`
	Currency string   `json:"currency,omitempty"`
	RateDate string   `json:"rate_date,omitempty"` // date of the rate
}

// on converts a cost at the rate of a day.
func (c Currency) on(usd *float64, day time.Time) Converted {
	if c.Code == "" || usd == nil {
		return Converted{}
	}
	rate, ok := c.Rates.On(day)
	if !ok {
		return Converted{}
	}
	nano := rate.Convert(int64(math.Round(*usd * 1e9)))
	return Converted{new(float64(nano) / 1e9), c.Code, rate.Date.Format(time.DateOnly)}
}

// convert adds the costs in another currency to a document: those of a day at the rate of that day, all others at the
// rate of the last day of their window.
func (c Currency) convert(doc *Document) {
	if c.Code == "" {
		return
	}
	last := lastDay(doc.Window.To)
	if e := doc.Sections.Executions; e != nil {
		e.Converted = c.on(e.CostUSD, last)
		for _, list := range [][]NamedExecutions{e.Agents, e.Models} {
			for i := range list {
				list[i].Converted = c.on(list[i].CostUSD, last)
			}
		}
	}
	if costs := doc.Sections.Costs; costs != nil {
		costs.Converted = c.on(costs.CostUSD, last)
		c.spends(costs.Models, last)
		c.spends(costs.Agents, last)
		for i := range costs.Days {
			day, err := time.Parse(time.DateOnly, costs.Days[i].Name)
			if err == nil {
				costs.Days[i].Converted = c.on(costs.Days[i].CostUSD, day)
			}
		}
	}
	if users := doc.Sections.Users; users != nil {
		c.spends(users.Dearest, lastDay(users.Window.To))
	}
	if p := doc.Previous; p != nil {
		before := lastDay(p.Window.To)
		if p.Executions != nil {
			p.Executions.Converted = c.on(p.Executions.CostUSD, before)
		}
		if p.Costs != nil {
			p.Costs.Converted = c.on(p.Costs.CostUSD, before)
		}
	}
}

func (c Currency) spends(all []NamedSpend, day time.Time) {
	for i := range all {
		all[i].Converted = c.on(all[i].CostUSD, day)
	}
}

// lastDay returns the last day of a window with the given end.
func lastDay(end time.Time) time.Time { return end.UTC().Add(-1).Truncate(24 * time.Hour) }
