package metrics

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var dayCostDesc = prometheus.NewDesc("watchbill_day_cost_usd",
	"Cost of the executions of the current UTC day so far; every replica shows the same.", nil, nil)

// DayCost is the cost of the day's executions so far, as last queried.
type DayCost struct {
	Taken time.Time
	USD   float64
}

// DayCostGauge shows the last DayCost. Like FleetGauges it shows nothing before the first and once the last is too old.
type DayCostGauge struct {
	maxAge time.Duration
	now    func() time.Time
	last   atomic.Pointer[DayCost]
}

// NewDayCostGauge returns a gauge, registered with reg, that shows a cost until it is older than maxAge.
func NewDayCostGauge(reg prometheus.Registerer, maxAge time.Duration, now func() time.Time) *DayCostGauge {
	g := &DayCostGauge{maxAge: maxAge, now: now}
	reg.MustRegister(g)
	return g
}

// Set sets the cost to show.
func (g *DayCostGauge) Set(cost DayCost) { g.last.Store(&cost) }

// Last returns the cost to show. ok is false if there is none.
func (g *DayCostGauge) Last() (cost DayCost, ok bool) {
	last := g.last.Load()
	if last == nil || g.now().Sub(last.Taken) > g.maxAge {
		return DayCost{}, false
	}
	return *last, true
}

// Describe implements prometheus.Collector.
func (g *DayCostGauge) Describe(descs chan<- *prometheus.Desc) { descs <- dayCostDesc }

// Collect implements prometheus.Collector.
func (g *DayCostGauge) Collect(metrics chan<- prometheus.Metric) {
	if last, ok := g.Last(); ok {
		metrics <- prometheus.MustNewConstMetric(dayCostDesc, prometheus.GaugeValue, last.USD)
	}
}
