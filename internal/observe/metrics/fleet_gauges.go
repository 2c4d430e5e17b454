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
		"Polls per second expected from the intervals sent to the agents, without offline agents; every replica shows the same.", nil, nil)
)

// FleetSample is the state of the fleet at one moment. States and statuses without an entry in their map are not shown.
type FleetSample struct {
	Taken       time.Time
	Agents      map[string]int64 // by state
	Deployments map[string]int64 // by status
	// ExpectedPolls is the number of polls per second expected from the agents that are online or late.
	ExpectedPolls float64
}

// FleetGauges show the last sample of the fleet. Before the first, and once the last is too old, they show nothing, so
// that alerts can distinguish absence from zero.
type FleetGauges struct {
	maxAge time.Duration
	now    func() time.Time
	last   atomic.Pointer[FleetSample]
}

// NewFleetGauges returns gauges, registered with reg, that show a sample until it is older than maxAge.
func NewFleetGauges(reg prometheus.Registerer, maxAge time.Duration, now func() time.Time) *FleetGauges {
	g := &FleetGauges{maxAge: maxAge, now: now}
	reg.MustRegister(g)
	return g
}

// Set sets the sample to show. It retains the sample's maps, which must not be modified afterwards.
func (g *FleetGauges) Set(sample FleetSample) { g.last.Store(&sample) }

// Last returns the sample to show. ok is false if there is none.
func (g *FleetGauges) Last() (sample FleetSample, ok bool) {
	last := g.last.Load()
	if last == nil || g.now().Sub(last.Taken) > g.maxAge {
		return FleetSample{}, false
	}
	return *last, true
}

// Describe implements prometheus.Collector.
func (g *FleetGauges) Describe(descs chan<- *prometheus.Desc) {
	descs <- agentsDesc
	descs <- deploymentsDesc
	descs <- expectedPollsDesc
}

// Collect implements prometheus.Collector.
func (g *FleetGauges) Collect(metrics chan<- prometheus.Metric) {
	sample, ok := g.Last()
	if !ok {
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
