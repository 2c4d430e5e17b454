package telemetry

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	requestsDesc = prometheus.NewDesc("watchbill_http_requests_total",
		"Requests answered, by method, route pattern and status code.", []string{"method", "route", "code"}, nil)
	requestDurationDesc = prometheus.NewDesc("watchbill_http_request_duration_seconds",
		"Time until an answer was ready, without time that a request asked to be held.", []string{"method", "route"}, nil)
	pollsDesc = prometheus.NewDesc("watchbill_polls_total",
		"Polls for pending deployments, by how they ended.", []string{"result"}, nil)
)

// Describe is prometheus.Collector's.
func (r *Recorder) Describe(descs chan<- *prometheus.Desc) {
	descs <- requestsDesc
	descs <- requestDurationDesc
	descs <- pollsDesc
}

// Collect is prometheus.Collector's.
func (r *Recorder) Collect(metrics chan<- prometheus.Metric) {
	for _, rt := range *r.routes.Load() {
		totals := rt.totals()
		for i, code := range statusCodes {
			if totals.statuses[i] > 0 || slices.Contains(rt.always, code) {
				metrics <- r.counter(requestsDesc, totals.statuses[i], rt.method, rt.pattern, statusLabel(code))
			}
		}
		counts, sum := make([]uint64, len(slots)), 0.0
		for _, c := range rt.shards {
			sum += c.addTo(counts)
		}
		metrics <- newHistogram(requestDurationDesc, counts, sum, r.created, rt.method, rt.pattern)
	}
	for result, n := range r.pollTotals() {
		metrics <- r.counter(pollsDesc, n, PollResult(result).String())
	}
}

func (r *Recorder) counter(desc *prometheus.Desc, n uint64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetricWithCreatedTimestamp(desc, prometheus.CounterValue, float64(n), r.created, labels...)
}
