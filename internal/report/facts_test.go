package report_test

import (
	"time"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/sketch"
)

var (
	noon      = time.Date(2026, 8, 20, 12, 0, 0, 0, time.UTC)
	lastHour  = report.Window{From: noon.Add(-time.Hour), To: noon}
	inGermany = time.FixedZone("CEST", 2*60*60)
)

// latencies returns a sketch of count latencies in milliseconds, evenly spread over the given ones.
func latencies(count int, milliseconds ...float64) *sketch.Sketch {
	s := &sketch.Sketch{}
	for i := range count {
		s.Add(milliseconds[i%len(milliseconds)] / 1000)
	}
	return s
}

// pending returns the polls of the route that agents poll.
func pending(ok, failed int64, latency *sketch.Sketch) report.EndpointFacts {
	return report.EndpointFacts{
		Method: report.PendingMethod, Route: report.PendingRoute,
		ByStatus: map[int]int64{304: ok, 500: failed}, Latency: latency,
		BytesIn: 400 * ok, BytesOut: 200 * ok,
	}
}

// executed returns the cell of n executions, each of which took the given number of seconds.
func executed(agent, model string, status execution.Status, request bool, n int, seconds float64, each execution.Execution) execution.Cell {
	cell := execution.Cell{Agent: agent, Model: model, Status: status, Request: request}
	each.Duration = time.Duration(seconds * 1e9)
	for range n {
		cell.Add(&each, 1)
	}
	return cell
}

// using returns an execution with the given tokens; a negative cost in nano-USD means none.
func using(input, output, cost int64) execution.Execution {
	e := execution.Execution{Tokens: execution.Tokens{Input: input, Output: output, Used: input + output}}
	if cost >= 0 {
		e.Cost = &cost
	}
	return e
}

// spending returns the spend of a user or a day.
func spending(key string, requests, tokens, cost, unpriced int64) execution.SpendOf {
	return execution.SpendOf{Key: key, Spend: execution.Spend{
		Requests: requests, Tokens: execution.Tokens{Used: tokens}, Cost: cost, Unpriced: unpriced,
	}}
}

// goodHour returns an hour of 20 agents in which every default objective is met.
func goodHour(w report.Window) report.Facts {
	return report.Facts{
		Window:         w,
		CoveredSeconds: 3600,
		Endpoints: []report.EndpointFacts{
			{
				Method: "POST", Route: "/api/deployments", ByStatus: map[int]int64{201: 40, 400: 2},
				Latency: latencies(42, 4, 6, 9), BytesIn: 30_000, BytesOut: 64_000,
			},
			pending(7196, 4, latencies(7200, 0.2, 0.3, 0.4, 0.5, 2)),
			{
				Method: "POST", Route: "/api/deployments/{id}/status", ByStatus: map[int]int64{200: 118, 409: 3},
				Latency: latencies(121, 3, 5), BytesIn: 24_000, BytesOut: 9_000,
			},
			{Method: "GET", Route: "unknown", ByStatus: map[int]int64{404: 5}, Latency: latencies(5, 0.1)},
		},
		Unauthenticated: map[int]int64{200: 3, 401: 1200}, Probes: map[int]int64{200: 716, 503: 4},

		Polls:       report.PollFacts{Empty: 20, NotModified: 7136, Delivered: 40, Failed: 4},
		Agents:      report.AgentFacts{Polling: 20, ExpectedRPS: 2, Online: 19, Late: 1, Offline: 2},
		Deployments: map[string]int64{"pending": 1, "running": 2, "succeeded": 36, "failed": 1},
		Pool: []report.PoolFacts{
			{Replica: "api-0", Max: 10, InUseMean: 0.8, InUsePeak: 6, Acquires: 900, EmptyAcquires: 0, WaitSeconds: 0.02},
			{Replica: "api-1", Max: 10, InUseMean: 1.25, InUsePeak: 9, Acquires: 1100, EmptyAcquires: 3, WaitSeconds: 0.4},
		},
		Queries: []report.QueryFacts{
			{Name: "ClaimDeployment", Count: 121, Errors: 1, Latency: latencies(121, 2, 4)},
			{Name: "SweepDeployments", Count: 7200, Latency: latencies(7200, 0.5, 0.7)},
			{Name: "PurgeReports", Count: 1, Latency: latencies(1, 80)},
		},
		Indexes: []report.IndexFacts{
			{
				Table: "deployments", Name: "idx_deployment_status", Columns: "status",
				Exists: true, Scans: 0, StatsSince: new(noon.Add(-240 * time.Hour)),
				Shape: "WHERE status = ?", Plan: "Seq Scan on deployments", PlanUsesIndex: false,
			},
			{
				Table: "deployments", Name: "idx_deployment_agent_status_created", Columns: "agent_id, status, created_at",
				Exists: true, Scans: 12_345, LastUsed: new(noon.Add(-time.Minute).In(inGermany)),
				Shape:         "WHERE agent_id = ? AND status = ? ORDER BY created_at",
				Plan:          "Index Scan using idx_deployment_agent_status_created on deployments",
				PlanUsesIndex: true,
			},
			{Table: "agents", Name: "agents_name_idx", Columns: "name"},
		},
		Executions: []execution.Cell{
			executed("tutor", "", execution.Success, true, 196, 4.2, execution.Execution{}),
			executed("tutor", "", execution.Failure, true, 1, 1.5, execution.Execution{}),
			executed("tutor", "", execution.Timeout, true, 1, 60, execution.Execution{}),
			executed("tutor", "gpt-5", execution.Success, false, 390, 2.1, execution.Execution{
				Tokens: execution.Tokens{Input: 1200, Output: 400, CacheRead: 800, CacheWrite: 100, Reasoning: 250, Used: 1600},
				Cost:   new(int64(4_725_000)),
			}),
			executed("tutor", "gpt-5", execution.Failure, false, 2, 0.4, using(1200, 0, 1_500_000)),
			executed("tutor", "", execution.Success, false, 80, 0.03, execution.Execution{}), // tools
			executed("grader", "llama-3.3-70b", execution.Success, true, 26, 0.9, using(100, 20, -1)),
			executed("planner", "", execution.Success, true, 2, 12, execution.Execution{Tokens: execution.Tokens{Used: 750}}),
		},
		Days:        []execution.SpendOf{spending(w.From.Format(time.DateOnly), 226, 631_020, 1_845_750_000, 4620)},
		SpentBefore: execution.Spend{Requests: 2400, Tokens: execution.Tokens{Used: 6_300_000}, Cost: 18_300_000_000},
		Users: report.UserFacts{
			Active: 12,
			Dearest: []execution.SpendOf{
				spending("ada@example.com", 120, 400_000, 1_200_000_000, 0),
				spending("18717267-0855-433c-b160-04c3443daa80", 80, 227_150, 645_750_000, 750),
				spending(execution.Unknown, 26, 3120, 0, 3120),
			},
			Others: execution.Spend{Requests: 9, Tokens: execution.Tokens{Used: 750}, Unpriced: 750},
		},
	}
}

// badHour returns an hour in which every default objective is missed.
func badHour(w report.Window) report.Facts {
	f := goodHour(w)
	f.Endpoints[1] = pending(1500, 100, latencies(1600, 60, 250, 900))
	f.Agents = report.AgentFacts{Polling: 20, ExpectedRPS: 2, Online: 2, Late: 3, Offline: 17}
	f.Polls = report.PollFacts{Empty: 1500, Failed: 100}
	f.Deployments = map[string]int64{"failed": 7, "timed_out": 3}
	f.Pool[1].InUseMean = 8.5
	f.Queries[1].Latency = latencies(7200, 5, 150)
	f.Executions = []execution.Cell{
		executed("tutor", "gpt-5", execution.Success, true, 50, 3, using(1000, 100, 2_250_000)),
		executed("tutor", "gpt-5", execution.Failure, true, 25, 30, using(1000, 0, 1_250_000)),
	}
	f.Days = []execution.SpendOf{spending(w.From.Format(time.DateOnly), 75, 80_000, 143_750_000, 0)}
	f.Users = report.UserFacts{Window: w, Active: 1, Dearest: []execution.SpendOf{spending("ada@example.com", 75, 80_000, 143_750_000, 0)}}
	f.Users.Window.From = w.From.Add(-15 * time.Minute)
	return f
}

// idleHour returns an hour without data.
func idleHour(w report.Window) report.Facts {
	return report.Facts{Window: w}
}

func previous(hour func(report.Window) report.Facts) *report.Facts {
	return new(hour(lastHour.Previous()))
}

// request returns a request for all sections of the last hour.
func request() report.Request {
	return report.Request{
		Name: "hourly", Window: lastHour, Sections: report.AllSections(), Objectives: objective.Resolve(nil).All,
		CompareWith: report.ComparePrevious,
	}
}
