package objective

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

// figure is a measured figure: as a float to show, and as a rational number to compare with a target.
type figure struct {
	shown float64
	exact *big.Rat
}

// share returns a share of counts; nil without any.
func share(part, whole int64) *figure {
	if whole <= 0 {
		return nil
	}
	return &figure{float64(part) / float64(whole), big.NewRat(part, whole)}
}

// milliseconds returns a time in seconds, such as a sketch's, in milliseconds, rounded to the nanosecond.
func milliseconds(seconds float64, ok bool) *figure {
	nanoseconds := math.Round(seconds * 1e9)
	exact := new(big.Rat).SetFloat64(nanoseconds)
	if !ok || exact == nil {
		return nil
	}
	return &figure{nanoseconds / 1e6, exact.Quo(exact, big.NewRat(1e6, 1))}
}

// dollars returns an amount of nano-dollars in dollars.
func dollars(nano int64) *figure { return &figure{float64(nano) / 1e9, big.NewRat(nano, 1e9)} }

// computed returns a figure that was computed with floats; nil if it is not finite. It is compared by its significant
// digits, so that a sum such as 0.09999999999999998 is 0.1.
func computed(x float64) *figure {
	exact := significant(x)
	if exact == nil {
		return nil
	}
	return &figure{x, exact}
}

// significantDigits is the number of digits of a computed float that rounding errors do not reach.
const significantDigits = 9

// significant returns a float rounded to significantDigits; nil if it is not finite.
func significant(x float64) *big.Rat {
	r, ok := new(big.Rat).SetString(strconv.FormatFloat(x, 'e', significantDigits-1, 64))
	if !ok {
		return nil
	}
	return r
}

// float returns the nearest float.
func float(r *big.Rat) float64 {
	x, _ := r.Float64()
	return x
}

// complement returns 1 - share.
func complement(share *big.Rat) *big.Rat { return new(big.Rat).Sub(big.NewRat(1, 1), share) }

// Percentile returns the name of the quantile of kinds that have one: p95 for 0.95, p99.9 for 0.999.
func (r Resolved) Percentile() string { return percentile(complement(r.Budget)) }

func percentile(q *big.Rat) string {
	s := new(big.Rat).Mul(q, big.NewRat(100, 1)).FloatString(9) // targets have at most nine digits after the point
	return "p" + strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}
