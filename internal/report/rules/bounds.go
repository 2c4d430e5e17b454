package rules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// bounds are the upper bounds of the classic buckets of the API's latency histograms, the only thresholds that slower
// requests can be counted for. A test compares them with the histograms'.
var bounds = []time.Duration{
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 30 * time.Second,
}

// boundFault returns how to fix a threshold that is not a bound, or "".
func boundFault(threshold time.Duration) string {
	at, found := slices.BinarySearch(bounds, threshold)
	if found {
		return ""
	}
	var near []string
	for _, bound := range bounds[max(at-1, 0):min(at+1, len(bounds))] {
		near = append(near, bound.String())
	}
	return fmt.Sprintf("%s is not a bucket bound of the latency histogram; use %s, or set alerting.mode to None",
		threshold, strings.Join(near, " or "))
}

// le matches the bucket of a bound. OpenMetrics, and Prometheus since 3.0, write 1 as 1.0.
func le(bound time.Duration) string {
	seconds := seconds(bound)
	if !strings.Contains(seconds, ".") {
		return like("le", seconds+`(\.0)?`)
	}
	return is("le", seconds)
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }
