package sketch

import "github.com/DataDog/sketches-go/ddsketch/mapping"

// The bins. Their bounds are part of the encoding: changing any of these constants requires a new version of it.
const (
	// RelativeAccuracy is the maximum relative error of a quantile: 1 %.
	RelativeAccuracy = 0.01
	// Shortest is the latency in seconds below which all values fall into the first bin.
	Shortest = 1e-6
	// Longest is the latency in seconds above which all values fall into the last bin.
	Longest = 600.0
	// Bins is the number of bins.
	Bins = 1021

	// firstIndex is the mapping's index of bin 0.
	firstIndex = -698
)

// bounds is never changed. Cubic interpolation takes 1 % more bins than logarithms and a third of the time.
var bounds = newBounds()

func newBounds() *mapping.CubicallyInterpolatedMapping {
	m, err := mapping.NewCubicallyInterpolatedMapping(RelativeAccuracy)
	if err != nil {
		panic(err) // only for an accuracy outside of (0, 1)
	}
	return m
}

// Bin returns the bin, in [0, Bins), of a latency in seconds; NaN falls into the first. Callers that must not wait for
// a lock can keep a counter per bin and pass the counts to AddBin later. Bin takes a few nanoseconds.
func Bin(seconds float64) int {
	switch {
	case !(seconds > Shortest):
		return 0
	case seconds >= Longest:
		return Bins - 1
	}
	return bounds.Index(seconds) - firstIndex
}

// value returns the latency in seconds that is within 1 % of all latencies in a bin.
func value(bin int) float64 { return bounds.Value(bin + firstIndex) }
