package metrics

import (
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/watchbill/watchbill/internal/observe"
)

var (
	requestsDesc = prometheus.NewDesc("watchbill_http_requests_total",
		"Requests of callers with a valid token, by method, route pattern and status code.", []string{"method", "route", "code"}, nil)
	requestDurationDesc = prometheus.NewDesc("watchbill_http_request_duration_seconds",
		"Time until the response to a caller with a valid token was ready, without the time that a request was deliberately held.", []string{"method", "route"}, nil)
	pollsDesc = prometheus.NewDesc("watchbill_polls_total",
		"Polls of callers with a valid token for pending deployments, by result.", []string{"result"}, nil)
	heldPollsDesc = prometheus.NewDesc("watchbill_held_polls_total",
		"Polls of watchbill_polls_total that were held.", nil, nil)
	heldIntervalsDesc = prometheus.NewDesc("watchbill_held_poll_intervals_total",
		"Poll intervals, as sent to the agents, that polls were held for.", nil, nil)
	othersDescs = [others]*prometheus.Desc{
		observe.Unauthenticated: prometheus.NewDesc("watchbill_unauthenticated_requests_total",
			"Requests without a valid token, by method, route pattern and status code.", []string{"method", "route", "code"}, nil),
		observe.Probe: prometheus.NewDesc("watchbill_probe_requests_total",
			"Health checks, by method, route pattern and status code.", []string{"method", "route", "code"}, nil),
	}
)

// Describe implements prometheus.Collector.
func (r *Recorder) Describe(descs chan<- *prometheus.Desc) {
	descs <- requestsDesc
	descs <- requestDurationDesc
	descs <- pollsDesc
	descs <- heldPollsDesc
	descs <- heldIntervalsDesc
	for _, desc := range othersDescs {
		descs <- desc
	}
}

// Collect implements prometheus.Collector.
func (r *Recorder) Collect(metrics chan<- prometheus.Metric) {
	for _, rt := range *r.routes.Load() {
		totals := rt.totals()
		for i, code := range statusCodes {
			if totals.statuses[i] > 0 || slices.Contains(rt.always, code) {
				metrics <- r.counter(requestsDesc, totals.statuses[i], rt.method, rt.pattern, observe.StatusLabel(code))
			}
		}
		r.collectOthers(rt, metrics)
		counts, sum := make([]uint64, len(slots)), 0.0
		for _, c := range rt.shards {
			sum += c.addTo(counts)
		}
		metrics <- newHistogram(requestDurationDesc, counts, sum, r.created, rt.method, rt.pattern)
	}
	for result, n := range r.pollTotals() {
		metrics <- r.counter(pollsDesc, n, PollResult(result).String())
	}
	metrics <- r.counter(heldPollsDesc, r.held.polls.Load())
	metrics <- prometheus.MustNewConstMetricWithCreatedTimestamp(heldIntervalsDesc, prometheus.CounterValue,
		float64(r.held.thousandths.Load())/PerInterval, r.created)
}

// collectOthers shows the codes that have occurred, and 401 from the start.
func (r *Recorder) collectOthers(rt *Route, metrics chan<- prometheus.Metric) {
	for audience, desc := range othersDescs {
		for i, code := range statusCodes {
			n := rt.others[audience].statuses[i].Load()
			if n > 0 || observe.Audience(audience) == observe.Unauthenticated && code == http.StatusUnauthorized {
				metrics <- r.counter(desc, n, rt.method, rt.pattern, observe.StatusLabel(code))
			}
		}
	}
}

func (r *Recorder) counter(desc *prometheus.Desc, n uint64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetricWithCreatedTimestamp(desc, prometheus.CounterValue, float64(n), r.created, labels...)
}
