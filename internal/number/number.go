// Package number formats numbers for people.
package number

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Significant formats a number with three significant digits, or its whole part with separators: 0.0123, 12.3, 12,345.
func Significant(x float64) string {
	switch magnitude := math.Abs(x); {
	case x == 0:
		return "0"
	case magnitude >= 999.5:
		return Grouped(int64(math.Round(x)))
	default:
		return Decimals(x, 2-int(math.Floor(math.Log10(magnitude))))
	}
}

// Decimals formats a number with up to limit digits after the point, and never more than nine.
func Decimals(x float64, limit int) string {
	s := strconv.FormatFloat(x, 'f', min(max(limit, 0), 9), 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// Grouped formats a whole number with separators: 12,345.
func Grouped(n int64) string {
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

// Counted formats a number with its noun: 1 request, 2 requests.
func Counted(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return Grouped(n) + " " + noun + "s"
}

// Percent formats a ratio: 12.3 %. It never rounds up to 100 %: 99.96 %.
func Percent(ratio float64) string {
	if missing := (1 - ratio) * 100; missing > 0 && missing < 0.5 {
		return Decimals(ratio*100, -int(math.Floor(math.Log10(missing)))) + " %"
	}
	return Significant(ratio*100) + " %"
}

// Money formats an amount, rounded to two decimals if it is 1 or more.
func Money(amount float64, code string) string {
	if math.Abs(amount) < 1 {
		return Significant(amount) + " " + code
	}
	cents := int64(math.Round(amount * 100))
	return fmt.Sprintf("%s.%02d %s", Grouped(cents/100), max(cents%100, -cents%100), code)
}

// Milliseconds formats milliseconds.
func Milliseconds(ms float64) string { return Significant(ms) + " ms" }

// PerSecond formats a rate.
func PerSecond(rate float64) string { return Significant(rate) + "/s" }
