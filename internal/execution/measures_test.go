package execution_test

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/sketch"
)

// sameMeasures compares distributions by their encodings, which are equal for equal distributions.
var sameMeasures = cmp.Comparer(func(a, b sketch.Distribution) bool { return bytes.Equal(a.Encode(), b.Encode()) })

func TestMeasuresOfOne(t *testing.T) {
	tests := []struct {
		name      string
		execution execution.Execution
		want      execution.Measures // without durations
	}{
		{"nothing known", execution.Execution{}, execution.Measures{Count: 1}},
		{"priced", execution.Execution{
			Duration: 1500 * time.Microsecond, Tokens: execution.Tokens{Input: 10, Output: 5, CacheRead: 3, CacheWrite: 2, Reasoning: 1, Used: 15}, Cost: new(int64(42)),
		}, execution.Measures{
			Count: 1, Micros: 1500, Tokens: execution.Tokens{Input: 10, Output: 5, CacheRead: 3, CacheWrite: 2, Reasoning: 1, Used: 15}, Cost: 42,
		}},
		{"priced at nothing", execution.Execution{Usage: execution.UsageReported, Tokens: execution.Tokens{Used: 15}, Cost: new(int64(0))}, execution.Measures{
			Count: 1, Tokens: execution.Tokens{Used: 15}, Unpriced: 15,
		}},
		{"a total beyond its priced parts", execution.Execution{
			Usage: execution.UsageReported, Tokens: execution.Tokens{Input: 10, Output: 150, Used: 8160}, Cost: new(int64(1_512_500)),
		}, execution.Measures{
			Count: 1, Tokens: execution.Tokens{Input: 10, Output: 150, Used: 8160}, Cost: 1_512_500, Unpriced: 8000,
		}},
		{"the same, stored by a release that did not count them", execution.Execution{
			Tokens: execution.Tokens{Input: 10, Output: 150, Used: 8160}, Cost: new(int64(1_512_500)),
		}, execution.Measures{
			Count: 1, Tokens: execution.Tokens{Input: 10, Output: 150, Used: 8160}, Cost: 1_512_500,
		}},
		{"unknown usage", execution.Execution{Usage: execution.UsageUnknown}, execution.Measures{
			Count: 1, Evidence: execution.Evidence{UnknownUsage: 1},
		}},
		{"estimated", execution.Execution{
			Usage: execution.UsageEstimated, Tokens: execution.Tokens{Input: 10, Used: 10}, Cost: new(int64(7)),
		}, execution.Measures{
			Count: 1, Tokens: execution.Tokens{Input: 10, Used: 10}, Cost: 7, Evidence: execution.Evidence{UnknownUsage: 1, Estimated: 7},
		}},
		{"reported, and charged", execution.Execution{
			Usage: execution.UsageReported, Tokens: execution.Tokens{Input: 10, Used: 10}, Cost: new(int64(7)), ProviderCost: new(int64(9)),
		}, execution.Measures{
			Count: 1, Tokens: execution.Tokens{Input: 10, Used: 10}, Cost: 7, Evidence: execution.Evidence{Provider: 9, ProviderCompared: 7},
		}},
		{"charged, without a price", execution.Execution{ProviderCost: new(int64(9))}, execution.Measures{
			Count: 1, Evidence: execution.Evidence{Provider: 9, ProviderUnpriced: 9},
		}},
		{"without a price", execution.Execution{Tokens: execution.Tokens{Input: 10, Output: 5, Used: 15}}, execution.Measures{
			Count: 1, Tokens: execution.Tokens{Input: 10, Output: 5, Used: 15}, Unpriced: 15,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.want.Durations.Add(tt.execution.Duration.Seconds(), 1)
			var got execution.Measures
			got.Add(&tt.execution, 1)
			if diff := cmp.Diff(tt.want, got, sameMeasures); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			got.Add(&tt.execution, -1)
			if diff := cmp.Diff(execution.Measures{}, got, sameMeasures); diff != "" {
				t.Errorf("taken away again (-want +got):\n%s", diff)
			}
		})
	}
}

// executions returns a generator of executions to make measures of.
func executions() *rapid.Generator[[]execution.Execution] {
	one := rapid.Custom(func(t *rapid.T) execution.Execution {
		count := func(name string) int64 { return rapid.Int64Range(0, execution.MaxTokens).Draw(t, name) }
		e := execution.Execution{
			Duration: time.Duration(rapid.Int64Range(0, int64(execution.MaxDuration)).Draw(t, "duration")),
			Tokens: execution.Tokens{
				Input: count("input"), Output: count("output"), CacheRead: count("read"), CacheWrite: count("write"),
				Reasoning: count("reasoning"), Used: count("used"),
			},
		}
		if rapid.Bool().Draw(t, "priced") {
			e.Cost = new(rapid.Int64Range(0, 1<<50).Draw(t, "cost"))
		}
		e.Usage = rapid.SampledFrom([]execution.Usage{"", execution.UsageReported, execution.UsageUnknown, execution.UsageEstimated}).Draw(t, "usage")
		if rapid.Bool().Draw(t, "charged") {
			e.ProviderCost = new(rapid.Int64Range(0, 1<<50).Draw(t, "charge"))
		}
		return e
	})
	return rapid.SliceOfN(one, 0, 30)
}

func measuresOf(all []execution.Execution) (m execution.Measures) {
	for i := range all {
		m.Add(&all[i], 1)
	}
	return m
}

func TestMeasuresCancelInAnyOrder(t *testing.T) {
	type change struct {
		execution execution.Execution
		sign      int64
	}
	rapid.Check(t, func(t *rapid.T) {
		kept, taken := executions().Draw(t, "kept"), executions().Draw(t, "taken")
		var changes []change
		for _, e := range kept {
			changes = append(changes, change{e, 1})
		}
		for _, e := range taken {
			changes = append(changes, change{e, 1}, change{e, -1})
		}
		changes = rapid.Permutation(changes).Draw(t, "order")
		// As in a fold of deltas: add up each part, then merge the sums.
		parts := make([]execution.Measures, 3)
		for i, c := range changes {
			parts[i%len(parts)].Add(&c.execution, c.sign)
		}
		var got execution.Measures
		for _, i := range rapid.Permutation([]int{0, 1, 2}).Draw(t, "merged") {
			got.Merge(parts[i])
		}
		if diff := cmp.Diff(measuresOf(kept), got, sameMeasures); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

func TestSumsSaturate(t *testing.T) {
	limit := execution.Measures{
		Count: math.MaxInt64, Micros: math.MaxInt64, Cost: math.MaxInt64, Unpriced: math.MaxInt64,
		Tokens: execution.Tokens{
			Input: math.MaxInt64, Output: math.MaxInt64, CacheRead: math.MaxInt64, CacheWrite: math.MaxInt64,
			Reasoning: math.MaxInt64, Used: math.MaxInt64,
		},
	}
	got := limit
	got.Merge(limit)
	if diff := cmp.Diff(limit, got, sameMeasures); diff != "" {
		t.Errorf("the most, twice (-want +got):\n%s", diff)
	}

	minimum := execution.Measures{Count: math.MinInt64, Micros: math.MinInt64, Cost: math.MinInt64, Unpriced: math.MinInt64}
	got = minimum
	got.Merge(minimum)
	if diff := cmp.Diff(minimum, got, sameMeasures); diff != "" {
		t.Errorf("the least, twice (-want +got):\n%s", diff)
	}
}
