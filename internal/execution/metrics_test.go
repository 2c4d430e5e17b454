package execution_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/sketch"
)

// cell returns a cell of count executions like each.
func cell(agent, model string, status execution.Status, request bool, count int, each execution.Execution) execution.Cell {
	c := execution.Cell{Agent: agent, Model: model, Status: status, Request: request}
	for range count {
		c.Add(&each, 1)
	}
	return c
}

// taking returns an execution of the given duration without a model.
func taking(d time.Duration) execution.Execution { return execution.Execution{Duration: d} }

// call returns a model call; a negative cost means no cost.
func call(d time.Duration, input, output, cost int64) execution.Execution {
	e := execution.Execution{Duration: d, Tokens: execution.Tokens{Input: input, Output: output, Used: input + output}}
	if cost >= 0 {
		e.Cost = &cost
	}
	return e
}

// steady returns the figures of count successful executions of the same duration.
func steady(count int64, milliseconds float64, tokens execution.Tokens, cost, unpriced int64) execution.Figures {
	return execution.Figures{
		Count: count, Successful: count, SuccessRate: new(1.0),
		Mean: &milliseconds, P50: &milliseconds, P95: &milliseconds, P99: &milliseconds,
		Tokens: tokens, Cost: cost, Unpriced: unpriced,
	}
}

func TestMetrics(t *testing.T) {
	type figures = map[string]execution.Figures
	used := func(input, output int64) execution.Tokens {
		return execution.Tokens{Input: input, Output: output, Used: input + output}
	}
	none := used(0, 0)
	someFailed := execution.Figures{
		Count: 10, Successful: 7, Failed: 3, Timeouts: 1, SuccessRate: new(0.7),
		Mean: new(7300.0), P50: new(1000.0), P95: new(60000.0), P99: new(60000.0),
	}
	tests := []struct {
		name  string
		cells []execution.Cell
		want  execution.Metrics
	}{
		{"nothing", nil, execution.Metrics{}},
		{"requests that took one time", []execution.Cell{
			cell("tutor", "", execution.Success, true, 4, taking(time.Second)),
		}, execution.Metrics{
			Figures: steady(4, 1000, none, 0, 0),
			Agents:  figures{"tutor": steady(4, 1000, none, 0, 0)},
		}},
		{"timeouts are failed", []execution.Cell{
			cell("tutor", "", execution.Success, true, 7, taking(time.Second)),
			cell("tutor", "", execution.Failure, true, 2, taking(3*time.Second)),
			cell("tutor", "", execution.Timeout, true, 1, taking(60*time.Second)),
		}, execution.Metrics{Figures: someFailed, Agents: figures{"tutor": someFailed}}},
		{"an agent's calls belong to its requests", []execution.Cell{
			cell("tutor", "", execution.Success, true, 2, taking(5*time.Second)),
			cell("tutor", "m", execution.Success, false, 4, call(time.Second, 100, 50, 7)),
			cell("tutor", "m", execution.Failure, false, 1, call(2*time.Second, 100, 0, 5)),
			cell("tutor", "", execution.Failure, false, 9, taking(time.Millisecond)), // tools
		}, execution.Metrics{
			Figures: steady(2, 5000, used(500, 200), 33, 0),
			Agents:  figures{"tutor": steady(2, 5000, used(500, 200), 33, 0)},
			Models: figures{"m": {
				Count: 5, Successful: 4, Failed: 1, SuccessRate: new(0.8),
				Mean: new(1200.0), P50: new(1000.0), P95: new(2000.0), P99: new(2000.0), Tokens: used(500, 200), Cost: 33,
			}},
		}},
		{"tokens without a price are separate", []execution.Cell{
			cell("a", "priced", execution.Success, true, 1, call(time.Second, 10, 5, 3)),
			cell("b", "unknown", execution.Success, true, 1, call(time.Second, 100, 50, -1)),
		}, execution.Metrics{
			Figures: steady(2, 1000, used(110, 55), 3, 150),
			Agents:  figures{"a": steady(1, 1000, used(10, 5), 3, 0), "b": steady(1, 1000, used(100, 50), 0, 150)},
			Models:  figures{"priced": steady(1, 1000, used(10, 5), 3, 0), "unknown": steady(1, 1000, used(100, 50), 0, 150)},
		}},
		{"no ratio and no time of no request", []execution.Cell{
			cell("tutor", "m", execution.Success, false, 1, call(time.Second, 1, 1, 1)),
		}, execution.Metrics{
			Figures: execution.Figures{Tokens: used(1, 1), Cost: 1},
			Agents:  figures{"tutor": {Tokens: used(1, 1), Cost: 1}},
			Models:  figures{"m": steady(1, 1000, used(1, 1), 1, 0)},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := execution.Facts{Cells: tt.cells}.Metrics()
			near := cmpopts.EquateApprox(1.01*sketch.RelativeAccuracy, 0) // as percentiles are
			if diff := cmp.Diff(tt.want, got, near, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			exact := func(m execution.Metrics) []*float64 { return []*float64{m.SuccessRate, m.Mean} }
			if diff := cmp.Diff(exact(tt.want), exact(got), cmpopts.EquateApprox(0, 1e-9)); diff != "" {
				t.Errorf("success rate and mean (-want +got):\n%s", diff)
			}
		})
	}
}

// TestNegativeMetrics checks that negative sums, which are the
// result of a counting error elsewhere, do not become a nonsensical ratio.
func TestNegativeMetrics(t *testing.T) {
	c := execution.Cell{Agent: "a", Status: execution.Success, Request: true}
	c.Add(&execution.Execution{Duration: time.Second}, -1)
	m := execution.Facts{Cells: []execution.Cell{c}}.Metrics()
	if m.SuccessRate != nil || m.Mean != nil || m.P50 != nil {
		t.Errorf("got %+v, want neither ratio nor times", m.Figures)
	}
}

func TestMetricsDoNotModifyCells(t *testing.T) {
	facts := execution.Facts{Cells: []execution.Cell{
		cell("a", "m", execution.Success, true, 1, taking(time.Second)),
		cell("a", "m", execution.Failure, true, 1, taking(time.Minute)),
	}}
	first := facts.Metrics()
	if diff := cmp.Diff(first, facts.Metrics()); diff != "" {
		t.Errorf("the second time (-first +second):\n%s", diff)
	}
	if n := facts.Cells[0].Durations.Count(); n != 1 {
		t.Errorf("the first cell has %d durations now", n)
	}
}

func spend(key string, cost, used int64) execution.SpendOf {
	return execution.SpendOf{Key: key, Spend: execution.Spend{Requests: 1, Cost: cost, Unpriced: 1, Tokens: execution.Tokens{Input: used, Used: used}}}
}

func total(requests, cost, used int64) execution.Spend {
	return execution.Spend{Requests: requests, Cost: cost, Unpriced: requests, Tokens: execution.Tokens{Input: used, Used: used}}
}

func TestNewCosts(t *testing.T) {
	window := execution.Window{From: noon.Add(-time.Hour), To: noon}
	tests := []struct {
		name   string
		by     execution.GroupBy
		groups []execution.SpendOf
		limit  int
		want   execution.Costs // without window and grouping
	}{
		{"nothing", execution.ByUser, nil, 2, execution.Costs{}},
		{
			"highest cost first, then the most tokens, then by name", execution.ByUser,
			[]execution.SpendOf{spend("b", 1, 9), spend("d", 2, 0), spend("a", 1, 9), spend("c", 1, 10)},
			4,
			execution.Costs{
				Total:  total(4, 5, 28),
				Groups: []execution.SpendOf{spend("d", 2, 0), spend("c", 1, 10), spend("a", 1, 9), spend("b", 1, 9)},
			},
		},
		{
			"the rest as one", execution.ByModel,
			[]execution.SpendOf{spend("a", 1, 1), spend("", 4, 4), spend("c", 2, 2), spend("b", 3, 3)},
			2,
			execution.Costs{
				Total:  total(4, 10, 10),
				Groups: []execution.SpendOf{spend("", 4, 4), spend("b", 3, 3)},
				Rest:   &execution.SpendOf{Key: execution.Other, Spend: total(2, 3, 3)},
			},
		},
		{
			"days ascend, and all are listed", execution.ByDay,
			[]execution.SpendOf{spend("2026-08-20", 9, 9), spend("2025-12-31", 1, 1), spend("2026-08-03", 5, 5)},
			1,
			execution.Costs{
				Total:  total(3, 15, 15),
				Groups: []execution.SpendOf{spend("2025-12-31", 1, 1), spend("2026-08-03", 5, 5), spend("2026-08-20", 9, 9)},
			},
		},
		{
			"sums stop instead of wrapping", execution.ByAgent,
			[]execution.SpendOf{spend("a", math.MaxInt64, math.MaxInt64), spend("b", math.MaxInt64, 1)},
			2,
			execution.Costs{
				Total:  total(2, math.MaxInt64, math.MaxInt64),
				Groups: []execution.SpendOf{spend("a", math.MaxInt64, math.MaxInt64), spend("b", math.MaxInt64, 1)},
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want := tt.want
			want.Window, want.GroupBy, want.Many = window, tt.by, int64(len(tt.groups))
			got := execution.NewCosts(window, tt.by, tt.groups, tt.limit)
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestCostsAreBoundedAndAddUp(t *testing.T) {
	groups := make([]execution.SpendOf, 10_000)
	for i := range groups {
		groups[i] = spend(fmt.Sprintf("user-%05d", i), int64(i), int64(2*i))
	}
	costs := execution.NewCosts(execution.Window{}, execution.ByUser, groups, 20)
	if len(costs.Groups) != 20 || costs.Groups[0].Key != "user-09999" {
		t.Fatalf("got %d groups, the first of %s", len(costs.Groups), costs.Groups[0].Key)
	}
	sum := execution.Measures{}
	for _, g := range slices.Concat(costs.Groups, []execution.SpendOf{*costs.Rest}) {
		sum.Merge(execution.Measures{Count: g.Requests, Cost: g.Cost, Unpriced: g.Unpriced, Tokens: g.Tokens})
	}
	got := execution.Spend{Requests: sum.Count, Cost: sum.Cost, Unpriced: sum.Unpriced, Tokens: sum.Tokens}
	if diff := cmp.Diff(costs.Total, got); diff != "" {
		t.Errorf("groups and rest (-total +got):\n%s", diff)
	}
}
