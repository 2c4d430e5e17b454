package metrics

import "github.com/prometheus/client_golang/prometheus"

// SignIns counts sign-ins by their result.
type SignIns struct{ byResult *prometheus.CounterVec }

// NewSignIns returns a counter with a series for each result, registered with reg.
func NewSignIns(reg prometheus.Registerer, results []string) *SignIns {
	s := &SignIns{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "watchbill_sign_ins_total",
		Help: "Attempts to sign in from a browser, by result.",
	}, []string{"result"})}
	for _, result := range results {
		s.byResult.WithLabelValues(result)
	}
	reg.MustRegister(s.byResult)
	return s
}

// Observe counts a sign-in.
func (s *SignIns) Observe(result string) { s.byResult.WithLabelValues(result).Inc() }
