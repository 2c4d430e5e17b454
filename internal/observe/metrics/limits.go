package metrics

import "github.com/prometheus/client_golang/prometheus"

// LimitSample has the counts of a replica's rate limits since it started, and its current number of buckets.
type LimitSample struct {
	Decisions    []LimitDecisions
	Keys         int
	Overflows    uint64 // requests that shared a bucket because there were too many
	SyncFailures uint64
}

// LimitDecisions are the counts of the limits with one scope that are for the same: users, agents, tokens or all.
type LimitDecisions struct {
	Scope, By        string
	Allowed, Limited uint64
}

var (
	limitDecisionsDesc = prometheus.NewDesc("watchbill_ratelimit_decisions_total",
		"Decisions of rate limits, by scope and subject.", []string{"scope", "by", "decision"}, nil)
	limitKeysDesc = prometheus.NewDesc("watchbill_ratelimit_keys",
		"Users, agents and tokens whose rate is being limited here and whose bucket is not known to be full.", nil, nil)
	limitOverflowsDesc = prometheus.NewDesc("watchbill_ratelimit_overflows_total",
		"Requests counted in a shared bucket because there was no room for a separate one.", nil, nil)
	limitSyncFailuresDesc = prometheus.NewDesc("watchbill_ratelimit_sync_failures_total",
		"Failures to share rate limits with the other replicas; meanwhile each replica enforces them on its own.", nil, nil)
)

// limitCollector reads the limits at each scrape.
type limitCollector struct {
	sample func() LimitSample
}

// NewLimitCollector returns the rate limits' metrics, for a registry. sample must be safe for concurrent use.
func NewLimitCollector(sample func() LimitSample) prometheus.Collector {
	return limitCollector{sample}
}

func (limitCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- limitDecisionsDesc
	descs <- limitKeysDesc
	descs <- limitOverflowsDesc
	descs <- limitSyncFailuresDesc
}

func (c limitCollector) Collect(metrics chan<- prometheus.Metric) {
	counter := func(desc *prometheus.Desc, n uint64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), labels...)
	}
	s := c.sample()
	for _, d := range s.Decisions {
		counter(limitDecisionsDesc, d.Allowed, d.Scope, d.By, "allowed")
		counter(limitDecisionsDesc, d.Limited, d.Scope, d.By, "limited")
	}
	metrics <- prometheus.MustNewConstMetric(limitKeysDesc, prometheus.GaugeValue, float64(s.Keys))
	counter(limitOverflowsDesc, s.Overflows)
	counter(limitSyncFailuresDesc, s.SyncFailures)
}
