package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/execution"
)

// After five requests the response includes exactly the figures that the product's specification requires, and others.
func TestExecutionMetricsFormat(t *testing.T) {
	t.Parallel()
	const want = `{
		"status": "success",
		"metrics": {
			"total_requests": 5,
			"successful": 4,
			"failed": 1,
			"success_rate": 0.8,
			"avg_execution_time_ms": 2500,
			"total_tokens_used": 1500,
			"agent_metrics": {
				"main_orchestrator": {
					"count": 5,
					"avg_time_ms": 2500,
					"success_rate": 0.8,
					"total_tokens": 1500
				}
			}
		}
	}`
	a := newAPI(t, nil)
	for i, ms := range []int{1000, 2000, 2500, 3000, 4000} {
		status := "success"
		if i == 4 {
			status = "timeout"
		}
		a.record(t, fmt.Sprintf(`{"user_id":"u","agent_name":"main_orchestrator","execution_time_ms":%d,"input_tokens":200,"output_tokens":100,"model_used":"gpt-4o","status":%q}`, ms, status)).
			want(http.StatusCreated)
	}
	got := a.admin(t, "/api/admin/metrics?hours=24").want(http.StatusOK)
	var wanted, answered any
	got.decode(&answered)
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wanted, only(answered, wanted)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var order []int // positions of the specified members, which come first
	for _, member := range []string{"status", "total_requests", "successful", "failed", "success_rate", "avg_execution_time_ms", "total_tokens_used", "agent_metrics", "timeouts"} {
		order = append(order, strings.Index(got.Body.String(), `"`+member+`"`))
	}
	if !slices.IsSorted(order) || order[0] < 0 {
		t.Errorf("got the order %v of %s", order, got.Body)
	}

	var m openapi.ExecutionMetricsAnswer
	got.decode(&m)
	tokens := openapi.TokenCounts{Used: 1500, Input: 1000, Output: 500}
	if m.Metrics.Timeouts != 1 || m.Metrics.Tokens != tokens || m.Metrics.ModelMetrics["gpt-4o"].Count != 5 || m.Metrics.UnpricedTokens != 0 || m.Metrics.CostUSD == nil || *m.Metrics.CostUSD == 0 {
		t.Errorf("got %+v", m)
	}
	if p := m.Metrics.ExecutionTimeMs; p.P50 < 2475 || p.P50 > 2525 || p.P99 < 3960 || p.P99 > 4040 {
		t.Errorf("got %+v, want percentiles within 1 %%", p)
	}
	if w := m.Metrics.Window; w.To.Sub(w.From) < 24*time.Hour || time.Since(w.To) > time.Minute {
		t.Errorf("got %+v", w)
	}
}

// only returns answered without the members that are not in wanted.
func only(answered, wanted any) any {
	members, ok := answered.(map[string]any)
	if !ok {
		return answered
	}
	kept := map[string]any{}
	for name, member := range wanted.(map[string]any) {
		kept[name] = only(members[name], member)
	}
	return kept
}

// Clients' names may contain anything, amounts are exact, and nothing is NaN.
func TestExecutionMetricsEdgeCases(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	var none openapi.ExecutionMetricsAnswer
	a.admin(t, "/api/admin/metrics?hours=1").want(http.StatusOK).decode(&none)
	if m := none.Metrics; m.SuccessRate != 0 || m.AvgExecutionTimeMs != 0 || m.TotalRequests != 0 || m.AgentMetrics == nil || m.CostUSD == nil || *m.CostUSD != 0 {
		t.Errorf("got %+v of nothing", m)
	}
	const name = "\"</script>\u2028{}\U0001F600__proto__\\"
	facts := execution.Facts{Cells: []execution.Cell{{Agent: name, Model: name, Status: execution.Success, Request: true}, {Agent: name, Status: execution.Failure}}}
	facts.Cells[0].Add(&execution.Execution{Cost: new(int64(9_007_199_254_740_993))}, 1)
	facts.Cells[1].Add(&execution.Execution{Tokens: execution.Tokens{Used: 7}}, 1)
	a = newAPI(t, func(o *Options) { o.Executions = countedExecutions{facts: facts} })
	got := a.admin(t, "/api/admin/metrics").want(http.StatusOK)
	var m openapi.ExecutionMetricsAnswer
	got.decode(&m)
	if f := m.Metrics.AgentMetrics[name]; f.Count != 1 || f.TotalTokens != 7 || f.UnpricedTokens != 7 || *f.CostUSD != 9_007_199_254_740_993 {
		t.Errorf("got %+v", m)
	}
	if !strings.Contains(got.Body.String(), `"cost_usd":9007199.254740993,`) {
		t.Errorf("got %s, want the money to the billionth", got.Body)
	}
}

func TestCosts(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	a.seed(t, 3, "u", func(i int) string {
		return fmt.Sprintf(`,"status":"success","model_used":"m%d","tokens_used":%d`, i, 10+i)
	})
	a.seed(t, 1, "v", func(int) string { return `,"status":"success","tokens_used":5` })
	get := func(query string) openapi.Costs {
		t.Helper()
		var answer openapi.CostsAnswer
		a.admin(t, "/api/admin/costs"+query).want(http.StatusOK).decode(&answer)
		if answer.Status != "success" {
			t.Errorf("got %+v", answer)
		}
		return answer.Costs
	}
	if c := get("?days=2"); c.GroupBy != "day" || c.TimeZone != "UTC" || c.Total.Requests != 4 || c.Total.UnpricedTokens != 38 {
		t.Errorf("got %+v", c)
	}
	if c := get("?days=7&group_by=user&time_zone=Europe/Berlin"); c.TimeZone != "Europe/Berlin" || len(c.Groups) != 2 || c.Groups[0].Key != "u" || c.Rest.Requests != 0 {
		t.Errorf("got %+v", c)
	}
	if c := get("?group_by=model&limit=2"); len(c.Groups) != 2 || c.Groups[0].Key != "m2" || c.Rest.Requests != 2 || c.Rest.Tokens.Used != 15 {
		t.Errorf("got %+v", c)
	}
}
