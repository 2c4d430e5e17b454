package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// durationBuckets are those of executions, which may take up to execution.MaxDuration, less than 2^22 s. The classic ones are
// in seconds: from the call of a small model to an agent's long run.
var durationBuckets = newBuckets([]float64{.1, .25, .5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600}, 22*8+1)

var durationDesc = prometheus.NewDesc("watchbill_execution_duration_seconds",
	"Time that requests to AI agents took, by agent.", []string{"agent"}, nil)

// durations are how long an agent's requests took. To observe a histogram of client_golang's takes several times as long
// (BenchmarkObserveExecutions).
type durations struct {
	created time.Time
	counts  []uint64 // as durationBuckets.slots
	seconds float64
}

func newDurations(created time.Time) *durations {
	return &durations{created: created, counts: make([]uint64, len(durationBuckets.slots))}
}

func (d *durations) observe(took time.Duration) {
	took = max(took, 0)
	d.counts[durationBuckets.slotOf(took)]++
	d.seconds += took.Seconds()
}

// durationCollector shows the durations that ExecutionMetrics holds.
type durationCollector struct{ *ExecutionMetrics }

// Describe is prometheus.Collector's.
func (c durationCollector) Describe(descs chan<- *prometheus.Desc) { descs <- durationDesc }

// Collect is prometheus.Collector's.
func (c durationCollector) Collect(metrics chan<- prometheus.Metric) {
	for _, metric := range c.histograms() {
		metrics <- metric
	}
}

func (c durationCollector) histograms() (all []prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for agent, d := range c.durations {
		all = append(all, durationBuckets.newHistogram(durationDesc, d.counts, d.seconds, d.created, agent))
	}
	return all
}
