package metrics

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

func TestLimitCollector(t *testing.T) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(NewLimitCollector(func() LimitSample {
		return LimitSample{
			Decisions: []LimitDecisions{
				{Scope: "gateway", By: "user", Allowed: 7, Limited: 2}, {Scope: "ingest", By: "all"},
			},
			Keys: 5, Overflows: 3, SyncFailures: 1,
		}
	}))
	checkSeries(t, reg, "", map[string]float64{
		"watchbill_ratelimit_decisions_total{by=user,decision=allowed,scope=gateway}": 7,
		"watchbill_ratelimit_decisions_total{by=user,decision=limited,scope=gateway}": 2,
		"watchbill_ratelimit_decisions_total{by=all,decision=allowed,scope=ingest}":   0,
		"watchbill_ratelimit_decisions_total{by=all,decision=limited,scope=ingest}":   0,
		"watchbill_ratelimit_keys{}":                5,
		"watchbill_ratelimit_overflows_total{}":     3,
		"watchbill_ratelimit_sync_failures_total{}": 1,
	})
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if problems, err := promlint.NewWithMetricFamilies(families).Lint(); err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v, %v", problems, err)
	}
}
