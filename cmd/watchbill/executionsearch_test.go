package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/api/openapi"
)

func someSummaries() []openapi.ExecutionSummary {
	return []openapi.ExecutionSummary{
		{
			CreatedAt: at("09:29:00"), ExecutionID: "e2", UserID: "ada", AgentName: "wri\x1b[31mter\u202e", Kind: openapi.ExecutionKindAgent,
			Status: openapi.ExecutionStatusFailure, ExecutionTimeMs: 1500, TokensUsed: 12, ErrorMessage: new("broken\r\npipe"), InputTokens: 12,
		},
		{
			CreatedAt: at("09:28:00"), ExecutionID: "e1", UserID: "ada", AgentName: "writer", Kind: openapi.ExecutionKindInference, ModelUsed: new("gpt-4o"),
			Status: openapi.ExecutionStatusSuccess, ExecutionTimeMs: 20, TokensUsed: 7, InputTokens: 5, OutputTokens: 2, CostUSD: new(openapi.USD(2_000_000)),
		},
	}
}

func TestExecutionsListFollowsCursors(t *testing.T) {
	t.Parallel()
	all := someSummaries()
	api := newAPI(t, map[string]http.HandlerFunc{"GET /api/admin/executions": answers(
		jsonAnswer(200, openapi.ExecutionSummaryList{Status: "success", Executions: all[:1], NextCursor: "a"}),
		jsonAnswer(200, openapi.ExecutionSummaryList{Status: "success", Executions: []openapi.ExecutionSummary{}, NextCursor: "b"}),
		jsonAnswer(200, openapi.ExecutionSummaryList{Status: "success", Executions: all[1:]}),
	)})
	got := api.must(t, "executions", "list", "--agent", "a b", "--status", "failed", "--min-duration", "1.5s", "--max-cost", "0.25", "--from", "2026-01-15T00:00:00Z", "--error", "x&y")
	for _, want := range []string{"e1", "e2", "gpt-4o", "0.002 USD", "1.5s", "broken", "failure"} {
		if !strings.Contains(got, want) {
			t.Errorf("want %q in\n%s", want, got)
		}
	}
	if strings.ContainsAny(got, "\x1b\u202e\r") || strings.Count(got, "\n") != 3 {
		t.Errorf("the terminal would be changed by\n%q", got)
	}
	const filters = "/api/admin/executions?agent=a+b&error=x%26y&from=2026-01-15T00%3A00%3A00Z&limit=500&max_cost_usd=0.25&min_duration_ms=1500&status=failed"
	lines := api.lines()
	if len(lines) != 3 || !sameQuery(lines[0], "GET "+filters) || !strings.Contains(lines[2], "cursor=b") {
		t.Errorf("got %v", lines)
	}
}

// sameQuery reports whether two request lines have the same parameters in any order.
func sameQuery(a, b string) bool {
	split := func(line string) map[string]bool {
		all := map[string]bool{}
		for part := range strings.SplitSeq(strings.ReplaceAll(strings.ReplaceAll(line, "?", "&"), "%20", "+"), "&") {
			all[part] = true
		}
		return all
	}
	return fmt.Sprint(split(a)) == fmt.Sprint(split(b))
}

func TestExecutionsShow(t *testing.T) {
	t.Parallel()
	all := someSummaries()
	answer := openapi.ExecutionAnswer{
		Status: "success",
		Execution: openapi.Execution{
			ExecutionID: "e1", UserID: "ada", AgentName: "writer", Status: "success", Kind: "inference", InputData: []byte(`{"a": "\u001b[2J"}`), CreatedAt: at("09:28:00"),
			TokensUsed: 7, InputTokens: 5, OutputTokens: 2, PriceVersion: "1",
		},
		Price: &openapi.AppliedPrice{Version: "2", Model: "gpt-4o", USDPerMillionTokens: map[string]float64{"input": 2.5, "output": 10}},
		Trace: &openapi.ExecutionTrace{TraceID: "t", Executions: 2, Roots: []openapi.ExecutionNode{{
			Execution: all[0], Children: []openapi.ExecutionNode{{Execution: all[1], Children: []openapi.ExecutionNode{}}},
		}}},
	}
	api := newAPI(t, map[string]http.HandlerFunc{"GET /api/admin/executions/{id}": jsonAnswer(200, answer)})
	got := api.must(t, "executions", "show", "a/b", "--user", "ada")
	for _, want := range []string{"7 (5 in, 2 out)", "2.5 USD per million tokens in", "the cost comes from 1", "  writer", "more executions than these", "TRACE"} {
		if !strings.Contains(got, want) {
			t.Errorf("want %q in\n%s", want, got)
		}
	}
	if strings.ContainsAny(got, "\x1b\u202e") {
		t.Errorf("the terminal would be changed by\n%q", got)
	}
	if line := api.lines()[0]; line != "GET /api/admin/executions/a%2Fb?user_id=ada" {
		t.Errorf("got %s", line)
	}
}

func TestExecutionsExport(t *testing.T) {
	t.Parallel()
	csv := "a,b\r\n" + strings.Repeat("1,2\r\n", 1000)
	api := newAPI(t, map[string]http.HandlerFunc{"GET /api/admin/executions": answers(
		func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(csv)) },
		func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(csv))
			panic(http.ErrAbortHandler) // the server could not go on
		},
	)})
	path := filepath.Join(t.TempDir(), "out.csv")
	api.must(t, "executions", "export", "--output", path, "--limit", "5000")
	if got, err := os.ReadFile(path); err != nil || string(got) != csv {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	broken := path + ".broken"
	if got := api.run(t.Context(), "executions", "export", "--output", broken); got.code != 1 {
		t.Errorf("an incomplete export: got status %d, want 1", got.code)
	}
	if _, err := os.Stat(broken); !os.IsNotExist(err) {
		t.Errorf("an incomplete export left a file: %v", err)
	}
}
