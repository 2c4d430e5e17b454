package metrics

import "github.com/prometheus/client_golang/prometheus"

var (
	workFailingDesc = prometheus.NewDesc("watchbill_work_failing",
		"Whether a kind of work fails or is near its limit (1) or not (0); /api/health shows why.", []string{"work"}, nil)
	oldestTransactionDesc = prometheus.NewDesc("watchbill_db_oldest_transaction_seconds",
		"For how long the oldest transaction in the database has kept dead rows from being removed, as far as this replica knows.", nil, nil)
	namesDesc = prometheus.NewDesc("watchbill_execution_names",
		"Names with separate totals of executions, by kind; every replica shows the same.", []string{"kind"}, nil)
	namesLimitDesc = prometheus.NewDesc("watchbill_execution_names_limit",
		"Max names of a kind with separate totals of executions; further names are counted as other.", []string{"kind"}, nil)
)

// NewUsageUnknownCounter returns the counter of runs whose usage is unknown, registered with reg.
func NewUsageUnknownCounter(reg prometheus.Registerer) prometheus.Counter {
	counter := prometheus.NewCounter(prometheus.CounterOpts{
		Name: "watchbill_gateway_usage_unknown_total",
		Help: "Runs of the gateway whose upstream reported more tokens than the limit; they have no tokens and no cost.",
	})
	reg.MustRegister(counter)
	return counter
}

var tracesBoundedDesc = prometheus.NewDesc("watchbill_trace_bounds_total",
	"Reads of traces that were cut off at a limit: of the spans above executions, or of the spans of a whole trace.", []string{"bound"}, nil)

// NewTraceBoundsCollector returns the metric of traces that were too deep or too large to be read completely. bounds
// must be safe for concurrent use.
func NewTraceBoundsCollector(bounds func() (deep, large int64)) prometheus.Collector {
	return sampled{[]*prometheus.Desc{tracesBoundedDesc}, func(metrics chan<- prometheus.Metric) {
		deep, large := bounds()
		metrics <- prometheus.MustNewConstMetric(tracesBoundedDesc, prometheus.CounterValue, float64(deep), "depth")
		metrics <- prometheus.MustNewConstMetric(tracesBoundedDesc, prometheus.CounterValue, float64(large), "spans")
	}}
}

// NewWorkCollector returns the metric of failing work. failing must be safe for concurrent use and return few keys.
func NewWorkCollector(failing func() map[string]bool) prometheus.Collector {
	return sampled{[]*prometheus.Desc{workFailingDesc}, func(metrics chan<- prometheus.Metric) {
		for work, fails := range failing() {
			value := 0.0
			if fails {
				value = 1
			}
			metrics <- prometheus.MustNewConstMetric(workFailingDesc, prometheus.GaugeValue, value, work)
		}
	}}
}

// NewOldestTransactionCollector returns the metric of the oldest transaction's age. seconds must be safe for concurrent
// use.
func NewOldestTransactionCollector(seconds func() float64) prometheus.Collector {
	return sampled{[]*prometheus.Desc{oldestTransactionDesc}, func(metrics chan<- prometheus.Metric) {
		metrics <- gauge(oldestTransactionDesc, seconds())
	}}
}

// NewNamesCollector returns the metrics of names. It shows nothing while known is false. stats must be safe for
// concurrent use.
func NewNamesCollector(stats func() (agents, models, limit int, known bool)) prometheus.Collector {
	return sampled{[]*prometheus.Desc{namesDesc, namesLimitDesc}, func(metrics chan<- prometheus.Metric) {
		agents, models, limit, known := stats()
		if !known {
			return
		}
		for kind, taken := range map[string]int{"agent": agents, "model": models} {
			metrics <- prometheus.MustNewConstMetric(namesDesc, prometheus.GaugeValue, float64(taken), kind)
			metrics <- prometheus.MustNewConstMetric(namesLimitDesc, prometheus.GaugeValue, float64(limit), kind)
		}
	}}
}
