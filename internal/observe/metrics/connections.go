package metrics

import "github.com/prometheus/client_golang/prometheus"

// ConnectionSample has the numbers of the API's connections and of those that were closed to make room for others.
type ConnectionSample struct {
	Unauthenticated, Active, Idle, Max int
	Shed                               map[string]uint64 // by reason
}

var (
	connectionsDesc = prometheus.NewDesc("watchbill_http_connections",
		"Open connections of the API, by state: unauthenticated; authenticated with a request in progress; authenticated and idle.",
		[]string{"state"}, nil)
	connectionsMaxDesc = prometheus.NewDesc("watchbill_http_connections_max",
		"How many connections the API may have open.", nil, nil)
	connectionsShedDesc = prometheus.NewDesc("watchbill_http_connections_shed_total",
		"Connections of the API that were closed because there were too many, or because no client authenticated on them in time.",
		[]string{"reason"}, nil)
)

// connectionCollector counts connections at each scrape.
type connectionCollector struct {
	sample func() ConnectionSample
}

// NewConnectionCollector returns the metrics of the API's connections, for a registry. sample must be safe for
// concurrent use.
func NewConnectionCollector(sample func() ConnectionSample) prometheus.Collector {
	return connectionCollector{sample}
}

func (connectionCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- connectionsDesc
	descs <- connectionsMaxDesc
	descs <- connectionsShedDesc
}

func (c connectionCollector) Collect(metrics chan<- prometheus.Metric) {
	s := c.sample()
	for state, n := range map[string]int{"unauthenticated": s.Unauthenticated, "active": s.Active, "idle": s.Idle} {
		metrics <- prometheus.MustNewConstMetric(connectionsDesc, prometheus.GaugeValue, float64(n), state)
	}
	metrics <- prometheus.MustNewConstMetric(connectionsMaxDesc, prometheus.GaugeValue, float64(s.Max))
	for reason, n := range s.Shed {
		metrics <- prometheus.MustNewConstMetric(connectionsShedDesc, prometheus.CounterValue, float64(n), reason)
	}
}
