package rules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// bounds are where the classic buckets of the API's latency histograms end: what is slower can be counted for these
// thresholds and no others. A test holds them against internal/observe/metrics's.
var bounds = []time.Duration{
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 30 * time.Second,
}

// boundFault says what to do about a threshold that is no bound; nothing if it is one.
func boundFault(threshold time.Duration) string {
	at, found := slices.BinarySearch(bounds, threshold)
	if found {
		return ""
	}
	var near []string
	for _, bound := range bounds[max(at-1, 0):min(at+1, len(bounds))] {
		near = append(near, bound.String())
	}
	return fmt.Sprintf("%s is none of the bounds that an alert can count by: take %s, or set alerting.mode to None",
		threshold, strings.Join(near, " or "))
}

// le matches the bucket that ends at a bound. OpenMetrics, and Prometheus from 3.0 on, write 1 as 1.0.
func le(bound time.Duration) string {
	seconds := seconds(bound)
	if !strings.Contains(seconds, ".") {
		return like("le", seconds+`(\.0)?`)
	}
	return is("le", seconds)
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }
