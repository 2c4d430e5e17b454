package rules

import (
	"math/big"
	"strings"
)

// Shares are rational numbers: 1 - 0.95 is 0.05, not 0.050000000000000044.

// decimal parses a number that report has validated.
func decimal(s string) *big.Rat {
	n, ok := new(big.Rat).SetString(s)
	if !ok {
		return new(big.Rat)
	}
	return n
}

// complement returns 1 - share.
func complement(share *big.Rat) *big.Rat { return new(big.Rat).Sub(big.NewRat(1, 1), share) }

func times(a, b *big.Rat) *big.Rat { return new(big.Rat).Mul(a, b) }

func below(a, b *big.Rat) bool { return a.Cmp(b) < 0 }

func float(n *big.Rat) float64 {
	f, _ := n.Float64()
	return f
}

// number formats a decimal without trailing zeros.
func number(n *big.Rat) string {
	s := n.FloatString(12)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// percent formats a share as a percentage.
func percent(share *big.Rat) string { return number(times(share, big.NewRat(100, 1))) + "%" }
