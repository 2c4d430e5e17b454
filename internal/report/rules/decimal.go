package rules

import (
	"math/big"
	"strings"
)

// Shares are reckoned with as fractions: 1 - 0.95 is 0.05 then, and not 0.050000000000000044.

// decimal reads a number that report has found to be one.
func decimal(s string) *big.Rat {
	n, ok := new(big.Rat).SetString(s)
	if !ok {
		return new(big.Rat)
	}
	return n
}

// besides returns what is left of 1.
func besides(share *big.Rat) *big.Rat { return new(big.Rat).Sub(big.NewRat(1, 1), share) }

func times(a, b *big.Rat) *big.Rat { return new(big.Rat).Mul(a, b) }

func below(a, b *big.Rat) bool { return a.Cmp(b) < 0 }

func float(n *big.Rat) float64 {
	f, _ := n.Float64()
	return f
}

// number writes a decimal without zeros that say nothing.
func number(n *big.Rat) string {
	s := n.FloatString(12)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}

// percent writes a share for people.
func percent(share *big.Rat) string { return number(times(share, big.NewRat(100, 1))) + "%" }
