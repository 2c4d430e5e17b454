package report_test

import (
	"math"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/sketch"
)

func errorsBelow(limit string) objective.Objective {
	return objective.Objective{Name: "x", ErrorRate: &objective.ErrorRate{Max: limit}}
}

func queriesBelow(quantile, threshold string) objective.Objective {
	return objective.Objective{Name: "x", QueryTime: &objective.QueryTime{Quantile: quantile, Threshold: threshold}}
}

// requests returns facts of one route, with all responses of which failed are 5xx.
func requests(all, failed int64, latency *sketch.Sketch) report.Facts {
	return report.Facts{Window: lastHour, Endpoints: []report.EndpointFacts{{
		Method: "GET", Route: "/a", ByStatus: map[int]int64{200: all - failed, 500: failed}, Latency: latency,
	}}}
}

// queried returns facts of one query with the latencies of a sketch.
func queried(latency *sketch.Sketch) report.Facts {
	return report.Facts{Window: lastHour, Queries: []report.QueryFacts{{Name: "Q", Latency: latency}}}
}

// split returns a sketch of latencies: slow of them are 300 ms and the others 1 ms.
func split(all, slow uint64) *sketch.Sketch {
	s := &sketch.Sketch{}
	s.AddCount(0.001, all-slow)
	s.AddCount(0.3, slow)
	return s
}

func TestErrorBudgetRemaining(t *testing.T) {
	p90 := latencyOf("/a", "GET", "0.9", "200ms")
	yes, no := new(true), new(false)
	for name, tt := range map[string]struct {
		objective objective.Objective
		facts     report.Facts
		want      *float64
		met       *bool
	}{
		"latency, none slow":       {p90, requests(100, 0, split(100, 0)), new(1.0), yes},
		"latency, some slow":       {p90, requests(100, 0, split(100, 4)), new(0.6), yes},
		"latency, used up":         {p90, requests(100, 0, split(100, 10)), new(0.0), yes},
		"latency, one too many":    {p90, requests(100, 0, split(100, 11)), new(-0.1), no},
		"latency, all slow":        {p90, requests(100, 0, split(100, 100)), new(-9.0), no},
		"latency at the threshold": {p90, requests(3, 0, latencies(3, 200)), new(-9.0), no},
		"latency of nobody":        {p90, requests(0, 0, nil), nil, nil},
		"median":                   {latencyOf("/a", "", "0.5", "200ms"), requests(8, 0, split(8, 2)), new(0.5), yes},
		"errors, none":             {errorsBelow("0.01"), requests(400, 0, nil), new(1.0), yes},
		"errors, some":             {errorsBelow("0.01"), requests(400, 1, nil), new(0.75), yes},
		"errors, used up":          {errorsBelow("0.01"), requests(400, 4, nil), new(0.0), no},
		"errors, too many":         {errorsBelow("0.01"), requests(400, 14, nil), new(-2.5), no},
		"errors of nobody":         {errorsBelow("0.01"), requests(0, 0, nil), nil, nil},
		"queries, some slow":       {queriesBelow("0.99", "200ms"), queried(split(1000, 2)), new(0.8), yes},
		"queries, too many slow":   {queriesBelow("0.99", "200ms"), queried(split(1000, 25)), new(-1.5), no},
		"no query":                 {queriesBelow("0.99", "200ms"), report.Facts{Window: lastHour}, nil, nil},
		"success of all":           {success("0.9", ""), runs(10, 0, 0), new(1.0), yes},
		"success of enough":        {success("0.9", ""), runs(96, 2, 2), new(0.6), yes},
		"success, used up":         {success("0.9", ""), runs(90, 10, 0), new(0.0), no},
		"success of too few":       {success("0.9", ""), runs(70, 0, 30), new(-2.0), no},
		"success of nobody":        {success("0.9", ""), runs(0, 0, 0), nil, nil},
		"a pool has no events": {
			objective.Objective{Name: "x", PoolUtilization: &objective.PoolUtilization{Max: "0.8"}}, goodHour(lastHour), nil, yes,
		},
		"the pace of polls has none": {
			objective.Objective{Name: "x", PollRate: &objective.PollRate{PerAgent: "0.1", Tolerance: "0.5"}},
			goodHour(lastHour), nil, yes,
		},
		"money has none": {budget("50", "Window"), goodHour(lastHour), nil, yes},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := measured(t, tt.objective, tt.facts)
			if diff := cmp.Diff(tt.want, got.ErrorBudgetRemaining, cmpopts.EquateApprox(1e-12, 1e-15)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.met, got.Met); diff != "" {
				t.Errorf("met (-want +got):\n%s", diff)
			}
		})
	}
}

// A budget that is used up exactly is 0, not a little more or less, for any decimal and not only for those that
// floating-point numbers represent exactly.
func TestExhaustedErrorBudgetIsZero(t *testing.T) {
	t.Parallel()
	for percentage := int64(1); percentage < 100; percentage++ {
		limit, minimum := decimal(percentage), decimal(100-percentage)
		for name, got := range map[string]objective.Result{
			"latency below " + minimum: measured(t, latencyOf("/a", "", minimum, "200ms"), requests(100, 0, split(100, uint64(percentage)))),
			"queries below " + minimum: measured(t, queriesBelow(minimum, "200ms"), queried(split(100, uint64(percentage)))),
			"errors below " + limit:    measured(t, errorsBelow(limit), requests(100, percentage, nil)),
			"success above " + minimum: measured(t, success(minimum, ""), runs(int(100-percentage), int(percentage), 0)),
		} {
			if x := got.ErrorBudgetRemaining; x == nil || *x != 0 {
				t.Errorf("%s, used up: got %s, want 0", name, report.BudgetText(got))
			}
		}
	}
}

// decimal returns a percentage in the notation of objectives.
func decimal(percentage int64) string {
	return strconv.FormatFloat(float64(percentage)/100, 'f', -1, 64)
}

func TestErrorBudgetAgreesWithMet(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		share := strconv.FormatFloat(float64(rapid.IntRange(1, 9999).Draw(rt, "share"))/1e4, 'f', -1, 64)
		all := rapid.Int64Range(1, 3000).Draw(rt, "all")
		bad := rapid.Int64Range(0, all).Draw(rt, "bad")
		if rapid.Bool().Draw(rt, "few bad") {
			bad = min(bad, rapid.Int64Range(0, 20).Draw(rt, "how few"))
		}
		recorded := &sketch.Sketch{}
		for _, x := range rapid.SliceOfN(rapid.Float64Range(0.18, 0.22), 1, 60).Draw(rt, "seconds") {
			recorded.AddCount(x, rapid.Uint64Range(1, 100).Draw(rt, "times"))
		}
		threshold := strconv.Itoa(rapid.IntRange(180_000, 220_000).Draw(rt, "threshold")) + "us"
		for name, got := range map[string]objective.Result{
			"latency":      measured(t, latencyOf("/a", "", share, threshold), requests(all, 0, recorded)),
			"query time":   measured(t, queriesBelow(share, threshold), queried(recorded)),
			"error rate":   measured(t, errorsBelow(share), requests(all, bad, nil)),
			"success rate": measured(t, success(share, ""), runs(int(all-bad), int(bad), 0)),
		} {
			left := *got.ErrorBudgetRemaining
			want := left > 0 || left == 0 && got.Unit == objective.UnitMilliseconds
			if *got.Met != want || math.IsNaN(left) || math.IsInf(left, 0) || left > 1 {
				rt.Fatalf("%s: %v %s %v, met %v, with %v of its budget left",
					name, *got.Actual, got.Comparison, got.Target, *got.Met, left)
			}
		}
	})
}
