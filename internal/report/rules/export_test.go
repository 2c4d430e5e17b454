package rules

import (
	"slices"
	"time"

	"github.com/watchbill/watchbill/internal/objective"
)

// SizeAtMost is the bound of a file's size, for tests that compare it with the size.
func (f File) SizeAtMost() int { return f.sizeAtMost() }

// Bounds returns the thresholds that latencies can be alerted about, in ascending order.
func Bounds() []time.Duration { return slices.Clone(bounds) }

// Tests is TestsOf for one report.
func Tests(r Report, o Options, ruleFile string) ([]byte, error) {
	return TestsOf([]Report{r}, o, ruleFile)
}

// HasKind reports whether the table of indicators has a kind.
func HasKind(kind objective.Kind) bool { return indicators[kind] != nil }
