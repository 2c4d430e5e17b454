package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// nothing is shown without a sample.
const nothing = "–"

// significant formats a number with three significant digits, or its whole part with separators: 0.0123, 12.3, 12,345.
func significant(x float64) string {
	switch magnitude := math.Abs(x); {
	case x == 0:
		return "0"
	case magnitude >= 999.5:
		return grouped(int64(math.Round(x)))
	default:
		return decimals(x, 2-int(math.Floor(math.Log10(magnitude))))
	}
}

// decimals formats a number with up to most digits after the point, and never more than nine.
func decimals(x float64, limit int) string {
	s := strconv.FormatFloat(x, 'f', min(max(limit, 0), 9), 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// grouped formats a whole number with separators: 12,345.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	start := 0
	if n < 0 {
		start = 1
	}
	for i := len(s) - 3; i > start; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// counted formats a number with its noun: 1 request, 2 requests.
func counted(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return grouped(n) + " " + noun + "s"
}

// percent formats a ratio: 12.3 %. It never rounds up to 100 %: 99.96 %.
func percent(ratio float64) string {
	if missing := (1 - ratio) * 100; missing > 0 && missing < 0.5 {
		return decimals(ratio*100, -int(math.Floor(math.Log10(missing)))) + " %"
	}
	return significant(ratio*100) + " %"
}

// dollars formats US dollars.
func dollars(usd float64) string { return money(usd, string(UnitUSD)) }

// money formats an amount, rounded to two decimals if it is 1 or more.
func money(amount float64, code string) string {
	if math.Abs(amount) < 1 {
		return significant(amount) + " " + code
	}
	cents := int64(math.Round(amount * 100))
	return fmt.Sprintf("%s.%02d %s", grouped(cents/100), max(cents%100, -cents%100), code)
}

// inTime formats milliseconds, from one second on as seconds.
func inTime(ms float64) string {
	if ms < 1000 {
		return inMilliseconds(ms)
	}
	return inSeconds(ms / 1000)
}

func inMilliseconds(ms float64) string { return significant(ms) + " ms" }
func inSeconds(seconds float64) string { return significant(seconds) + " s" }
func perSecond(rate float64) string    { return significant(rate) + "/s" }
func timestamp(t time.Time) string     { return t.UTC().Format("2006-01-02 15:04:05Z") }
func minute(t time.Time) string        { return t.UTC().Format("2006-01-02 15:04") }
func (u Unit) write(x float64) string {
	switch u {
	case UnitMilliseconds:
		return inMilliseconds(x)
	case UnitRatio:
		return percent(x)
	case UnitPollRate:
		return perSecond(x)
	case UnitUSD:
		return dollars(x)
	default:
		return significant(x)
	}
}

// size formats a number of bytes: 1.5 MiB.
func size(bytes int64) string {
	x := float64(bytes)
	for _, unit := range []string{"B", "KiB", "MiB", "GiB"} {
		if math.Abs(x) < 1024 {
			return significant(x) + " " + unit
		}
		x /= 1024
	}
	return significant(x) + " TiB"
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
	switch s := significant(moved); {
	case moved == 0 || s == "0":
		return "="
	case moved > 0:
		return "+" + s + unit
	default:
		return s + unit
	}
}
