package objective

import "github.com/watchbill/watchbill/internal/number"

// Unit is the unit of a result's target and actual figure.
type Unit string

// The units of results.
const (
	UnitMilliseconds Unit = "ms"
	UnitRatio        Unit = "ratio" // from 0 to 1
	UnitPollRate     Unit = "polls/s per agent"
	UnitUSD          Unit = "USD"
)

var formats = map[Unit]func(float64) string{
	UnitMilliseconds: number.Milliseconds,
	UnitRatio:        number.Percent,
	UnitPollRate:     number.PerSecond,
	UnitUSD:          func(usd float64) string { return number.Money(usd, string(UnitUSD)) },
}

// Format formats a figure for people. A stored report may have an unknown unit; its figures are formatted without one.
func (u Unit) Format(x float64) string {
	if format, known := formats[u]; known {
		return format(x)
	}
	return number.Significant(x)
}
