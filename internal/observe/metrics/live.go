package metrics

import "github.com/prometheus/client_golang/prometheus"

// LiveStreams counts live streams.
type LiveStreams struct{ ended *prometheus.CounterVec }

// NewLiveStreams returns counts, registered with reg, of the open streams and of those that ended for each reason.
func NewLiveStreams(reg prometheus.Registerer, open func() int, reasons []string) *LiveStreams {
	s := &LiveStreams{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "watchbill_live_streams_ended_total",
		Help: "Live streams that ended, by reason.",
	}, []string{"reason"})}
	for _, reason := range reasons {
		s.ended.WithLabelValues(reason)
	}
	reg.MustRegister(s.ended, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "watchbill_live_streams",
		Help: "Live streams that are open on this replica.",
	}, func() float64 { return float64(open()) }))
	return s
}

// Ended counts a stream that ended.
func (s *LiveStreams) Ended(reason string) { s.ended.WithLabelValues(reason).Inc() }
