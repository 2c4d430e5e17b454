package objective

// The route that agents poll, as recorded.
const (
	PendingMethod = "GET"
	PendingRoute  = "/api/deployments/pending/{agent_id}"
)

// Defaults returns the objectives of a report that has none.
func Defaults() []Objective {
	pending := func(quantile, threshold string) *Latency {
		return &Latency{Route: PendingRoute, Method: PendingMethod, Quantile: quantile, Threshold: threshold}
	}
	return []Objective{
		{Name: "pending-p50", Latency: pending("0.5", "50ms")},
		{Name: "pending-p95", Latency: pending("0.95", "200ms")},
		{Name: "pending-p99", Latency: pending("0.99", "500ms")},
		{Name: "errors", ErrorRate: &ErrorRate{Max: "0.01"}},
		{Name: "pool", PoolUtilization: &PoolUtilization{Max: "0.8"}},
		{Name: "queries", QueryTime: &QueryTime{Quantile: "0.99", Threshold: "100ms"}},
		{Name: "polling", PollRate: &PollRate{PerAgent: "0.1", Tolerance: "0.5"}},
		{Name: "executions", SuccessRate: &SuccessRate{Min: "0.95"}},
	}
}
