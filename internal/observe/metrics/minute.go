package metrics

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/sketch"
)

// minute aggregates the current minute. Only the flusher's goroutine uses it.
type minute struct {
	start    time.Time
	covered  time.Duration
	requests map[*Route]*requestTotals
	queries  map[*query]*queryTotals
	polls    [pollResults]int64
	pool     PoolRollup
}

type requestTotals struct {
	byStatus          map[int]int64
	latency           sketch.Sketch
	bytesIn, bytesOut int64
}

type queryTotals struct {
	errors   int64
	duration sketch.Sketch
}

// newMinute returns an empty aggregate for the minute of t.
func newMinute(t time.Time) *minute {
	return &minute{
		start:    t.UTC().Truncate(time.Minute),
		requests: make(map[*Route]*requestTotals),
		queries:  make(map[*query]*queryTotals),
	}
}

func (m *minute) end() time.Time { return m.start.Add(time.Minute) }

// cover adds the part of the minute between from and to to the covered time.
func (m *minute) cover(from, to time.Time) {
	if from.Before(m.start) {
		from = m.start
	}
	if to.After(m.end()) {
		to = m.end()
	}
	m.covered += max(to.Sub(from), 0)
}

func (m *minute) request(rt *Route) *requestTotals {
	if m.requests[rt] == nil {
		m.requests[rt] = &requestTotals{byStatus: make(map[int]int64)}
	}
	return m.requests[rt]
}

func (m *minute) query(q *query) *queryTotals {
	if m.queries[q] == nil {
		m.queries[q] = new(queryTotals)
	}
	return m.queries[q]
}

// sample adds what the pool did since before. The counts of a recreated pool start at 0 again.
func (m *minute) sample(before, now PoolSample) {
	inUse := now.known()
	m.pool.Max = now.Max
	m.pool.Peak = max(m.pool.Peak, inUse)
	m.pool.InUseSum += int64(inUse)
	m.pool.Samples++
	m.pool.Acquires += max(now.Acquires-before.Acquires, 0)
	m.pool.EmptyAcquires += max(now.EmptyAcquires-before.EmptyAcquires, 0)
	m.pool.WaitSeconds += max(now.AcquireWait-before.AcquireWait, 0).Seconds()
}

// rollup returns the minute as it is stored, with rows in the order of writing.
func (m *minute) rollup() MinuteRollup {
	out := MinuteRollup{
		Minute:  m.start,
		Covered: m.covered,
		Polls: PollRollup{
			Delivered:   m.polls[PollDelivered],
			Empty:       m.polls[PollEmpty],
			NotModified: m.polls[PollNotModified],
			Failed:      m.polls[PollUnavailable] + m.polls[PollUnauthorized],
		},
		Pool: m.pool,
	}
	for rt, totals := range m.requests {
		out.Requests = append(out.Requests, RequestRollup{
			Method: rt.method, Route: rt.pattern, ByStatus: maps.Clone(totals.byStatus), Sketch: totals.latency.Encode(),
			BytesIn: totals.bytesIn, BytesOut: totals.bytesOut,
		})
	}
	slices.SortFunc(out.Requests, func(a, b RequestRollup) int {
		return cmp.Or(strings.Compare(a.Route, b.Route), strings.Compare(a.Method, b.Method))
	})
	for q, totals := range m.queries {
		out.Queries = append(out.Queries, QueryRollup{
			Name: q.name, Count: int64(totals.duration.Count()), Errors: totals.errors, Sketch: totals.duration.Encode(),
		})
	}
	slices.SortFunc(out.Queries, func(a, b QueryRollup) int { return strings.Compare(a.Name, b.Name) })
	return out
}
