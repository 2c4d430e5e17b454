package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// durationBuckets are the buckets for executions, which may take up to execution.MaxDuration, less than 2^22 s. The
// classic ones, in seconds, range from a call of a small model to a long run of an agent.
var durationBuckets = newBuckets([]float64{.1, .25, .5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600}, 22*8+1)

var durationDesc = prometheus.NewDesc("watchbill_execution_duration_seconds",
	"Time that requests to AI agents took, by agent.", []string{"agent"}, nil)

// durations are the durations of an agent's requests. Observing a histogram of client_golang takes several times as
// long (see BenchmarkObserveExecutions).
type durations struct {
	created time.Time
	counts  []uint64 // per element of durationBuckets.slots
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

// Describe implements prometheus.Collector.
func (c durationCollector) Describe(descs chan<- *prometheus.Desc) { descs <- durationDesc }

// Collect implements prometheus.Collector.
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
