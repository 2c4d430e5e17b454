package otlp_test

import (
	"net/http"
	"testing"
)

// TestDuplicateCostsAreNotSummed repeats an attribute so often that the sum would overflow an int64.
func TestDuplicateCostsAreNotSummed(t *testing.T) {
	t.Parallel()
	s := newSpan(1, 0, chat)
	for range 20_000 {
		s.Attributes = append(s.Attributes, says{"gen_ai.usage.input_cost": 1e6, "gen_ai.usage.output_cost": 0.5}.pairs()...)
	}
	var l ledger
	if got := post(t, &l, headerOf(protobufType), encodings[protobufType](t, exportOf(s))); got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if cost := l.batch.Executions[0].ProviderCost; cost == nil || *cost != 1_000_000_500_000_000 {
		t.Errorf("want the reported cost, got %v", cost)
	}
}
