package logging

import "github.com/prometheus/client_golang/prometheus"

var logLinesDroppedDesc = prometheus.NewDesc("watchbill_log_lines_dropped_total",
	"Log lines that were not written because the output was too slow or its writes failed.", []string{"output"}, nil)

// logCollector reads the outputs' counts at each scrape.
type logCollector struct{ logs *Logs }

// NewCollector returns the logs' metrics, for a registry.
func NewCollector(logs *Logs) prometheus.Collector { return logCollector{logs} }

func (logCollector) Describe(descs chan<- *prometheus.Desc) { descs <- logLinesDroppedDesc }

func (c logCollector) Collect(metrics chan<- prometheus.Metric) {
	for _, o := range c.logs.allOutputs() {
		metrics <- prometheus.MustNewConstMetric(logLinesDroppedDesc, prometheus.CounterValue, float64(o.dropped.Load()), o.name)
	}
}
