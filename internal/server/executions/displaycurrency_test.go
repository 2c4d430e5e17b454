package executions

import (
	"testing"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/currency"
	"github.com/watchbill/watchbill/internal/execution"
)

func TestInCurrency(t *testing.T) {
	t.Parallel()
	rates, err := currency.Parse([]byte("date,currency,units_per_usd\n2026-11-27,EUR,0.86\n2026-11-30,EUR,0.5\n"), "EUR")
	if err != nil {
		t.Fatal(err)
	}
	a := &API{Options: Options{Currency: DisplayCurrency{"EUR", func() currency.Rates { return rates }}}}
	midnight := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		cost     *openapi.USD
		end      time.Time
		want     openapi.USD
		rateDate string
	}{
		"the last day before":  {new(openapi.USD(1_000)), midnight, 860, "2026-11-27"},
		"the day":              {new(openapi.USD(1_000)), midnight.Add(time.Second), 500, "2026-11-30"},
		"before all rates":     {new(openapi.USD(1_000)), midnight.AddDate(0, 0, -10), 0, ""},
		"an unknown cost":      {nil, midnight, 0, ""},
		"long after all rates": {new(openapi.USD(3)), midnight.AddDate(1, 0, 0), 2, "2026-11-30"},
	} {
		got := a.inCurrency(openapi.Spend{CostUSD: tt.cost}, tt.end)
		if got.RateDate != tt.rateDate || (got.Cost != nil) != (tt.rateDate != "") || got.Cost != nil && (*got.Cost != tt.want || got.Currency != "EUR") {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

func TestUnknownIsNotZero(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		spend execution.Spend
		want  string
	}{
		"nothing":                  {execution.Spend{}, "0"},
		"unknown usage":            {execution.Spend{Evidence: execution.Evidence{UnknownUsage: 1}}, "null"},
		"tokens without a price":   {execution.Spend{Unpriced: 1}, "null"},
		"a cost and unknown usage": {execution.Spend{Cost: 5_000_000, Evidence: execution.Evidence{UnknownUsage: 1}}, "0.005"},
	} {
		got := "null"
		if cost := spendOf(tt.spend).CostUSD; cost != nil {
			got = cost.String()
		}
		if got != tt.want {
			t.Errorf("%s: want %s, got %s", name, tt.want, got)
		}
	}
	charged := spendOf(execution.Spend{Cost: 7, Evidence: execution.Evidence{Provider: 20, ProviderUnpriced: 9, ProviderCompared: 7}})
	if *charged.ProviderCostUSD != 20 || *charged.ProviderUnpricedUSD != 9 || *charged.ProviderDifferenceUSD != 4 {
		t.Errorf("want 20 charged, 9 of it without a price and 4 beyond ours, got %+v", charged)
	}
}
