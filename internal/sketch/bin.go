package sketch

import "github.com/DataDog/sketches-go/ddsketch/mapping"

// The bins. Their bounds are part of the encoding: none of these constants may change without a new version of it.
const (
	// RelativeAccuracy is how far a quantile may be from the truth: 1 %.
	RelativeAccuracy = 0.01
	// Shortest is the latency in seconds below which all falls into the first bin.
	Shortest = 1e-6
	// Longest is the latency in seconds above which all falls into the last bin.
	Longest = 600.0
	// Bins is how many bins there are.
	Bins = 1021

	// firstIndex is what the mapping calls bin 0.
	firstIndex = -698
)

// bounds is never changed. The cubic interpolation costs 1 % more bins than logarithms and a third of their time.
var bounds = newBounds()

func newBounds() *mapping.CubicallyInterpolatedMapping {
	m, err := mapping.NewCubicallyInterpolatedMapping(RelativeAccuracy)
	if err != nil {
		panic(err) // only for an accuracy outside (0, 1)
	}
	return m
}

// Bin returns the bin, in [0, Bins), that a latency in seconds falls into; NaN falls into the first. Whoever must not
// wait for a lock keeps a counter per bin and hands the counts to AddBin later. It costs a few nanoseconds.
func Bin(seconds float64) int {
	switch {
	case !(seconds > Shortest):
		return 0
	case seconds >= Longest:
		return Bins - 1
	}
	return bounds.Index(seconds) - firstIndex
}

// value returns the latency in seconds that is within 1 % of all that fall into a bin.
func value(bin int) float64 { return bounds.Value(bin + firstIndex) }
