package report_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/watchbill/watchbill/internal/report"
)

// asJSON returns a value decoded from its JSON, to compare it with what clients are promised.
func asJSON(t *testing.T, v any) any {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var decoded any
	if err := json.Unmarshal(b, &decoded); err != nil {
		t.Fatal(err)
	}
	return decoded
}

type object = map[string]any

func TestEndpoints(t *testing.T) {
	f := report.Facts{
		CoveredSeconds: 50,
		Endpoints: []report.EndpointFacts{
			{Method: "POST", Route: "/b", ByStatus: map[int]int64{}},
			{Method: "POST", Route: "/a"},
			{Method: "GET", Route: "/b", ByStatus: map[int]int64{200: 90, 304: 0, 404: 6, 429: 2, 500: 1, 503: 1}, Latency: latencies(100, 10)},
		},
	}
	none := object{"mean": nil, "p50": nil, "p95": nil, "p99": nil, "max": nil}
	idle := func(method, route string) object {
		return object{
			"method": method, "route": route, "requests": 0.0, "rps": 0.0, "error_rate": nil, "client_error_rate": nil,
			"errors_by_status": object{}, "latency_ms": none,
		}
	}
	want := []any{
		idle("POST", "/a"),
		object{
			"method": "GET", "route": "/b", "requests": 100.0, "rps": 2.0, "error_rate": 0.02, "client_error_rate": 0.08,
			"errors_by_status": object{"404": 6.0, "429": 2.0, "500": 1.0, "503": 1.0},
			"latency_ms":       object{"mean": 10.0, "p50": 10.0, "p95": 10.0, "p99": 10.0, "max": 10.0},
		},
		idle("POST", "/b"),
	}
	if diff := cmp.Diff(want, asJSON(t, report.Endpoints(f))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := asJSON(t, report.Endpoints(report.Facts{})); !cmp.Equal(got, []any{}) {
		t.Errorf("without endpoints: got %v, want []", got)
	}
}

func TestPendingDeployments(t *testing.T) {
	traffic := object{
		"method": "GET", "route": "/api/deployments/pending/{agent_id}",
		"requests": 0.0, "rps": nil, "error_rate": nil, "client_error_rate": nil, "errors_by_status": object{},
		"latency_ms": object{"mean": nil, "p50": nil, "p95": nil, "p99": nil, "max": nil},
		"agents":     0.0, "mean_agents": 0.0, "rps_per_agent": nil, "expected_rps_per_agent": nil, "empty_ratio": nil,
		"polls": object{"empty": 0.0, "not_modified": 0.0, "delivered": 0.0, "failed": 0.0},
	}
	if diff := cmp.Diff(any(traffic), asJSON(t, report.PendingDeployments(report.Facts{}))); diff != "" {
		t.Errorf("idle (-want +got):\n%s", diff)
	}

	got := report.PendingDeployments(goodHour(lastHour))
	if got.Requests != 7200 || got.Agents != 20 {
		t.Errorf("got %d requests of %d agents, want 7200 of 20", got.Requests, got.Agents)
	}
	near := cmpopts.EquateApprox(1e-9, 0)
	for name, ratio := range map[string]struct{ got, want *float64 }{
		"rps":                    {got.RPS, new(2.0)},
		"rps_per_agent":          {got.RPSPerAgent, new(0.1)},
		"expected_rps_per_agent": {got.ExpectedRPSPerAgent, new(0.1)},
		"empty_ratio":            {got.EmptyRatio, new(7156.0 / 7196)},
		"error_rate":             {got.ErrorRate, new(4.0 / 7200)},
	} {
		if diff := cmp.Diff(ratio.want, ratio.got, near); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestSummaryIsTheSumOfEndpoints(t *testing.T) {
	f := goodHour(lastHour)
	got := report.Summarize(f)
	var requests, failed int64
	for _, e := range report.Endpoints(f) {
		requests += e.Requests
		failed += e.ErrorsByStatus[500]
	}
	if got.Requests != requests || got.ErrorsByStatus[500] != failed || *got.Latency.Max != 9 {
		t.Errorf("got %d requests, %d errors, slowest %v ms; want %d, %d, 9", got.Requests, got.ErrorsByStatus[500],
			*got.Latency.Max, requests, failed)
	}
	if got.BytesIn != 400*7196+54_000 {
		t.Errorf("got %d bytes in", got.BytesIn)
	}
	got.Deployments["pending"] = 99
	if f.Deployments["pending"] == 99 {
		t.Error("the summary shares its map with the facts")
	}
}
