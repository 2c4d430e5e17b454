package metrics

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	agentsDesc = prometheus.NewDesc("watchbill_agents",
		"Agents of the whole fleet, by state; every replica shows the same.", []string{"state"}, nil)
	deploymentsDesc = prometheus.NewDesc("watchbill_deployments",
		"Deployments of the whole fleet, by status; every replica shows the same.", []string{"status"}, nil)
	expectedPollsDesc = prometheus.NewDesc("watchbill_agents_expected_polls_per_second",
		"Polls that the fleet's agents make by the intervals they were told, offline ones left out; every replica shows the same.", nil, nil)
)

// FleetSample is the fleet at one moment. What has none is there with 0, or is not shown.
type FleetSample struct {
	Taken       time.Time
	Agents      map[string]int64 // by state
	Deployments map[string]int64 // by status
	// ExpectedPolls are those of the agents that are online or late, a second.
	ExpectedPolls float64
}

// FleetGauges show the last sample of the fleet. Before the first, and when the last has become too old, they show
// nothing: an alert can tell absence from zero, and a zero that nobody counted is a lie.
type FleetGauges struct {
	maxAge time.Duration
	now    func() time.Time
	last   atomic.Pointer[FleetSample]
}

// NewFleetGauges returns gauges that reg has and that show a sample until it is older than maxAge.
func NewFleetGauges(reg prometheus.Registerer, maxAge time.Duration, now func() time.Time) *FleetGauges {
	g := &FleetGauges{maxAge: maxAge, now: now}
	reg.MustRegister(g)
	return g
}

// Set makes a sample the one that is shown. It keeps the sample's maps, which must not change any more.
func (g *FleetGauges) Set(sample FleetSample) { g.last.Store(&sample) }

// Describe is prometheus.Collector's.
func (g *FleetGauges) Describe(descs chan<- *prometheus.Desc) {
	descs <- agentsDesc
	descs <- deploymentsDesc
	descs <- expectedPollsDesc
}

// Collect is prometheus.Collector's.
func (g *FleetGauges) Collect(metrics chan<- prometheus.Metric) {
	sample := g.last.Load()
	if sample == nil || g.now().Sub(sample.Taken) > g.maxAge {
		return
	}
	for state, n := range sample.Agents {
		metrics <- prometheus.MustNewConstMetric(agentsDesc, prometheus.GaugeValue, float64(n), state)
	}
	for status, n := range sample.Deployments {
		metrics <- prometheus.MustNewConstMetric(deploymentsDesc, prometheus.GaugeValue, float64(n), status)
	}
	metrics <- prometheus.MustNewConstMetric(expectedPollsDesc, prometheus.GaugeValue, sample.ExpectedPolls)
}
