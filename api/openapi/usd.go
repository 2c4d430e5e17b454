package openapi

import (
	"fmt"
	"strconv"
	"strings"
)

// USD is an amount of money in nano-USD. In JSON it is a number of dollars, written and read digit by digit, since a
// float64 is exact only up to about nine million dollars.
type USD int64

// nanos is the number of decimal places of a USD.
const nanos = 9

// String returns the amount in dollars, with as many decimal places as it needs.
func (u USD) String() string {
	sign, amount := "", uint64(u)
	if u < 0 {
		sign, amount = "-", -amount
	}
	digits := fmt.Sprintf("%0*d", nanos+1, amount)
	whole, fraction := digits[:len(digits)-nanos], strings.TrimRight(digits[len(digits)-nanos:], "0")
	if fraction == "" {
		return sign + whole
	}
	return sign + whole + "." + fraction
}

// MarshalJSON implements json.Marshaler.
func (u USD) MarshalJSON() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalJSON implements json.Unmarshaler. It accepts the output of MarshalJSON, and rejects numbers that it would
// have to round.
func (u *USD) UnmarshalJSON(b []byte) error {
	whole, fraction, _ := strings.Cut(string(b), ".")
	if len(fraction) > nanos {
		return fmt.Errorf("%s is not a whole number of nano-USD", b)
	}
	n, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", nanos-len(fraction)), 10, 64)
	if err != nil {
		return fmt.Errorf("%s is not an amount of USD", b)
	}
	*u = USD(n)
	return nil
}
