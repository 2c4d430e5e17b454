package main

import (
	"math"
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	t.Parallel()
	figures := []figure{
		{"ratio", 0.8123, "ratio", atLeast(0.8)},
		{"late_ms", 5.1, "ms", atMost(5)},
		{"queries", 0, "queries", exactly(0)},
		{"per_s", 83418.4, "1/s", aim{}},
	}
	var lines, table strings.Builder
	if err := printLines(&lines, figures); err != nil {
		t.Fatal(err)
	}
	if want := "ratio 0.812 ratio\nlate_ms 5.1 ms\nqueries 0 queries\nper_s 83418 1/s\n"; lines.String() != want {
		t.Errorf("got %q, want %q", lines.String(), want)
	}
	if err := printTable(&table, figures); err != nil {
		t.Fatal(err)
	}
	for n, want := range []string{"met", "MISSED", "met", ""} {
		line := strings.Split(table.String(), "\n")[n]
		if words := strings.Fields(line); (want != "" && words[len(words)-1] != want) || strings.Contains(line, "met") != (want == "met") {
			t.Errorf("%q, want %q in it", line, want)
		}
	}
}

// TestMissed checks which figures fail a run: those that noise does not affect.
func TestMissed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		figure figure
		fails  bool
	}{
		"slow":       {figure{"p99", 9, "ms", atMost(5)}, false},
		"exact":      {figure{"queries", 0, "queries", exactly(0)}, false},
		"not exact":  {figure{"queries", 1, "queries", exactly(0)}, true},
		"not two":    {figure{"replicas", 0, "replicas", exactly(2)}, true},
		"without":    {figure{"rate", 1, "1/s", aim{}}, false},
		"no number":  {figure{"queries", math.NaN(), "queries", exactly(0)}, true},
		"too little": {figure{"ratio", 0.1, "ratio", atLeast(0.8)}, false},
	} {
		if err := missed([]figure{test.figure}); (err != nil) != test.fails {
			t.Errorf("%s: error %v, want one: %v", name, err, test.fails)
		}
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		values []float64
		want   float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 2, 100}, 3}} {
		if got := median(test.values); got != test.want {
			t.Errorf("median of %v is %v, want %v", test.values, got, test.want)
		}
	}
}

// TestBackground checks that queries of requests are not mistaken for a replica's background queries.
func TestBackground(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"Sweep": true, "SavePresence": true, "CountDeployments": true, "LockExpiredDeployments": true, "SaveQueryRollup": true,
		"ProbeFleet": true, "copy staged_executions": true, "OldestTransaction": true, "LookUpTokens": false,
		"PendingDeployments": false, "GetAgent": false, "LockDeployment": false, "LockForLog": false, "SaveDeployment": false, "unnamed": false,
	} {
		if got := background.MatchString(`watchbill_db_query_duration_seconds_count{query="` + name + `"}`); got != want {
			t.Errorf("%s is background: %v, want %v", name, got, want)
		}
	}
}

// TestScenarioNames checks that a filter that matches no scenario is an error.
func TestScenarioNames(t *testing.T) {
	t.Parallel()
	if err := run(t.Context(), []string{"-run", "no such"}); err == nil {
		t.Error("a run of no scenario succeeds")
	}
}
