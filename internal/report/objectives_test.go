package report_test

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/sketch"
)

// latencyOf returns a latency objective, which may be invalid.
func latencyOf(route, method, quantile, threshold string) objective.Objective {
	return objective.Objective{Name: "x", Latency: &objective.Latency{Route: route, Method: method, Quantile: quantile, Threshold: threshold}}
}

func success(minimum, agent string) objective.Objective {
	return objective.Objective{Name: "x", SuccessRate: &objective.SuccessRate{Min: minimum, Agent: agent}}
}

func budget(limit string, period objective.Period) objective.Objective {
	return objective.Objective{Name: "x", Cost: &objective.Cost{MaxUSD: limit, Period: period}}
}

func TestObjectiveFaults(t *testing.T) {
	good := objective.Objective{Name: "good", ErrorRate: &objective.ErrorRate{Max: "0.01"}}
	errorRate := func(limit string) objective.Objective {
		return objective.Objective{Name: "x", ErrorRate: &objective.ErrorRate{Max: limit}}
	}
	tests := []struct {
		name      string
		objective objective.Objective // the second of two
		want      []string
	}{
		{"no kind", objective.Objective{Name: "x"}, []string{"objectives[1]"}},
		{"two kinds", objective.Objective{
			Name: "x", ErrorRate: good.ErrorRate, PoolUtilization: &objective.PoolUtilization{Max: "0.8"},
		}, []string{"objectives[1]"}},
		{"no name", objective.Objective{ErrorRate: good.ErrorRate}, []string{"objectives[1].name"}},
		{"a name that no alert can have", objective.Objective{Name: "A b", ErrorRate: good.ErrorRate}, []string{"objectives[1].name"}},
		{"a long name", objective.Objective{Name: strings.Repeat("x", 64), ErrorRate: good.ErrorRate}, []string{"objectives[1].name"}},
		{"the same name", good, []string{"objectives[1].name"}},
		{"nothing of a latency", latencyOf("", "", "", ""), []string{
			"objectives[1].latency.route", "objectives[1].latency.quantile", "objectives[1].latency.threshold",
		}},
		{"no route", latencyOf("api", "GET", "0.5", "1ms"), []string{"objectives[1].latency.route"}},
		{"a long route", latencyOf("/"+strings.Repeat("x", 256), "GET", "0.5", "1ms"), []string{"objectives[1].latency.route"}},
		{"a route with an escape", latencyOf("/\x1b", "GET", "0.5", "1ms"), []string{"objectives[1].latency.route"}},
		{"no method", latencyOf("/a", "get", "0.5", "1ms"), []string{"objectives[1].latency.method"}},
		{"quantile of 0", latencyOf("/a", "", "0", "1ms"), []string{"objectives[1].latency.quantile"}},
		{"quantile of 1", latencyOf("/a", "", "1", "1ms"), []string{"objectives[1].latency.quantile"}},
		{"quantile in percent", latencyOf("/a", "", "95", "1ms"), []string{"objectives[1].latency.quantile"}},
		{"quantile with an exponent", latencyOf("/a", "", "9e-1", "1ms"), []string{"objectives[1].latency.quantile"}},
		{"threshold of 0", latencyOf("/a", "", "0.5", "0s"), []string{"objectives[1].latency.threshold"}},
		{"threshold negative", latencyOf("/a", "", "0.5", "-1ms"), []string{"objectives[1].latency.threshold"}},
		{"threshold beyond the bins", latencyOf("/a", "", "0.5", "10m0.1s"), []string{"objectives[1].latency.threshold"}},
		{"threshold without unit", latencyOf("/a", "", "0.5", "200"), []string{"objectives[1].latency.threshold"}},
		{"threshold without end", latencyOf("/a", "", "0.5", strings.Repeat("1ns", 1000)), []string{"objectives[1].latency.threshold"}},
		{"share of 0", errorRate("0"), []string{"objectives[1].errorRate.max"}},
		{"share above 1", errorRate("1.000000001"), []string{"objectives[1].errorRate.max"}},
		{"share negative", errorRate("-0.1"), []string{"objectives[1].errorRate.max"}},
		{"share signed", errorRate("+0.1"), []string{"objectives[1].errorRate.max"}},
		{"share NaN", errorRate("NaN"), []string{"objectives[1].errorRate.max"}},
		{"share infinite", errorRate("Inf"), []string{"objectives[1].errorRate.max"}},
		{"share in hexadecimal", errorRate("0x0.1p1"), []string{"objectives[1].errorRate.max"}},
		{"share too exact", errorRate("0.0000000001"), []string{"objectives[1].errorRate.max"}},
		{"share in other digits", errorRate("٠.١"), []string{"objectives[1].errorRate.max"}},
		{"share with a line break", errorRate("0.1\n"), []string{"objectives[1].errorRate.max"}},
		{"errors of no route", objective.Objective{Name: "x", ErrorRate: &objective.ErrorRate{Max: "0.1", Route: "x"}}, []string{"objectives[1].errorRate.route"}},
		{"pool", objective.Objective{Name: "x", PoolUtilization: &objective.PoolUtilization{Max: "80"}}, []string{"objectives[1].poolUtilization.max"}},
		{"query time", objective.Objective{Name: "x", QueryTime: &objective.QueryTime{Quantile: "p99", Threshold: "soon"}}, []string{
			"objectives[1].queryTime.quantile", "objectives[1].queryTime.threshold",
		}},
		{"poll rate", objective.Objective{Name: "x", PollRate: &objective.PollRate{PerAgent: "1001", Tolerance: "2"}}, []string{
			"objectives[1].pollRate.perAgent", "objectives[1].pollRate.tolerance",
		}},
		{"success of none", success("0", ""), []string{"objectives[1].successRate.min"}},
		{"success above all", success("1", ""), []string{"objectives[1].successRate.min"}},
		{"success in percent", success("95", ""), []string{"objectives[1].successRate.min"}},
		{"success unsaid", success("", ""), []string{"objectives[1].successRate.min"}},
		{"an agent with an escape", success("0.9", "\x1b[2J"), []string{"objectives[1].successRate.agent"}},
		{"an agent with a long name", success("0.9", strings.Repeat("x", 129)), []string{"objectives[1].successRate.agent"}},
		{"a budget of nothing", budget("0", ""), []string{"objectives[1].cost.maxUSD"}},
		{"a budget unsaid", budget("", "Day"), []string{"objectives[1].cost.maxUSD"}},
		{"a budget with a sign", budget("$50", "Day"), []string{"objectives[1].cost.maxUSD"}},
		{"a budget of states", budget("1000000.01", "Window"), []string{"objectives[1].cost.maxUSD"}},
		{"a budget of another period", budget("50", "Month"), []string{"objectives[1].cost.period"}},
		{"a budget of a day, small", budget("50", "day"), []string{"objectives[1].cost.period"}},
		{"success and a budget", objective.Objective{
			Name: "x", SuccessRate: &objective.SuccessRate{Min: "0.9"}, Cost: &objective.Cost{MaxUSD: "1"},
		}, []string{"objectives[1]"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := report.ParseRequest(report.Input{Objectives: []objective.Objective{good, tt.objective}}, 1, noon)
			wantFields(t, err, tt.want...)
			if err != nil && len(err.Error()) > 1000 {
				t.Errorf("the message has %d bytes", len(err.Error()))
			}
		})
	}
	_, err := report.ParseRequest(report.Input{Objectives: make([]objective.Objective, objective.MaxCount+1)}, 1, noon)
	wantFields(t, err, "objectives")
}

// resolved returns objectives as a request has them; none if there are none.
func resolved(written ...objective.Objective) []objective.Resolved {
	if len(written) == 0 {
		return nil
	}
	return objective.Resolve(written).All
}

// measured returns the result of one objective.
func measured(t *testing.T, o objective.Objective, f report.Facts) objective.Result {
	t.Helper()
	req := request()
	req.Objectives = resolved(o)
	doc, err := report.Compute(req, f, nil, noon, "id")
	if err != nil {
		t.Fatal(err)
	}
	return doc.Objectives[0]
}

// execute returns facts with only executions.
func execute(cells ...execution.Cell) report.Facts {
	return report.Facts{Window: lastHour, Executions: cells}
}

// runs returns requests to one agent by outcome.
func runs(successful, failed, timedOut int) report.Facts {
	return execute(
		executed("a", "", execution.Success, true, successful, 1, execution.Execution{}),
		executed("a", "", execution.Failure, true, failed, 1, execution.Execution{}),
		executed("a", "", execution.Timeout, true, timedOut, 1, execution.Execution{}),
	)
}

// days returns facts of spends by day.
func days(before execution.Spend, all ...execution.SpendOf) report.Facts {
	return report.Facts{Window: lastHour, Days: all, SpentBefore: before}
}

func TestIndicators(t *testing.T) {
	exactly := func(ms float64) *sketch.Sketch { return latencies(3, ms) }
	endpoints := func(e ...report.EndpointFacts) report.Facts { return report.Facts{Window: lastHour, Endpoints: e} }
	get := func(byStatus map[int]int64, s *sketch.Sketch) report.EndpointFacts {
		return report.EndpointFacts{Method: "GET", Route: "/a", ByStatus: byStatus, Latency: s}
	}
	pool := func(p ...report.PoolFacts) report.Facts { return report.Facts{Window: lastHour, Pool: p} }
	polls := func(n int64, polling, expected float64) report.Facts {
		f := endpoints(pending(n, 0, nil))
		f.CoveredSeconds = 1000
		f.Agents.Polling, f.Agents.ExpectedRPS = polling, expected
		return f
	}
	heldFor := func(f report.Facts, polls int64, intervals float64) report.Facts {
		f.Polls.Held, f.Polls.HeldIntervals = polls, intervals
		return f
	}
	p95 := latencyOf("/a", "", "0.95", "200ms")
	errors := objective.Objective{Name: "x", ErrorRate: &objective.ErrorRate{Max: "0.01"}}
	errorsOfA := objective.Objective{Name: "x", ErrorRate: &objective.ErrorRate{Max: "0.01", Route: "/a"}}
	busy := objective.Objective{Name: "x", PoolUtilization: &objective.PoolUtilization{Max: "0.8"}}
	queries := objective.Objective{Name: "x", QueryTime: &objective.QueryTime{Quantile: "0.99", Threshold: "100ms"}}
	polling := objective.Objective{Name: "x", PollRate: &objective.PollRate{PerAgent: "0.1", Tolerance: "0.5"}}
	yes, no := new(true), new(false)

	tests := []struct {
		name      string
		objective objective.Objective
		facts     report.Facts
		target    float64
		actual    *float64
		met       *bool
	}{
		{"latency below", p95, endpoints(get(nil, exactly(199))), 200, new(199.0), yes},
		{"latency at the limit", p95, endpoints(get(nil, exactly(200))), 200, new(200.0), no},
		{"latency above", p95, endpoints(get(nil, exactly(201))), 200, new(201.0), no},
		{"latency of nobody", p95, endpoints(), 200, nil, nil},
		{"latency of another route", p95, endpoints(pending(9, 0, exactly(1))), 200, nil, nil},
		{"latency of all methods", p95, endpoints(get(nil, latencies(1, 1)), report.EndpointFacts{
			Method: "POST", Route: "/a", Latency: latencies(99, 300),
		}), 200, new(300.0), no},
		{"latency of one method", latencyOf("/a", "GET", "0.5", "200ms"), endpoints(get(nil, exactly(1)), report.EndpointFacts{
			Method: "POST", Route: "/a", Latency: latencies(99, 300),
		}), 200, new(1.0), yes},
		{"threshold in microseconds", latencyOf("/a", "", "0.5", "1500us"), endpoints(get(nil, exactly(1))), 1.5, new(1.0), yes},

		{"errors below", errors, endpoints(get(map[int]int64{200: 991, 503: 9}, nil)), 0.01, new(0.009), yes},
		{"errors at the limit", errors, endpoints(get(map[int]int64{200: 99, 500: 1}, nil)), 0.01, new(0.01), no},
		{"none is 0, not no data", errors, endpoints(get(map[int]int64{200: 1}, nil)), 0.01, new(0.0), yes},
		{"4xx are no errors", errors, endpoints(get(map[int]int64{404: 10}, nil)), 0.01, new(0.0), yes},
		{"errors of nobody", errors, endpoints(), 0.01, nil, nil},
		{"errors of one route", errorsOfA, endpoints(get(map[int]int64{200: 1}, nil), pending(0, 5, nil)), 0.01, new(0.0), yes},

		{"pool by its worst replica", busy, pool(
			report.PoolFacts{Replica: "a", Max: 10, InUseMean: 1, InUsePeak: 10},
			report.PoolFacts{Replica: "b", Max: 20, InUseMean: 18, InUsePeak: 19},
		), 0.8, new(0.9), no},
		{"pool of unknown size", busy, pool(report.PoolFacts{Replica: "a", InUseMean: 3}), 0.8, nil, nil},
		{"no pool", busy, pool(), 0.8, nil, nil},

		{"all queries together", queries, report.Facts{Window: lastHour, Queries: []report.QueryFacts{
			{Name: "fast", Latency: latencies(1000, 1)}, {Name: "slow", Latency: latencies(1, 900)},
		}}, 100, new(1.0), yes},
		{"no query", queries, report.Facts{Window: lastHour}, 100, nil, nil},

		{"polls as expected", polling, polls(2000, 20, 2), 0.1, new(0.1), yes},
		{"polls at the tolerance", polling, polls(1000, 20, 2), 0.1, new(0.05), yes},
		{"few polls, each held for three intervals", polling, heldFor(polls(667, 20, 2), 667, 2000), 0.1, new(0.1), yes},
		{"many polls, each held for half an interval", polling, heldFor(polls(4000, 20, 2), 4000, 2000), 0.1, new(0.1), yes},
		{"held for too short", polling, heldFor(polls(6000, 20, 2), 6000, 4000), 0.1, new(0.2), no},
		{"intervals that add up to a hair less", polling, polls(2000, 20, 2*(1-1e-15)), 0.1, new(0.1), yes},
		{"too few polls", polling, polls(999, 20, 2), 0.1, new(0.04995), no},
		{"too many polls", polling, polls(3100, 20, 2), 0.1, new(0.155), no},
		{"no polls of agents that there are", polling, polls(0, 20, 2), 0.1, new(0.0), no},
		{"stretched intervals, followed", polling, polls(200, 20, 0.2), 0.01, new(0.01), yes},
		{"stretched intervals, not followed", polling, polls(2000, 20, 0.2), 0.01, new(0.1), no},
		{"shortened intervals do not move the target", polling, polls(20000, 20, 20), 0.1, new(1.0), no},
		{"nothing hinted", polling, polls(2000, 20, 0), 0.1, new(0.1), yes},
		{"no agents", polling, polls(0, 0, 0), 0.1, nil, nil},
		{"success above", success("0.95", ""), runs(96, 3, 1), 0.95, new(0.96), yes},
		{"success at the limit", success("0.95", ""), runs(95, 5, 0), 0.95, new(0.95), no},
		{"success below, by timeouts", success("0.95", ""), runs(94, 0, 6), 0.95, new(0.94), no},
		{"none succeeded", success("0.95", ""), runs(0, 1, 0), 0.95, new(0.0), no},
		{"success of nobody", success("0.95", ""), runs(0, 0, 0), 0.95, nil, nil},
		{"what an agent calls is no request", success("0.95", ""), execute(
			executed("a", "", execution.Success, true, 9, 1, execution.Execution{}),
			executed("a", "m", execution.Failure, false, 9, 1, execution.Execution{}),
		), 0.95, new(1.0), yes},
		{"success of one agent", success("0.95", "b"), execute(
			executed("a", "", execution.Failure, true, 9, 1, execution.Execution{}),
			executed("b", "", execution.Success, true, 9, 1, execution.Execution{}),
		), 0.95, new(1.0), yes},
		{"success of an agent that does nothing", success("0.95", "c"), runs(1, 0, 0), 0.95, nil, nil},

		{"budget of a day kept", budget("50", "Day"), days(execution.Spend{}, spending("2026-08-20", 1, 9, 49_999_999_999, 0)), 50, new(49.999999999), yes},
		{"budget of a day used up", budget("50", ""), days(execution.Spend{}, spending("2026-08-20", 1, 9, 50_000_000_000, 0)), 50, new(50.0), no},
		{"budget of the most expensive day", budget("50", ""), days(execution.Spend{},
			spending("2026-08-20", 1, 9, 20e9, 0), spending("2026-08-21", 1, 9, 60e9, 0), spending("2026-08-22", 1, 9, 40e9, 0),
		), 50, new(60.0), no},
		{"a day counts from its beginning", budget("50", ""), days(execution.Spend{Cost: 35e9},
			spending("2026-08-21", 1, 9, 40e9, 0), spending("2026-08-20", 1, 9, 20e9, 0),
		), 50, new(55.0), no},
		{"nothing more since the window began", budget("50", ""), days(execution.Spend{Cost: 35e9}), 50, new(35.0), yes},
		{"nothing spent", budget("50", ""), days(execution.Spend{}), 50, new(0.0), yes},
		{"some without a price", budget("50", ""), days(execution.Spend{}, spending("2026-08-20", 1, 9, 1e9, 9)), 50, new(1.0), nil},
		{"some without a price, and too dear all the same", budget("50", ""), days(execution.Spend{}, spending("2026-08-20", 1, 9, 50e9, 9)), 50, new(50.0), no},
		{"little without a price", budget("50", ""), days(execution.Spend{}, spending("2026-08-20", 1, 100, 1e9, 5)), 50, new(1.0), yes},
		{"a day without a price beside a dearer one", budget("50", ""), days(execution.Spend{},
			spending("2026-08-20", 1, 9, 0, 9), spending("2026-08-21", 100, 10_000, 1e9, 0),
		), 50, new(1.0), nil},
		{"much of unknown usage", budget("50", ""), days(execution.Spend{}, ofUnknownUsage(39, 2, 1e9)), 50, new(1.0), nil},
		{"much of unknown usage, and too dear all the same", budget("50", ""), days(execution.Spend{}, ofUnknownUsage(39, 2, 50e9)), 50, new(50.0), no},
		{"little of unknown usage", budget("50", ""), days(execution.Spend{}, ofUnknownUsage(40, 2, 1e9)), 50, new(1.0), yes},
		{"all of unknown usage", budget("50", ""), days(execution.Spend{}, ofUnknownUsage(3, 3, 0)), 50, nil, nil},
		{"none with a price", budget("50", ""), days(execution.Spend{}, spending("2026-08-20", 1, 9, 0, 9)), 50, nil, nil},
		{"budget of a window kept", budget("0.5", "Window"), execute(
			executed("a", "m", execution.Success, false, 4, 1, using(1, 1, 100_000_000)),
		), 0.5, new(0.4), yes},
		{"budget of a window used up", budget("0.5", "Window"), execute(
			executed("a", "m", execution.Success, true, 4, 1, using(1, 1, 100_000_000)),
			executed("b", "m", execution.Timeout, true, 1, 1, using(1, 1, 100_000_000)),
		), 0.5, new(0.5), no},
		{"a window in which nothing has a price", budget("0.5", "Window"), execute(
			executed("a", "m", execution.Success, true, 4, 1, using(1, 1, -1)),
		), 0.5, nil, nil},

		{"nothing covered", polling, func() report.Facts { f := polls(9, 20, 2); f.CoveredSeconds = 0; return f }(), 0.1, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.facts.Window = lastHour
			got := measured(t, tt.objective, tt.facts)
			if got.Target != tt.target {
				t.Errorf("target: got %v, want %v", got.Target, tt.target)
			}
			accuracy := 1e-9
			if got.Unit == objective.UnitMilliseconds {
				accuracy = sketch.RelativeAccuracy
			}
			if diff := cmp.Diff(tt.actual, got.Actual, cmpopts.EquateApprox(accuracy, 0)); diff != "" {
				t.Errorf("actual (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.met, got.Met); diff != "" {
				t.Errorf("met (-want +got):\n%s", diff)
			}
		})
	}
}

// ofUnknownUsage returns the spend of a day with unknown executions of unknown usage.
func ofUnknownUsage(requests, unknown, cost int64) execution.SpendOf {
	s := spending("2026-08-20", requests, 9, cost, 0)
	s.UnknownUsage = unknown
	return s
}

func TestResultsExplainThemselves(t *testing.T) {
	tests := []struct {
		objective           objective.Objective
		facts               report.Facts
		description, detail string
	}{
		{success("0.95", ""), runs(1900, 98, 2), "AI agents' requests that succeeded", "100 failed of 2,000 requests"},
		{success("0.95", "a"), runs(1, 0, 0), "requests to a that succeeded", "0 failed of 1 request"},
		{
			budget("50", ""), days(execution.Spend{Unpriced: 3000}, spending("2026-08-20", 1, 9, 1e9, 20), spending("2026-08-21", 1, 9, 2e9, 100)),
			"cost of AI agents' executions on the most expensive UTC day", "2026-08-21; 3,120 tokens have no price; too much to decide",
		},
		{budget("50", ""), days(execution.Spend{}, spending("2026-08-20", 1, 9, 0, 1)), "cost of AI agents' executions on the most expensive UTC day", "1 token has no price"},
		{
			budget("50", ""), days(execution.Spend{}, ofUnknownUsage(3, 1, 1e9)),
			"cost of AI agents' executions on the most expensive UTC day", "2026-08-20; usage of 1 execution is unknown or estimated; too much to decide",
		},
		{budget("50", ""), days(execution.Spend{}), "cost of AI agents' executions on the most expensive UTC day", ""},
		{budget("50", "Window"), goodHour(lastHour), "cost of AI agents' executions in the window", "4,620 tokens have no price"},
	}
	for _, tt := range tests {
		got := measured(t, tt.objective, tt.facts)
		if got.Description != tt.description || got.Detail != tt.detail {
			t.Errorf("got %q (%s), want %q (%s)", got.Description, got.Detail, tt.description, tt.detail)
		}
	}
}

func TestPercentileNames(t *testing.T) {
	for quantile, want := range map[string]string{
		"0.5": "p50 of /a", "0.95": "p95 of /a", "0.999": "p99.9 of /a", "0.29": "p29 of /a", "0.999999999": "p99.9999999 of /a",
	} {
		if got := measured(t, latencyOf("/a", "", quantile, "1s"), idleHour(lastHour)).Description; got != want {
			t.Errorf("quantile %s: got %q, want %q", quantile, got, want)
		}
	}
}

func TestVerdict(t *testing.T) {
	slow := latencyOf("/api/deployments", "", "0.5", "1us")
	never := latencyOf("/never", "", "0.5", "1s")
	never.Name = "never"
	fine := objective.Objective{Name: "fine", ErrorRate: &objective.ErrorRate{Max: "1"}}
	tests := []struct {
		name       string
		objectives []objective.Objective
		want       report.Verdict
	}{
		{"all met", []objective.Objective{fine}, report.Pass},
		{"some without data", []objective.Objective{never, fine}, report.Pass},
		{"one missed", []objective.Objective{fine, slow, never}, report.Fail},
		{"none with data", []objective.Objective{never}, report.NoData},
		{"none", nil, report.NoData},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req := request()
			req.Objectives = resolved(tt.objectives...)
			doc, err := report.Compute(req, goodHour(lastHour), nil, noon, "id")
			if err != nil {
				t.Fatal(err)
			}
			if doc.Verdict != tt.want {
				t.Errorf("got %s, want %s", doc.Verdict, tt.want)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	for hour, want := range map[string]struct {
		facts report.Facts
		want  report.Verdict
	}{
		"good": {goodHour(lastHour), report.Pass},
		"bad":  {badHour(lastHour), report.Fail},
		"idle": {idleHour(lastHour), report.NoData},
	} {
		doc, err := report.Compute(request(), want.facts, nil, noon, "id")
		if err != nil {
			t.Fatal(err)
		}
		if doc.Verdict != want.want {
			t.Errorf("%s hour: got %s, want %s", hour, doc.Verdict, want.want)
		}
		for _, r := range doc.Objectives {
			if hour == "bad" && (r.Met == nil || *r.Met) {
				t.Errorf("bad hour: objective %s is met with %v", r.Name, r.Actual)
			}
			if r.Actual != nil && (math.IsNaN(*r.Actual) || math.IsInf(*r.Actual, 0)) {
				t.Errorf("%s hour: objective %s is %v", hour, r.Name, *r.Actual)
			}
		}
	}
}
