package main

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
)

// TestExecutionsStory stores executions, lists the failed ones, and reprices them with a file.
func TestExecutionsStory(t *testing.T) {
	t.Parallel()
	sh, stop := startReplica(t, t.TempDir())
	defer stop()
	server := sh.env["WATCHBILL_SERVER"]
	sh.run(t.Context(), "executions", "errors").check(t, 0, "", "watchbill: no execution has failed\n")

	client, err := openapi.NewClientWithResponses(server, openapi.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer the-ingest-token")
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	const batch = `{"executions": [
		{"user_id": "ada", "agent_name": "plan\u001b[31mner", "status": "success"},
		{"user_id": "ada", "agent_name": "planner", "status": "failure", "error_message": "no \u001b[31mway",
			"model_used": "our-own-model", "input_tokens": 1000, "output_tokens": 500}]}`
	logged, err := client.RecordExecutionsWithBodyWithResponse(t.Context(), "application/json", strings.NewReader(batch))
	if err != nil || logged.StatusCode() != http.StatusCreated || !strings.Contains(string(logged.Body), `"accepted":1`) {
		t.Fatalf("want one taken and one rejected, got %s, %v", logged.Body, err)
	}

	listed := sh.must(t, "executions", "errors", "--limit", "5")
	for _, want := range []string{"planner", "our-own-model", "ada", "failure", "no \ufffd[31mway"} {
		if !strings.Contains(listed, want) {
			t.Errorf("want %q in the list, got\n%s", want, listed)
		}
	}
	failed := func() openapi.Execution {
		var list openapi.ExecutionErrorList
		if err := json.Unmarshal([]byte(sh.must(t, "executions", "errors", "-o", "json")), &list); err != nil || len(list.Errors) != 1 {
			t.Fatalf("want one error, got %+v, %v", list, err)
		}
		return list.Errors[0]
	}
	if e := failed(); e.CostUSD != nil {
		t.Errorf("want no cost without a price, got %s", e.CostUSD)
	}
	row := regexp.MustCompile(`(?m)^our-own-model +1 +1500 +1500 +unknown$`)
	if got := sh.must(t, "costs", "--by", "model", "--days", "1"); !row.MatchString(got) {
		t.Errorf("want the model's row to match %s, got\n%s", row, got)
	}
	if got := sh.run(t.Context(), "costs", "--by", "hour"); got.code != exitUsage || !strings.Contains(got.err, "--by: must be day, user, agent or model") {
		t.Errorf("want exit 2 and the fault, got %d: %s", got.code, got.err)
	}
	if got := sh.must(t, "executions", "activity", "ada"); !strings.Contains(got, "our-own-model") || !strings.Contains(got, "unknown") {
		t.Errorf("want an unknown cost, got\n%s", got)
	}
	sh.run(t.Context(), "executions", "activity", "nobody").check(t, 0, "", "watchbill: the user has no executions\n")

	prices := filepath.Join(t.TempDir(), "prices.yaml")
	file := "version: ours\ncurrency: USD\nsource: [ours]\nmodels:\n  - {match: [our-own-model], input: \"2\", output: \"10\"}\n"
	if err := os.WriteFile(prices, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	span := []string{"--from", now.Add(-time.Hour).Format(time.RFC3339), "--to", now.Add(time.Hour).Format(time.RFC3339)}
	again := sh.run(t.Context(), append([]string{"prices", "reprice", "--prices-file", prices}, span...)...)
	if again.code != 0 || !strings.HasPrefix(again.err, "watchbill: 1 execution checked, 1 repriced with price table ours") {
		t.Errorf("reprice: got exit %d: %s", again.code, again.err)
	}
	if e := failed(); e.CostUSD == nil || e.CostUSD.String() != "0.007" || !strings.HasPrefix(e.PriceVersion, "ours+") {
		t.Errorf("want 1000 × $2 and 500 × $10 a million, got %v by %q", e.CostUSD, e.PriceVersion)
	}
	if got := sh.run(t.Context(), "prices", "reprice", "--from", "yesterday"); got.code != exitUsage || strings.Count(got.err, "\n") != 2 {
		t.Errorf("want exit 2 and both faults, got %d: %s", got.code, got.err)
	}
}

// TestExecutionNames lists the names that a server distinguishes and drops some, whatever characters they contain.
func TestExecutionNames(t *testing.T) {
	t.Parallel()
	sh, stop := startReplica(t, t.TempDir())
	defer stop()
	sh.run(t.Context(), "executions", "names").check(t, 0, "", "watchbill: 0 of 500 agents, 0 of 500 models\n")

	client, err := openapi.NewClientWithResponses(sh.env["WATCHBILL_SERVER"], openapi.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer the-ingest-token")
		return nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	const batch = `{"executions": [
		{"user_id": "ada", "agent_name": "planner", "status": "success", "model_used": "gpt, mini=2"},
		{"user_id": "ada", "agent_name": "a/b %2F", "status": "success"}]}`
	logged, err := client.RecordExecutionsWithBodyWithResponse(t.Context(), "application/json", strings.NewReader(batch))
	if err != nil || logged.StatusCode() != http.StatusCreated {
		t.Fatalf("got %s, %v", logged.Body, err)
	}

	names := func() (written []string) {
		var list openapi.NameList
		if err := json.Unmarshal([]byte(sh.must(t, "executions", "names", "-o", "json")), &list); err != nil || list.Limit != 500 {
			t.Fatalf("got %+v, %v", list, err)
		}
		for _, n := range list.Names {
			written = append(written, string(n.Kind)+"="+n.Name)
		}
		return written
	}
	if got, want := names(), []string{"agent=a/b %2F", "agent=planner", "model=gpt, mini=2"}; !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	listed := sh.run(t.Context(), "executions", "names")
	if listed.code != 0 || listed.err != "watchbill: 2 of 500 agents, 1 of 500 models\n" || !strings.Contains(listed.out, "model  gpt, mini=2  2") {
		t.Errorf("got exit %d, %q\n%s", listed.code, listed.err, listed.out)
	}

	sh.run(t.Context(), "executions", "names", "--drop", "agent=a/b %2F", "--drop", "agent=nobody", "--drop", "model=gpt, mini=2").
		check(t, exitFailed, "agent=a/b %2F dropped\nmodel=gpt, mini=2 dropped\n",
			"watchbill: agent=nobody: 404 name_not_found: the name has no separate totals\n")
	if got, want := names(), []string{"agent=planner"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	sh.run(t.Context(), "executions", "names", "--drop", "user=ada", "--drop", "agent=").
		check(t, exitUsage, "", "watchbill: --drop: must be agent=NAME or model=NAME, not \"user=ada\"\n"+
			"watchbill: --drop: must be agent=NAME or model=NAME, not \"agent=\"\n")
}
