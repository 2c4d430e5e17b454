package executions

import (
	"context"
	"strings"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/server/input"
)

const (
	defaultDays = 30
	maxDays     = 366
	maxZoneName = 64 // bytes
)

func readCostQuery(x *endpoint.Exchange) (execution.CostQuery, error) {
	q := x.Query()
	req := execution.CostQuery{
		Days: int(q.Integer("days", defaultDays, 1, maxDays)), TimeZone: readTimeZone(&q, "time_zone"), Limit: q.Limit(),
		GroupBy: input.OneOf(&q, "group_by", execution.ByDay, execution.ByUser, execution.ByAgent, execution.ByModel),
	}
	if req.GroupBy == "" {
		req.GroupBy = execution.ByDay
	}
	if user := q.Name("user_id", execution.MaxUser); user != "" {
		req.UserIDs = []string{user}
		if req.GroupBy != execution.ByDay && req.GroupBy != execution.ByModel {
			q.Fault("invalid_parameter", "group_by", "must be day or model if user_id is given")
		}
	}
	return req, q.Done()
}

// readTimeZone reads the name of a time zone, which defaults to UTC. It rejects Local, Go's name for the server's own zone.
func readTimeZone(q *input.Query, name string) string {
	zone, given := q.Text(name)
	if !given {
		return "UTC"
	}
	if _, err := time.LoadLocation(zone); err != nil || zone == "" || strings.HasPrefix(strings.ToLower(zone), "local") || len(zone) > maxZoneName {
		q.Fault("invalid_parameter", name, "must be the IANA name of a time zone, such as Europe/Berlin")
	}
	return zone
}

func (a *API) getCosts(ctx context.Context, query execution.CostQuery) (openapi.CostsAnswer, error) {
	if err := a.Computing.Enter(ctx); err != nil {
		return openapi.CostsAnswer{}, err
	}
	defer a.Computing.Leave()
	costs, err := a.Store.Costs(ctx, query)
	if err != nil {
		return openapi.CostsAnswer{}, err
	}
	response := openapi.Costs{
		Window:   openapi.ExecutionWindow{From: costs.Window.From.UTC(), To: costs.Window.To.UTC()},
		TimeZone: query.TimeZone, GroupBy: openapi.CostGroupBy(query.GroupBy), Total: spendOf(costs.Total),
		Groups: make([]openapi.SpendOf, len(costs.Groups)),
	}
	last := costs.Window.To
	response.Total = a.inCurrency(response.Total, last)
	for i, g := range costs.Groups {
		spend := spendOf(g.Spend)
		day := last
		if date, err := time.Parse(time.DateOnly, g.Key); err == nil && query.GroupBy == execution.ByDay {
			day = date.Add(execution.DayWide)
		}
		spend = a.inCurrency(spend, day)
		response.Groups[i] = openapi.SpendOf{
			Key: g.Key, Requests: spend.Requests, Tokens: spend.Tokens, CostUSD: spend.CostUSD, UnpricedTokens: spend.UnpricedTokens,
			UnknownUsage: spend.UnknownUsage, EstimatedCostUSD: spend.EstimatedCostUSD, ProviderCostUSD: spend.ProviderCostUSD,
			ProviderUnpricedUSD: spend.ProviderUnpricedUSD, ProviderDifferenceUSD: spend.ProviderDifferenceUSD,
			Cost: spend.Cost, Currency: spend.Currency, RateDate: spend.RateDate,
		}
	}
	if costs.Rest != nil {
		response.Rest = a.inCurrency(spendOf(costs.Rest.Spend), last)
	}
	return openapi.CostsAnswer{Status: succeeded, Costs: response}, nil
}

// inCurrency adds the cost in the display currency, at the rate of the day that ends at end.
func (a *API) inCurrency(spend openapi.Spend, end time.Time) openapi.Spend {
	in := a.Currency.show(spend.CostUSD, end)
	spend.Cost, spend.Currency, spend.RateDate = in.cost, in.currency, in.rateDate
	return spend
}

func spendOf(s execution.Spend) openapi.Spend {
	v := s.Evidence
	return openapi.Spend{
		Requests: s.Requests, Tokens: tokensOf(s.Tokens), CostUSD: costOf(s.Cost, s.Unpriced, v), UnpricedTokens: s.Unpriced,
		UnknownUsage: v.UnknownUsage, EstimatedCostUSD: openapi.USD(v.Estimated), ProviderCostUSD: chargeOf(v.Provider),
		ProviderUnpricedUSD: chargeOf(v.ProviderUnpriced), ProviderDifferenceUSD: chargeOf(v.ProviderDifference()),
	}
}

// costOf returns a cost, or nil (null) if no usage is priced or usage is unknown, which is not a cost of zero.
func costOf(nanoUSD, unpriced int64, v execution.Evidence) *openapi.USD {
	known, ok := execution.KnownCost(nanoUSD, unpriced, v)
	if !ok {
		return nil
	}
	return new(openapi.USD(known))
}

// chargeOf returns an amount reported by providers, or nil (null) if there is none.
func chargeOf(nanoUSD int64) *openapi.USD {
	if nanoUSD == 0 {
		return nil
	}
	return new(openapi.USD(nanoUSD))
}
