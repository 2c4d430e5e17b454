package report

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/watchbill/watchbill/internal/sketch"
)

// SeriesBy is what series of traffic are distinguished by. The zero value is a single series.
type SeriesBy string

// The groupings of series.
const (
	SeriesByEndpoint SeriesBy = "endpoint"
	SeriesByStatus   SeriesBy = "status"
)

// otherSeries is the key of the sum of the series beyond a limit.
const otherSeries = "other"

// Point is the traffic in a part of a window.
type Point struct {
	Window
	CoveredSeconds float64
	Traffic
	Polls *PollCounts // nil unless there is a single series
}

// Series is the traffic of one endpoint or status over time.
type Series struct {
	Key    string // an endpoint's method and route, or a status; empty for all
	Points []Point
}

// SeriesOf returns the traffic of consecutive parts of a window: up to limit series, those with the most requests
// first, and the sum of the others.
func SeriesOf(parts []Facts, by SeriesBy, limit int) []Series {
	tallies := map[string][]tally{}
	if by == "" {
		tallies[""] = make([]tally, len(parts))
	}
	for i, part := range parts {
		for _, e := range part.Endpoints {
			for key, one := range keyed(e, by) {
				if tallies[key] == nil {
					tallies[key] = make([]tally, len(parts))
				}
				tallies[key][i].add(one)
			}
		}
	}
	keys, rest := mostUsed(tallies, limit)
	if len(rest) > 0 {
		sum := make([]tally, len(parts))
		for _, key := range rest {
			for i := range parts {
				t := &tallies[key][i]
				sum[i].add(EndpointFacts{ByStatus: t.byStatus, Latency: &t.latency})
			}
		}
		tallies[otherSeries] = sum
		keys = append(keys, otherSeries)
	}
	series := make([]Series, len(keys))
	for n, key := range keys {
		series[n] = Series{key, make([]Point, len(parts))}
		for i, part := range parts {
			p := Point{Window: part.Window, CoveredSeconds: part.CoveredSeconds, Traffic: tallies[key][i].traffic(part.CoveredSeconds)}
			if by == "" {
				p.Polls = &PollCounts{part.Polls.Empty, part.Polls.NotModified, part.Polls.Delivered, part.Polls.Failed}
			}
			series[n].Points[i] = p
		}
	}
	return series
}

// keyed divides an endpoint's traffic among the series that it belongs to. Latencies are not known by status.
func keyed(e EndpointFacts, by SeriesBy) map[string]EndpointFacts {
	switch by {
	case SeriesByEndpoint:
		return map[string]EndpointFacts{e.Method + " " + e.Route: e}
	case SeriesByStatus:
		all := make(map[string]EndpointFacts, len(e.ByStatus))
		for status, n := range e.ByStatus {
			all[strconv.Itoa(status)] = EndpointFacts{ByStatus: map[int]int64{status: n}, Latency: &sketch.Sketch{}}
		}
		return all
	default:
		return map[string]EndpointFacts{"": e}
	}
}

// mostUsed returns the keys with the most requests, up to limit, and the others.
func mostUsed(tallies map[string][]tally, limit int) (top, rest []string) {
	totals := make(map[string]int64, len(tallies))
	for key, all := range tallies {
		top = append(top, key)
		for i := range all {
			n, _, _ := all[i].counts()
			totals[key] += n
		}
	}
	slices.SortFunc(top, func(a, b string) int { return cmp.Or(cmp.Compare(totals[b], totals[a]), cmp.Compare(a, b)) })
	if len(top) <= limit {
		return top, nil
	}
	return top[:limit:limit], top[limit:]
}
