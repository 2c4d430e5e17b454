package rules

import (
	"math/big"
	"strings"
)

// decimal parses a number; 0 if it is none.
func decimal(s string) *big.Rat {
	n, ok := new(big.Rat).SetString(s)
	if !ok {
		return new(big.Rat)
	}
	return n
}

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
