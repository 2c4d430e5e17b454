package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// PoolSample is the state of the database connection pool. Acquires, EmptyAcquires and AcquireWait are totals since the
// pool was created.
type PoolSample struct {
	Max, InUse, Idle, Constructing int32 // connections
	Acquires                       int64
	EmptyAcquires                  int64         // those that had to wait because no connection was idle
	AcquireWait                    time.Duration // total of their waits
	Waiting                        int32         // callers waiting for a connection now
	Others                         int32         // number of those in use for unauthenticated callers and probes
}

// known returns the number of connections in use for known callers and for the service itself.
func (s PoolSample) known() int32 { return max(s.InUse-s.Others, 0) }

var (
	poolConnectionsDesc = prometheus.NewDesc("watchbill_db_pool_connections",
		"Connections of the database pool, by state.", []string{"state"}, nil)
	poolMaxDesc = prometheus.NewDesc("watchbill_db_pool_max_connections",
		"Max connections of the database pool.", nil, nil)
	poolAcquiresDesc = prometheus.NewDesc("watchbill_db_pool_acquires_total",
		"Connections acquired from the database pool.", nil, nil)
	poolEmptyAcquiresDesc = prometheus.NewDesc("watchbill_db_pool_empty_acquires_total",
		"Connections acquired from the database pool after waiting, because none was idle.", nil, nil)
	poolWaitDesc = prometheus.NewDesc("watchbill_db_pool_acquire_wait_seconds_total",
		"Time spent waiting for a connection of the database pool.", nil, nil)
)

// poolCollector reads the pool at each scrape.
type poolCollector struct {
	stats func() PoolSample
}

// NewPoolCollector returns the pool's metrics, for a registry. stats must be safe for concurrent use.
func NewPoolCollector(stats func() PoolSample) prometheus.Collector {
	return poolCollector{stats: stats}
}

func (poolCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- poolConnectionsDesc
	descs <- poolMaxDesc
	descs <- poolAcquiresDesc
	descs <- poolEmptyAcquiresDesc
	descs <- poolWaitDesc
}

func (c poolCollector) Collect(metrics chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value int32, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(value), labels...)
	}
	counter := func(desc *prometheus.Desc, value float64) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, value)
	}
	s := c.stats()
	gauge(poolConnectionsDesc, s.known(), "in_use")
	gauge(poolConnectionsDesc, s.Others, "in_use_unauthenticated")
	gauge(poolConnectionsDesc, s.Idle, "idle")
	gauge(poolConnectionsDesc, s.Constructing, "constructing")
	gauge(poolMaxDesc, s.Max)
	counter(poolAcquiresDesc, float64(s.Acquires))
	counter(poolEmptyAcquiresDesc, float64(s.EmptyAcquires))
	counter(poolWaitDesc, s.AcquireWait.Seconds())
}
