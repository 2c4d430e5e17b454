package server

import (
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/currency"
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/report"
)

// DisplayCurrency is what amounts are shown in beside USD.
type DisplayCurrency struct {
	Code  string
	Rates func() currency.Rates // those in force
}

// ofReport returns what reports show costs in.
func (d DisplayCurrency) ofReport() report.Currency {
	if d.Code == "" {
		return report.Currency{}
	}
	return report.Currency{Code: d.Code, Rates: d.Rates()}
}

// shown is an amount in the display currency; all zero where there is none, or no rate yet.
type shown struct {
	cost     *openapi.USD
	currency string
	rateDate string
}

// show converts a cost by the rate of the last day of a window.
func (d DisplayCurrency) show(costUSD *openapi.USD, end time.Time) shown {
	return d.showOn(costUSD, end.UTC().Add(-1).Truncate(execution.DayWide))
}

// showOn converts a cost by the rate of a day.
func (d DisplayCurrency) showOn(costUSD *openapi.USD, day time.Time) shown {
	if d.Code == "" || costUSD == nil {
		return shown{}
	}
	rate, ok := d.Rates().On(day)
	if !ok {
		return shown{}
	}
	return shown{new(openapi.USD(rate.Convert(int64(*costUSD)))), d.Code, rate.Date.Format(time.DateOnly)}
}
