package executions

import (
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/currency"
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/report"
)

// DisplayCurrency is the currency in which amounts are shown in addition to USD. If Code is empty there is none.
type DisplayCurrency struct {
	Code  string
	Rates func() currency.Rates // the rates in force
}

// OfReport returns the currency in which reports show costs, with the rates in force.
func (d DisplayCurrency) OfReport() report.Currency {
	if d.Code == "" {
		return report.Currency{}
	}
	return report.Currency{Code: d.Code, Rates: d.Rates()}
}

// shown is an amount in the display currency. It is zero if there is no display currency, or no rate yet.
type shown struct {
	cost     *openapi.USD
	currency string
	rateDate string
}

// show converts a cost at the rate of the last day of a window that ends at end.
func (d DisplayCurrency) show(costUSD *openapi.USD, end time.Time) shown {
	return d.showOn(costUSD, end.UTC().Add(-1).Truncate(execution.DayWide))
}

// showOn converts a cost at the rate of a day.
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
