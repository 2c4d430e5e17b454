package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/api/openapi"
)

// Unknown values are not shown as zero, and lower bounds are marked.
func TestCostsAsATable(t *testing.T) {
	t.Parallel()
	const answer = `{"status": "success", "costs": {"window": {"from": "2026-11-28T00:00:00Z", "to": "2026-12-01T00:00:00Z"}, "time_zone": "UTC", "group_by": "model",
		"total": {"requests": 9, "tokens": {"used": 1000, "input": 900, "output": 100, "cache_read": 0, "cache_write": 0, "reasoning": 0}, "cost_usd": 12.5,
			"unpriced_tokens": 300, "unknown_usage": 2, "estimated_cost_usd": 0.5, "provider_cost_usd": 4.25, "provider_difference_usd": -0.75, "cost": 10.75, "currency": "EUR", "rate_date": "2026-11-30"},
		"groups": [
			{"key": "gpt-4o", "requests": 4, "tokens": {"used": 600}, "cost_usd": 10, "unpriced_tokens": 0, "unknown_usage": 0, "estimated_cost_usd": 0, "provider_cost_usd": 4.25, "provider_difference_usd": -0.75, "cost": 8.6, "currency": "EUR"},
			{"key": "left", "requests": 2, "tokens": {"used": 50}, "cost_usd": 2, "unpriced_tokens": 0, "unknown_usage": 1, "estimated_cost_usd": 0, "provider_cost_usd": null},
			{"key": "guessed", "requests": 1, "tokens": {"used": 50}, "cost_usd": 0.5, "unpriced_tokens": 0, "unknown_usage": 1, "estimated_cost_usd": 0.5, "provider_cost_usd": null},
			{"key": "free", "requests": 1, "tokens": {"used": 0}, "cost_usd": 0, "unpriced_tokens": 0, "unknown_usage": 0, "estimated_cost_usd": 0, "provider_cost_usd": null},
			{"key": "", "requests": 1, "tokens": {"used": 0}, "cost_usd": null, "unpriced_tokens": 0, "unknown_usage": 1, "estimated_cost_usd": 0, "provider_cost_usd": null}],
		"rest": {"requests": 3, "tokens": {"used": 300}, "cost_usd": null, "unpriced_tokens": 300, "unknown_usage": 0, "estimated_cost_usd": 0, "provider_cost_usd": null}}}`
	var costs openapi.CostsAnswer
	if err := json.Unmarshal([]byte(answer), &costs); err != nil {
		t.Fatal(err)
	}
	const want = `MODEL       CALLS  TOKENS  UNPRICED  USAGE UNKNOWN  COST                     IN EUR     CHARGED   DIFFERENCE
gpt-4o      4      600                              10 USD                   8.6 EUR    4.25 USD  -0.75 USD
left        2      50                1              at least 2 USD
guessed     1      50                1              about 0.5 USD
free        1      0                                0 USD
(no model)  1      0                 1              unknown
(others)    3      300     300                      unknown
total       9      1000    300       2              at least about 12.5 USD  10.75 EUR  4.25 USD  -0.75 USD

In EUR, each day is converted at its own rate, and everything else at the rate of 2026-11-30.
`
	if diff := cmp.Diff(want, console{}.costs(costs.Costs)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestActivityAsATable(t *testing.T) {
	t.Parallel()
	const answer = `[
		{"agent_name": "writer", "model_used": "gpt-4o", "status": "success", "tokens_used": 120, "input_tokens": 100, "output_tokens": 20, "usage": "reported",
			"cost_usd": 0.0005, "provider_cost_usd": 0.0004, "created_at": "2026-11-30T11:59:00Z", "execution_id": "e1", "joined": [{"execution_id": "e9", "by": "response_id"}, {"execution_id": "e8", "by": "parent"}]},
		{"agent_name": "writer", "model_used": "gpt-4o", "status": "failure", "tokens_used": 100, "input_tokens": 100, "usage": "unknown",
			"cost_usd": 0.00025, "created_at": "2026-11-30T11:58:00Z", "execution_id": "e2"},
		{"agent_name": "writer", "model_used": "gpt-4o", "status": "timeout", "tokens_used": 0, "usage": "unknown", "cost_usd": null, "created_at": "2026-11-30T11:57:00Z", "execution_id": "e3"},
		{"agent_name": "writer", "model_used": "m", "status": "success", "tokens_used": 30, "input_tokens": 10, "output_tokens": 20, "usage": "estimated", "cost_usd": 0.01, "created_at": "2026-11-30T11:56:00Z", "execution_id": "e4"},
		{"agent_name": "writer", "model_used": "m", "status": "success", "tokens_used": 130, "input_tokens": 10, "output_tokens": 20, "usage": "reported", "cost_usd": 0.01, "created_at": "2026-11-30T11:55:00Z", "execution_id": "e5"},
		{"agent_name": "searcher", "model_used": null, "status": "success", "tokens_used": 0, "cost_usd": null, "created_at": "2026-11-30T11:54:00Z", "execution_id": "e6"}]`
	var all []openapi.Execution
	if err := json.Unmarshal([]byte(answer), &all); err != nil {
		t.Fatal(err)
	}
	const want = `AGE  AGENT     MODEL   STATUS   TOKENS  USAGE      COST                  CHARGED     JOINED  EXECUTION
11m  writer    gpt-4o  success  120     reported   0.0005 USD            0.0004 USD  2       e1
12m  writer    gpt-4o  failure  100     unknown    at least 0.00025 USD                      e2
13m  writer    gpt-4o  timeout  0       unknown    unknown                                   e3
14m  writer    m       success  30      estimated  about 0.01 USD                            e4
15m  writer    m       success  130     reported   at least 0.01 USD                         e5
16m  searcher          success  0                                                            e6
`
	got := console{}.activity(all, time.Date(2026, 11, 30, 12, 10, 0, 0, time.UTC))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
