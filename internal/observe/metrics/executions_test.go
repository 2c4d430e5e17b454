package metrics

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/watchbill/watchbill/internal/execution"
)

// observed returns a registry with the series of counted executions.
func observed(t *testing.T, execs ...execution.Execution) *prometheus.Registry {
	t.Helper()
	reg := prometheus.NewRegistry()
	NewExecutionMetrics(reg, time.Now).Observe(execs)
	return reg
}

func TestExecutionMetrics(t *testing.T) {
	run := func(agent string, status execution.Status) execution.Execution {
		return execution.Execution{AgentName: agent, Kind: execution.Agent, Status: status, Duration: 3 * time.Second, Request: true}
	}
	call := execution.Execution{
		AgentName: "tutor", Kind: execution.Inference, Model: "gpt-5", Status: execution.Success, Duration: time.Second,
		Tokens: execution.Tokens{Input: 1000, Output: 500, CacheRead: 600, CacheWrite: 150, Reasoning: 200, Used: 1500},
		Cost:   new(int64(1_500_000_000)),
	}
	// kinds adds the tokens of an agent and a model, by kind.
	kinds := func(want map[string]float64, labels string, input, output, read, write, reasoning, unspecified float64) map[string]float64 {
		for kind, n := range map[string]float64{
			"input": input, "output": output, "cache_read": read, "cache_write": write, "reasoning": reasoning, "unspecified": unspecified,
		} {
			agent, model, _ := strings.Cut(labels, ",")
			want["watchbill_tokens_total{"+agent+",kind="+kind+","+model+"}"] = n
		}
		return want
	}
	tests := []struct {
		name  string
		execs []execution.Execution
		want  map[string]float64
	}{
		{"nothing", nil, map[string]float64{}},
		{"requests by how they ended, the others at 0", []execution.Execution{
			run("tutor", execution.Success), run("tutor", execution.Success), run("tutor", execution.Timeout),
		}, map[string]float64{
			"watchbill_executions_total{agent=tutor,model=none,status=success}": 2,
			"watchbill_executions_total{agent=tutor,model=none,status=failure}": 0,
			"watchbill_executions_total{agent=tutor,model=none,status=timeout}": 1,
			"watchbill_execution_duration_seconds{agent=tutor}":                 3,
		}},
		{"a part of a request is no request, but its tokens count, each once", []execution.Execution{
			call, {AgentName: "tutor", Kind: execution.Tool, Status: execution.Failure, Duration: time.Second},
		}, kinds(map[string]float64{
			"watchbill_executions_total{agent=tutor,model=gpt-5,status=success}": 0,
			"watchbill_executions_total{agent=tutor,model=gpt-5,status=failure}": 0,
			"watchbill_executions_total{agent=tutor,model=gpt-5,status=timeout}": 0,
			"watchbill_executions_total{agent=tutor,model=none,status=success}":  0,
			"watchbill_executions_total{agent=tutor,model=none,status=failure}":  0,
			"watchbill_executions_total{agent=tutor,model=none,status=timeout}":  0,
			"watchbill_execution_duration_seconds{agent=tutor}":                  0,
			"watchbill_cost_usd_total{agent=tutor,model=gpt-5}":                  1.5,
			"watchbill_unpriced_tokens_total{model=gpt-5}":                       0,
		}, "agent=tutor,model=gpt-5", 250, 300, 600, 150, 200, 0)},
		{"a total without a model or a price", []execution.Execution{
			{AgentName: "tutor", Status: execution.Success, Request: true, Tokens: execution.Tokens{Used: 1500}},
		}, kinds(map[string]float64{
			"watchbill_executions_total{agent=tutor,model=none,status=success}": 1,
			"watchbill_executions_total{agent=tutor,model=none,status=failure}": 0,
			"watchbill_executions_total{agent=tutor,model=none,status=timeout}": 0,
			"watchbill_execution_duration_seconds{agent=tutor}":                 1,
			"watchbill_cost_usd_total{agent=tutor,model=none}":                  0,
			"watchbill_unpriced_tokens_total{model=none}":                       1500,
		}, "agent=tutor,model=none", 0, 0, 0, 0, 0, 1500)},
		{"what no counter can take is left out", []execution.Execution{{
			AgentName: "tutor", Model: "gpt-5", Status: "unheard of", Request: true, Duration: -time.Second, Cost: new(int64(-5)),
			Tokens: execution.Tokens{Input: -1, Output: -5, CacheRead: 7, Reasoning: 9, Used: -6},
		}}, kinds(map[string]float64{
			"watchbill_executions_total{agent=tutor,model=gpt-5,status=success}": 0,
			"watchbill_executions_total{agent=tutor,model=gpt-5,status=failure}": 0,
			"watchbill_executions_total{agent=tutor,model=gpt-5,status=timeout}": 0,
			"watchbill_execution_duration_seconds{agent=tutor}":                  1,
			"watchbill_cost_usd_total{agent=tutor,model=gpt-5}":                  0,
			"watchbill_unpriced_tokens_total{model=gpt-5}":                       0,
		}, "agent=tutor,model=gpt-5", 0, 0, 7, 0, 9, 0)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			checkSeries(t, observed(t, tt.execs...), "", tt.want)
		})
	}
}

// TestExecutionSeriesAreBounded checks that any number of agents and models, whose names clients choose, has a limited
// number of series, and that all executions are counted.
func TestExecutionSeriesAreBounded(t *testing.T) {
	var execs []execution.Execution
	for i := range 10_000 {
		execs = append(execs, execution.Execution{
			AgentName: fmt.Sprint("agent-", i), Model: fmt.Sprint("model-", i*7919%10_000), Status: execution.Success, Request: true,
			Tokens: execution.Tokens{Used: 3}, Cost: new(int64(1_000_000_000)),
		})
	}
	for i := range 100 * 100 { // pairs of agents and models with a label
		execs = append(execs, execution.Execution{
			AgentName: fmt.Sprint("agent-", i%100), Model: fmt.Sprint("model-", i/100*7919%10_000), Status: execution.Success, Request: true,
			Tokens: execution.Tokens{Used: 3}, Cost: new(int64(1_000_000_000)),
		})
	}
	got := series(t, observed(t, execs...), "")
	count, sum := map[string]int{}, map[string]float64{}
	for name, value := range got {
		family, _, _ := strings.Cut(name, "{")
		count[family]++
		sum[family] += value
	}
	for family, limit := range map[string]int{
		"watchbill_executions_total":           3 * (maxExecutionPairs + 1),
		"watchbill_tokens_total":               len(tokenKinds) * (maxExecutionPairs + 1),
		"watchbill_cost_usd_total":             maxExecutionPairs + 1,
		"watchbill_unpriced_tokens_total":      maxExecutionModels + 1,
		"watchbill_execution_duration_seconds": maxExecutionAgents + 1,
	} {
		if count[family] > limit || count[family] < limit/2 {
			t.Errorf("%s has %d series, want at most %d and not far fewer", family, count[family], limit)
		}
	}
	for family, want := range map[string]float64{
		"watchbill_executions_total": 20_000, "watchbill_execution_duration_seconds": 20_000,
		"watchbill_tokens_total": 60_000, "watchbill_cost_usd_total": 20_000,
	} {
		if sum[family] != want {
			t.Errorf("%s comes to %v, want %v", family, sum[family], want)
		}
	}
	if n := got["watchbill_executions_total{agent=other,model=other,status=success}"]; n < 10_000 {
		t.Errorf("other has %v requests", n)
	}
	if n := got["watchbill_executions_total{agent=agent-7,model=model-5433,status=success}"]; n < 1 {
		t.Errorf("an early agent has %v requests, want it to have its own series", n)
	}
}

func TestHostileExecutionLabels(t *testing.T) {
	var execs []execution.Execution
	for _, name := range []string{"", "\xff\xfe", "a\"}\n# HELP x", `\`, "\u202e\x00", "other", "none", strings.Repeat("x", 1<<16)} {
		execs = append(execs, execution.Execution{AgentName: name, Model: name, Status: execution.Failure, Request: true, Tokens: execution.Tokens{Used: 1}})
	}
	families, err := observed(t, execs...).Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(&text, family); err != nil {
			t.Fatal(err)
		}
	}
	for line := range strings.Lines(text.String()) {
		if !strings.HasPrefix(line, "watchbill_") && !strings.HasPrefix(line, "# HELP watchbill_") && !strings.HasPrefix(line, "# TYPE watchbill_") {
			t.Errorf("a name became the line %q", line)
		}
	}
}

func TestExecutionsAreCountedConcurrently(t *testing.T) {
	reg := prometheus.NewRegistry()
	metrics := NewExecutionMetrics(reg, time.Now)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				metrics.Observe([]execution.Execution{
					{AgentName: "shared", Status: execution.Success, Request: true},
					{AgentName: fmt.Sprint("agent-", i*50+j), Model: "m", Status: execution.Success, Request: true, Tokens: execution.Tokens{Used: 1}},
				})
			}
		})
		wg.Go(func() {
			if _, err := reg.Gather(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got := series(t, reg, "watchbill_executions_total")
	if n := got["watchbill_executions_total{agent=shared,model=none,status=success}"]; n != 400 {
		t.Errorf("got %v executions, want 400", n)
	}
}

func TestLedgerMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	metrics := NewLedgerMetrics(reg)
	initial := map[string]float64{
		"watchbill_ledger_batch_rows{}": 0, "watchbill_ledger_commit_duration_seconds{}": 0, "watchbill_ledger_commit_failures_total{}": 0,
		"watchbill_ledger_rows_total{result=accepted}": 0, "watchbill_ledger_rows_total{result=duplicate}": 0,
		"watchbill_ledger_rows_total{result=rejected}": 0, "watchbill_ledger_rows_total{result=refused}": 0,
		"watchbill_ledger_rows_total{result=erased}": 0,
	}
	checkSeries(t, reg, "", initial)

	metrics.ObserveCommit(100, time.Millisecond, nil)
	metrics.ObserveCommit(50, time.Second, errors.New("away"))
	metrics.ObserveRows(90, 10, 0, 0)
	metrics.ObserveRows(0, 0, 3, 50)
	metrics.ObserveErased(7)
	checkSeries(t, reg, "", map[string]float64{
		"watchbill_ledger_batch_rows{}": 1, "watchbill_ledger_commit_duration_seconds{}": 2, "watchbill_ledger_commit_failures_total{}": 1,
		"watchbill_ledger_rows_total{result=accepted}": 90, "watchbill_ledger_rows_total{result=duplicate}": 10,
		"watchbill_ledger_rows_total{result=rejected}": 3, "watchbill_ledger_rows_total{result=refused}": 50,
		"watchbill_ledger_rows_total{result=erased}": 7,
	})
}

func TestLedgerSamples(t *testing.T) {
	reg := prometheus.NewRegistry()
	known := false
	reg.MustRegister(
		NewLedgerQueueCollector(func() QueueSample { return QueueSample{Rows: 3, Bytes: 400, CapacityRows: 50_000} }),
		NewSpoolCollector(func() SpoolSample {
			return SpoolSample{Records: 2, Bytes: 300, CapacityBytes: 1 << 20, OldestAge: 1500 * time.Millisecond, Replayed: 7, Corrupt: 1}
		}),
		NewRollupDeltasCollector(func() (int64, bool) { return 12, known }),
		NewContentCollector(func() ContentSample {
			return ContentSample{Waiting: 4, Bytes: 500, Kept: 9, Joined: 3, Expired: 2, Full: 6, Large: 1}
		}),
	)
	want := map[string]float64{
		"watchbill_ledger_queue_rows{}": 3, "watchbill_ledger_queue_bytes{}": 400, "watchbill_ledger_queue_capacity_rows{}": 50_000,
		"watchbill_spool_records{}": 2, "watchbill_spool_bytes{}": 300, "watchbill_spool_capacity_bytes{}": 1 << 20,
		"watchbill_log_contents_waiting{}": 4, "watchbill_log_contents_waiting_bytes{}": 500, "watchbill_log_contents_total{outcome=kept}": 9,
		"watchbill_log_contents_total{outcome=joined}": 3, "watchbill_log_contents_total{outcome=expired}": 2, "watchbill_log_contents_total{outcome=full}": 6,
		"watchbill_log_contents_total{outcome=oversized}": 1,
		"watchbill_spool_oldest_age_seconds{}":            1.5, "watchbill_spool_replayed_total{}": 7, "watchbill_spool_corrupt_total{}": 1,
	}
	checkSeries(t, reg, "", want)
	known = true
	want["watchbill_rollup_deltas{}"] = 12
	checkSeries(t, reg, "", want)
}

// BenchmarkObserveExecutions counts batches of a thousand, of which each tenth is a request.
func BenchmarkObserveExecutions(b *testing.B) {
	batch := make([]execution.Execution, 1000)
	for i := range batch {
		batch[i] = execution.Execution{
			AgentName: fmt.Sprint("agent-", i%20), Model: fmt.Sprint("model-", i%7), Status: execution.Success, Request: i%10 == 0,
			Duration: latencySpread(i), Tokens: execution.Tokens{Input: 1000, Output: 200, CacheRead: 500, Used: 1200}, Cost: new(int64(12345)),
		}
	}
	metrics := NewExecutionMetrics(prometheus.NewRegistry(), time.Now)
	b.ReportAllocs()
	for b.Loop() {
		metrics.Observe(batch)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(batch)), "ns/execution")
}
