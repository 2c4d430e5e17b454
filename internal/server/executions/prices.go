package executions

import (
	"context"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/prices"
	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/server/input"
)

// Limits of what prices are looked up by, in bytes.
const (
	maxPriceSearch = 200
	maxBilling     = 128 // of a region or a service tier
)

// priceQuery is a request for prices.
type priceQuery struct {
	prices.Query // a model is looked up if one is given

	search, cursor string
	more           bool // a cursor is given
	limit          int
}

func (a *API) readPriceQuery(x *endpoint.Exchange) (priceQuery, error) {
	q := x.Query()
	req := priceQuery{limit: q.Limit()}
	req.Model = q.Name("model", execution.MaxName)
	for _, field := range []struct {
		name  string
		into  *string
		limit int
	}{
		{"provider", &req.Provider, execution.MaxProvider}, {"region", &req.Region, maxBilling}, {"service_tier", &req.ServiceTier, maxBilling},
	} {
		if q.Has(field.name) && req.Model == "" {
			q.Fault("invalid_parameter", field.name, "needs model")
		}
		*field.into = q.Name(field.name, field.limit)
	}
	req.Region, req.ServiceTier = strings.ToLower(req.Region), strings.ToLower(req.ServiceTier) // as executions have them
	if q.Has("search") && req.Model != "" {
		q.Fault("invalid_parameter", "search", "cannot be combined with model")
	}
	req.search = strings.ToLower(q.Name("search", maxPriceSearch))
	req.At = a.Now()
	if text, given := q.Text("at"); given {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			q.Fault("invalid_parameter", "at", "must be a time such as 2006-01-02T15:04:05Z")
		}
		req.At = at
	}
	if req.cursor, req.more = q.Text("cursor"); req.more && req.Model != "" {
		q.Fault("invalid_parameter", "cursor", "cannot be combined with model")
	}
	return req, q.Done()
}

func (a *API) listPrices(_ context.Context, req priceQuery) (openapi.PriceList, error) {
	list := a.Prices()
	answer := openapi.PriceList{Status: succeeded, Version: list.Version(), At: req.At.UTC(), Prices: []openapi.ListedPrice{}}
	if req.Model != "" {
		lookUpPrice(list, req, &answer)
		return answer, nil
	}
	from := 0
	page := input.NewList("prices", list.Version(), req.search)
	if req.more {
		position, err := page.Position(req.cursor)
		if err != nil || len(position) != 4 {
			return openapi.PriceList{}, input.ErrCursor
		}
		from = int(binary.BigEndian.Uint32([]byte(position)))
	}
	matched := 0
	for i, m := range list.Models() {
		if !m.InForce(req.At) || !matchesPrice(&m, req.search) {
			continue
		}
		matched++
		switch {
		case i < from:
		case len(answer.Prices) < req.limit:
			answer.Prices = append(answer.Prices, listedPriceOf(&m))
		case answer.NextCursor == "":
			answer.NextCursor = page.Cursor(string(binary.BigEndian.AppendUint32(nil, uint32(i))))
		}
	}
	answer.Total = int32(matched)
	return answer, nil
}

// lookUpPrice adds the price of a model, or why it has none.
func lookUpPrice(list *prices.List, req priceQuery, answer *openapi.PriceList) {
	found, ok := list.Find(req.Query)
	switch {
	case !ok:
		answer.Missing = openapi.MissingPriceNoPattern
		return
	case found.Price == nil:
		answer.Missing = openapi.MissingPriceOtherTime
		return
	}
	listed := listedPriceOf(found.Price)
	answer.Total, answer.Prices = 1, []openapi.ListedPrice{listed}
	answer.Applied = openapi.LookedUpPrice{Model: found.Pattern, Provider: found.Provider, USDPerMillionTokens: found.ByKind()}
	if found.Factor != 0 {
		answer.Applied.Factor = found.Factor.String()
	}
	for _, t := range found.Tiers {
		answer.Applied.Tiers = append(answer.Applied.Tiers, openapi.PriceTier{AboveInputTokens: t.Above, USDPerMillionTokens: t.ByKind()})
	}
}

func matchesPrice(m *prices.ModelPrice, search string) bool {
	has := func(s string) bool { return strings.Contains(s, search) }
	return search == "" || slices.ContainsFunc(m.Match, has) || slices.ContainsFunc(m.Providers, has)
}

func listedPriceOf(m *prices.ModelPrice) openapi.ListedPrice {
	p := openapi.ListedPrice{
		Match: m.Match, Providers: m.Providers, Elsewhere: openapi.PriceElsewhere(m.Elsewhere.String()), USDPerMillionTokens: m.ByKind(),
		Source: m.Source, CheckedOn: m.Date, Version: m.Version, File: m.File, Line: int32(m.Line), From: m.From, Until: m.Until,
	}
	if p.Providers == nil {
		p.Providers = []string{}
	}
	for _, t := range m.Tiers {
		p.Tiers = append(p.Tiers, openapi.PriceTier{AboveInputTokens: t.Above, USDPerMillionTokens: t.ByKind()})
	}
	for _, s := range m.ServiceTiers {
		tier := openapi.PriceServiceTier{Name: s.Name}
		if s.Factor != 0 {
			tier.Factor = s.Factor.String()
		} else {
			tier.USDPerMillionTokens = s.ByKind()
		}
		p.ServiceTiers = append(p.ServiceTiers, tier)
	}
	for _, w := range m.Hours {
		hours := openapi.PriceHours{FromMinute: int32(w.From / time.Minute), UntilMinute: int32(w.Until / time.Minute), Days: []string{}}
		for day := time.Sunday; day <= time.Saturday; day++ {
			if w.Days&(1<<day) != 0 {
				hours.Days = append(hours.Days, strings.ToLower(day.String()[:3]))
			}
		}
		if w.Factor != 0 {
			hours.Factor = w.Factor.String()
		} else {
			hours.USDPerMillionTokens = w.ByKind()
		}
		p.Hours = append(p.Hours, hours)
	}
	return p
}
