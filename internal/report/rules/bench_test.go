package rules_test

import (
	"testing"

	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/report/rules"
)

// fiveObjectives returns a typical report.
func fiveObjectives() rules.Report {
	return daily(
		latency("polls", report.PendingMethod, report.PendingRoute, "0.99", "200ms"), latency("creations", "POST", "/api/deployments", "0.95", "500ms"),
		errorRate("0.01", ""), queryTime("0.99", "100ms"), success("0.95", ""),
	)
}

func BenchmarkBuild(b *testing.B) {
	r, o := fiveObjectives(), rules.Options{Selector: map[string]string{"job": "watchbill", "namespace": "fleet"}}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := rules.Build(r, o); err != nil {
			b.Fatal(err)
		}
	}
}
