package metrics

import "github.com/prometheus/client_golang/prometheus"

// ContentSample has the outcomes of the content of log records. All but Waiting and Bytes are totals of this replica.
type ContentSample struct {
	Waiting, Bytes                     int64 // in the database, as last counted
	Kept, Joined, Expired, Full, Large int64
}

var (
	contentsWaitingDesc = prometheus.NewDesc("watchbill_log_contents_waiting",
		"Log records with content that wait for their spans, as last counted.", nil, nil)
	contentsBytesDesc = prometheus.NewDesc("watchbill_log_contents_waiting_bytes",
		"Size of the content that waits for its spans, as last counted.", nil, nil)
	contentsDesc = prometheus.NewDesc("watchbill_log_contents_total",
		"Log records with content: kept; joined to their execution; expired, because no span came; refused, because too many wait (full) or one is too large (oversized).",
		[]string{"outcome"}, nil)
)

// NewContentCollector returns the metrics of the content of log records. sample must be safe for concurrent use.
func NewContentCollector(sample func() ContentSample) prometheus.Collector {
	return sampled{[]*prometheus.Desc{contentsWaitingDesc, contentsBytesDesc, contentsDesc}, func(metrics chan<- prometheus.Metric) {
		s := sample()
		metrics <- gauge(contentsWaitingDesc, float64(s.Waiting))
		metrics <- gauge(contentsBytesDesc, float64(s.Bytes))
		for outcome, n := range map[string]int64{"kept": s.Kept, "joined": s.Joined, "expired": s.Expired, "full": s.Full, "oversized": s.Large} {
			metrics <- prometheus.MustNewConstMetric(contentsDesc, prometheus.CounterValue, float64(n), outcome)
		}
	}}
}
