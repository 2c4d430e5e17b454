package replica_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/execution/prices"
	"github.com/watchbill/watchbill/internal/replica"
	"github.com/watchbill/watchbill/internal/store/postgres"
	"github.com/watchbill/watchbill/internal/testkit/await"
	"github.com/watchbill/watchbill/internal/testkit/postgrestest"
)

// calls are a provider's usage records of two calls: a batch call with a one-hour cache, and one with audio.
var calls = map[string]string{
	"batch": `{"input_tokens":60,"cache_creation_input_tokens":40,"cache_creation":{"ephemeral_1h_input_tokens":40},"output_tokens":50,"service_tier":"batch","cost":0.25}`,
	"audio": `{"prompt_tokens":100,"completion_tokens":50,"total_tokens":150,"prompt_tokens_details":{"audio_tokens":30},"service_tier":"flex","cost":0.125}`,
}

const laterPrices = `
version: later
currency: USD
models: [{match: [batch, audio], provider: acme, input: 1, output: 2, cache_write_1h: 4, audio_input: 8, service_tiers: {batch: 0.5, flex: 0.75}}]`

// withUpstream configures a replica with agents that return the calls' usage, and a display currency.
func withUpstream(t testing.TB) func(*replica.Config) {
	t.Helper()
	agents := "agents:\n"
	for model, usage := range calls {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprintf(w, `{"model":%q,"provider":"acme","output":"Mild.","usage":%s}`, model, usage)
		}))
		t.Cleanup(server.Close)
		agents += fmt.Sprintf("- {name: gateway-%s, types: [%q], kind: http, http: {url: %q}}\n", model, model, server.URL)
	}
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return func(c *replica.Config) {
		c.IngestToken, c.Executions.AgentsFile, c.Executions.SpoolDir = ingestToken, write("agents.yaml", agents), filepath.Join(dir, "spool")
		c.Executions.DisplayCurrency = "EUR"
		c.Executions.CurrencyRateFile = write("rates.csv", "date,currency,units_per_usd\n2026-01-01,EUR,0.5\n")
	}
}

// bring sends each call by REST, OTLP and the gateway.
func (n *node) bring() {
	n.t.Helper()
	for model, usage := range calls {
		rest := map[string]any{
			"user_id": "ada", "agent_name": "rest", "kind": "inference", "status": "success", "model_used": model, "provider": "acme", "usage": json.RawMessage(usage),
		}
		if got := n.do(http.MethodPost, "/api/executions", ingestToken, rest); got.status != http.StatusCreated {
			n.t.Fatalf("REST: %d %s", got.status, got.body)
		}
		attribute := func(key, value string) map[string]any {
			return map[string]any{"key": key, "value": map[string]any{"stringValue": value}}
		}
		began := time.Now().Add(-time.Minute).UnixNano()
		span := map[string]any{
			"traceId": fmt.Sprintf("%032x", began), "spanId": fmt.Sprintf("%016x", began), "name": "chat",
			"startTimeUnixNano": fmt.Sprint(began), "endTimeUnixNano": fmt.Sprint(began + 1e9),
			"attributes": []any{
				attribute("gen_ai.operation.name", "chat"), attribute("gen_ai.request.model", model), attribute("gen_ai.provider.name", "acme"),
				attribute("user.id", "ada"), attribute("gen_ai.agent.name", "otlp"), attribute("acme.usage.raw", usage),
			},
		}
		export := map[string]any{"resourceSpans": []any{map[string]any{"scopeSpans": []any{map[string]any{"spans": []any{span}}}}}}
		if got := n.do(http.MethodPost, "/v1/traces", ingestToken, export); got.status != http.StatusOK {
			n.t.Fatalf("OTLP: %d %s", got.status, got.body)
		}
		if got := n.do(http.MethodPost, "/api/ai/process-stream", ingestToken, map[string]any{"type": model, "user_id": "ada", "message": "Weather?"}); got.status != http.StatusOK {
			n.t.Fatalf("the gateway: %d %s", got.status, got.body)
		}
	}
}

// TestPriceDimensionsAreStored sends unpriced calls by all ways, and prices them later.
func TestPriceDimensionsAreStored(t *testing.T) {
	t.Parallel()
	database := postgrestest.NewDatabase(t)
	n := start(t, database, withUpstream(t))
	n.bring()
	ways := 3 * len(calls)
	await.Until(t, "all stored", func() bool { return len(n.activity("ada")) == ways })
	for _, e := range n.activity("ada") {
		if e.CostUSD != nil || e.Cost != nil || e.ProviderCostUSD == nil {
			t.Errorf("%s of %s: want no cost but the provider's, got %v, %v", *e.ModelUsed, e.AgentName, e.CostUSD, e.ProviderCostUSD)
		}
	}
	db, err := postgres.Open(t.Context(), postgres.Config{URL: database, MaxConns: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	list, err := prices.Parse([]byte(laterPrices))
	if err != nil {
		t.Fatal(err)
	}
	day := postgres.ExecutionRetention{Executions: 48 * time.Hour, Minutes: 48 * time.Hour, Quarters: 48 * time.Hour, Hours: 48 * time.Hour, Days: 48 * time.Hour}
	window := execution.Window{From: time.Now().Add(-time.Hour), To: time.Now().Add(time.Hour)}
	if _, err := postgres.NewExecutions(db, day, time.Now).Reprice(t.Context(), window, list.Price); err != nil {
		t.Fatal(err)
	}
	want := map[string]openapi.USD{"batch": (60*1 + 40*4 + 50*2) * 1000 / 2, "audio": (70*1 + 30*8 + 50*2) * 1000 * 3 / 4}
	var sum openapi.USD
	for _, e := range n.activity("ada") {
		cost := want[*e.ModelUsed]
		sum += cost
		if e.CostUSD == nil || *e.CostUSD != cost || e.Cost == nil || *e.Cost != cost/2 || e.Currency != "EUR" || e.RateDate != "2026-01-01" {
			t.Errorf("%s of %s: want %s USD and half of it in EUR, got %v, %v %s by the rate of %s", *e.ModelUsed, e.AgentName, cost, e.CostUSD, e.Cost, e.Currency, e.RateDate)
		}
	}
	for _, by := range []string{"day", "user", "agent", "model"} {
		var costs openapi.CostsAnswer
		n.get("/api/admin/costs?days=2&group_by="+by, adminToken).decode(t, &costs)
		total := costs.Costs.Total
		if total.CostUSD == nil || *total.CostUSD != sum || total.Cost == nil || *total.Cost != sum/2 || total.UnpricedTokens != 0 ||
			total.ProviderCostUSD == nil || *total.ProviderCostUSD != 3*375_000_000 || total.ProviderDifferenceUSD == nil || *total.ProviderDifferenceUSD != 3*375_000_000-sum {
			t.Errorf("by %s: want %s USD in all, got %+v", by, sum, total)
		}
	}
}

// TestUnknownUsageCounters checks a replica's metrics after executions with known and unknown usage.
func TestUnknownUsageCounters(t *testing.T) {
	t.Parallel()
	n := start(t, postgrestest.NewDatabase(t), withUpstream(t))
	for _, more := range []map[string]any{
		{"status": "timeout"},
		{"status": "failure", "input_tokens": 100}, // it was interrupted
		{"status": "success", "input_tokens": 100, "output_tokens": 10, "usage": "estimated"},
		{"status": "success", "input_tokens": 100, "output_tokens": 10, "provider_cost_usd": 0.5},
		{"status": "success", "usage": "none"},
	} {
		e := map[string]any{"user_id": "ada", "agent_name": "writer", "kind": "inference", "model_used": "gpt-4o", "provider": "openai"}
		for name, value := range more {
			e[name] = value
		}
		if got := n.do(http.MethodPost, "/api/executions", ingestToken, e); got.status != http.StatusCreated {
			t.Fatalf("%d %s", got.status, got.body)
		}
	}
	var page string
	value := func(name string) string {
		found := regexp.MustCompile(`(?m)^` + name + `\{agent="writer",model="gpt-4o"\} (\S+)$`).FindStringSubmatch(page)
		if found == nil {
			return "none"
		}
		return found[1]
	}
	await.Until(t, "all counted", func() bool {
		page = n.scrape()
		return strings.Contains(page, `watchbill_executions_total{agent="writer",model="gpt-4o",status="success"} 3`)
	})
	for name, want := range map[string]string{
		"watchbill_executions_unknown_usage_total": "3", "watchbill_provider_cost_usd_total": "0.5",
		"watchbill_cost_usd_total": "0.00095", // includes the known cost of the interrupted one
	} {
		if got := value(name); !strings.HasPrefix(got, want) {
			t.Errorf("%s: want %s, got %s", name, want, got)
		}
	}
	if strings.Contains(page, "EUR") {
		t.Error("metrics know another currency")
	}
	var costs openapi.CostsAnswer
	n.get("/api/admin/costs?days=2&group_by=model", adminToken).decode(t, &costs)
	if total := costs.Costs.Total; total.UnknownUsage != 3 || total.ProviderCostUSD == nil || *total.ProviderCostUSD != 500_000_000 || total.CostUSD == nil || total.CostUSD.String() != "0.00095" {
		t.Errorf("costs: got %+v", total)
	}
	var m openapi.ExecutionMetrics
	if m = n.executionMetrics(); m.UnknownUsage != 3 || m.ModelMetrics["gpt-4o"].UnknownUsage != 3 {
		t.Errorf("metrics of executions: got %+v", m)
	}
}
