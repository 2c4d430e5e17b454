package report

import (
	"math"
	"time"

	"github.com/watchbill/watchbill/internal/number"
	"github.com/watchbill/watchbill/internal/objective"
)

// nothing is shown without a sample.
const nothing = "–"

// dollars formats US dollars.
func dollars(usd float64) string { return objective.UnitUSD.Format(usd) }

// inTime formats milliseconds, from one second on as seconds.
func inTime(ms float64) string {
	if ms < 1000 {
		return number.Milliseconds(ms)
	}
	return inSeconds(ms / 1000)
}

func inSeconds(seconds float64) string { return number.Significant(seconds) + " s" }
func timestamp(t time.Time) string     { return t.UTC().Format("2006-01-02 15:04:05Z") }
func minute(t time.Time) string        { return t.UTC().Format("2006-01-02 15:04") }

// size formats a number of bytes: 1.5 MiB.
func size(bytes int64) string {
	x := float64(bytes)
	for _, unit := range []string{"B", "KiB", "MiB", "GiB"} {
		if math.Abs(x) < 1024 {
			return number.Significant(x) + " " + unit
		}
		x /= 1024
	}
	return number.Significant(x) + " TiB"
}

// change formats the change of a figure: in percentage points if it is a ratio, otherwise in percent of the former
// value.
func change(now, before *float64, isRatio bool) string {
	if now == nil || before == nil {
		return nothing
	}
	moved, unit := *now-*before, " pp"
	if !isRatio {
		if *before == 0 && moved != 0 {
			return nothing // a change from 0 has no percentage
		}
		unit = " %"
		if moved != 0 {
			moved /= math.Abs(*before)
		}
	}
	moved *= 100
	switch s := number.Significant(moved); {
	case moved == 0 || s == "0":
		return "="
	case moved > 0:
		return "+" + s + unit
	default:
		return s + unit
	}
}
