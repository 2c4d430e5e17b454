package replica_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/testkit/await"
	"github.com/watchbill/watchbill/internal/testkit/postgrestest"
)

// gauge returns the value of a series, named with its labels, from a replica's own metrics.
func (n *node) gauge(name string) (value float64, there bool) {
	n.t.Helper()
	for line := range strings.Lines(n.scrape()) {
		if number, ok := strings.CutPrefix(line, name+" "); ok {
			if _, err := fmt.Sscan(number, &value); err != nil {
				n.t.Fatalf("%s: %v", line, err)
			}
			return value, true
		}
	}
	return 0, false
}

// Gauges of the whole fleet come from the database, so a replica that has just started shows them.
func TestGaugesOfTheWholeFleet(t *testing.T) {
	t.Parallel()
	database := postgrestest.NewDatabase(t)
	n := start(t, database, withAgents(t))
	n.enroll("never-polled")
	stored := n.do(http.MethodPost, "/api/executions", ingestToken, map[string]any{
		"user_id": "ada", "agent_name": "tutor", "status": "success", "model_used": "gpt-4o", "provider": "openai",
		"input_tokens": 1_000_000, "output_tokens": 0,
	})
	if stored.status != http.StatusCreated {
		t.Fatalf("got %d %s", stored.status, stored.body)
	}
	day := time.Now().UTC().Day()
	later := start(t, database)
	want := map[string]func(float64) bool{
		"watchbill_day_cost_usd":                     func(v float64) bool { return v > 1 && v < 10 }, // the price of a million tokens
		"watchbill_agents_expected_polls_per_second": func(v float64) bool { return v == 0 },
	}
	for name, holds := range want {
		var got float64
		await.Until(t, name+" shown", func() (there bool) { got, there = later.gauge(name); return there })
		if !holds(got) && day == time.Now().UTC().Day() {
			t.Errorf("%s is %v", name, got)
		}
	}
}
