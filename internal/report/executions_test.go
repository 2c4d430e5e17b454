package report_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/sketch"
)

// sections returns the sections of a report of these facts.
func sections(t *testing.T, f report.Facts) report.Sections {
	t.Helper()
	f.Window = lastHour
	return computed(t, request(), f, nil).Sections
}

func TestExecutionsSection(t *testing.T) {
	got := asJSON(t, sections(t, goodHour(lastHour)).Executions)
	duration := func(mean, p50, p95, p99 float64) object {
		return object{"mean": mean, "p50": p50, "p95": p95, "p99": p99}
	}
	tokens := func(used, input, output, read, write, reasoning float64) object {
		return object{"used": used, "input": input, "output": output, "cache_read": read, "cache_write": write, "reasoning": reasoning}
	}
	mean := func(seconds, n float64) float64 { return seconds * 1000 / n }
	calls := tokens(626_400, 470_400, 156_000, 312_000, 39_000, 97_500)
	want := object{
		"count": 226.0, "successful": 224.0, "failed": 2.0, "timeouts": 1.0, "success_rate": 224.0 / 226,
		"duration_ms": duration(mean(196*4.2+1.5+60+26*0.9+2*12, 226), 4200, 4200, 12000),
		"tokens":      tokens(631_020, 473_000, 156_520, 312_000, 39_000, 97_500),
		"cost_usd":    1.84575, "unpriced_tokens": 4620.0, "unknown_usage": 0.0, "estimated_cost_usd": 0.0,
		"provider_cost_usd": nil, "provider_unpriced_usd": nil, "provider_difference_usd": nil,
		"agents": []any{
			object{
				"name": "tutor", "count": 198.0, "successful": 196.0, "failed": 2.0, "timeouts": 1.0, "success_rate": 196.0 / 198,
				"duration_ms": duration(mean(196*4.2+1.5+60, 198), 4200, 4200, 4200),
				"tokens":      calls, "cost_usd": 1.84575, "unpriced_tokens": 0.0, "unknown_usage": 0.0, "estimated_cost_usd": 0.0,
				"provider_cost_usd": nil, "provider_unpriced_usd": nil, "provider_difference_usd": nil,
			},
			object{
				"name": "grader", "count": 26.0, "successful": 26.0, "failed": 0.0, "timeouts": 0.0, "success_rate": 1.0,
				"duration_ms": duration(900, 900, 900, 900),
				"tokens":      tokens(3120, 2600, 520, 0, 0, 0), "cost_usd": nil, "unpriced_tokens": 3120.0, "unknown_usage": 0.0, "estimated_cost_usd": 0.0,
				"provider_cost_usd": nil, "provider_unpriced_usd": nil, "provider_difference_usd": nil,
			},
			object{
				"name": "planner", "count": 2.0, "successful": 2.0, "failed": 0.0, "timeouts": 0.0, "success_rate": 1.0,
				"duration_ms": duration(12000, 12000, 12000, 12000),
				"tokens":      tokens(1500, 0, 0, 0, 0, 0), "cost_usd": nil, "unpriced_tokens": 1500.0, "unknown_usage": 0.0, "estimated_cost_usd": 0.0,
				"provider_cost_usd": nil, "provider_unpriced_usd": nil, "provider_difference_usd": nil,
			},
		},
		"models": []any{
			object{
				"name": "gpt-5", "count": 392.0, "successful": 390.0, "failed": 2.0, "timeouts": 0.0, "success_rate": 390.0 / 392,
				"duration_ms": duration(mean(390*2.1+2*0.4, 392), 2100, 2100, 2100),
				"tokens":      calls, "cost_usd": 1.84575, "unpriced_tokens": 0.0, "unknown_usage": 0.0, "estimated_cost_usd": 0.0,
				"provider_cost_usd": nil, "provider_unpriced_usd": nil, "provider_difference_usd": nil,
			},
			object{
				"name": "llama-3.3-70b", "count": 26.0, "successful": 26.0, "failed": 0.0, "timeouts": 0.0, "success_rate": 1.0,
				"duration_ms": duration(900, 900, 900, 900),
				"tokens":      tokens(3120, 2600, 520, 0, 0, 0), "cost_usd": nil, "unpriced_tokens": 3120.0, "unknown_usage": 0.0, "estimated_cost_usd": 0.0,
				"provider_cost_usd": nil, "provider_unpriced_usd": nil, "provider_difference_usd": nil,
			},
		},
	}
	if diff := cmp.Diff(any(want), got, cmpopts.EquateApprox(1.01*sketch.RelativeAccuracy, 0)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCostsSection(t *testing.T) {
	f := goodHour(lastHour)
	f.Days = append(f.Days, spending("2026-08-19", 3, 30, 3_000_000_000, 0))
	tokens := func(used, input, output, read, write, reasoning float64) object {
		return object{"used": used, "input": input, "output": output, "cache_read": read, "cache_write": write, "reasoning": reasoning}
	}
	one := func(name string, requests, unpriced float64, cost any, tokens object) object {
		return object{
			"name": name, "requests": requests, "tokens": tokens, "cost_usd": cost, "unpriced_tokens": unpriced, "unknown_usage": 0.0, "estimated_cost_usd": 0.0,
			"provider_cost_usd": nil, "provider_unpriced_usd": nil, "provider_difference_usd": nil,
		}
	}
	calls := tokens(626_400, 470_400, 156_000, 312_000, 39_000, 97_500)
	want := object{
		"requests": 226.0, "tokens": tokens(631_020, 473_000, 156_520, 312_000, 39_000, 97_500),
		"cost_usd": 1.84575, "unpriced_tokens": 4620.0, "unknown_usage": 0.0, "estimated_cost_usd": 0.0,
		"provider_cost_usd": nil, "provider_unpriced_usd": nil, "provider_difference_usd": nil,
		"days": []any{
			one("2026-08-19", 3, 0, 3.0, tokens(30, 0, 0, 0, 0, 0)),
			one("2026-08-20", 226, 4620, 1.84575, tokens(631_020, 0, 0, 0, 0, 0)),
		},
		"models": []any{
			one("gpt-5", 392, 0, 1.84575, calls),
			one("llama-3.3-70b", 26, 3120, nil, tokens(3120, 2600, 520, 0, 0, 0)),
			one("", 280, 1500, nil, tokens(1500, 0, 0, 0, 0, 0)),
		},
		"agents": []any{
			one("tutor", 198, 0, 1.84575, calls),
			one("grader", 26, 3120, nil, tokens(3120, 2600, 520, 0, 0, 0)),
			one("planner", 2, 1500, nil, tokens(1500, 0, 0, 0, 0, 0)),
		},
	}
	if diff := cmp.Diff(any(want), asJSON(t, sections(t, f).Costs)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	f.Executions = f.Executions[:1] // the runs have no tokens themselves
	if got := sections(t, f).Costs.Models; len(got) != 0 {
		t.Errorf("got models %+v, want none of executions without tokens", got)
	}
}

func TestSectionsOfNoExecutions(t *testing.T) {
	s := sections(t, idleHour(lastHour))
	for name, section := range map[string]struct {
		got  any
		want object
	}{
		"executions": {s.Executions, object{
			"count": 0.0, "successful": 0.0, "failed": 0.0, "timeouts": 0.0, "success_rate": nil,
			"duration_ms": object{"mean": nil, "p50": nil, "p95": nil, "p99": nil},
			"tokens":      object{"used": 0.0, "input": 0.0, "output": 0.0, "cache_read": 0.0, "cache_write": 0.0, "reasoning": 0.0},
			"cost_usd":    0.0, "unpriced_tokens": 0.0, "unknown_usage": 0.0, "estimated_cost_usd": 0.0,
			"provider_cost_usd": nil, "provider_unpriced_usd": nil, "provider_difference_usd": nil, "agents": []any{}, "models": []any{},
		}},
		"costs": {s.Costs, object{
			"requests": 0.0, "cost_usd": 0.0, "unpriced_tokens": 0.0, "unknown_usage": 0.0, "estimated_cost_usd": 0.0,
			"provider_cost_usd": nil, "provider_unpriced_usd": nil, "provider_difference_usd": nil,
			"tokens": object{"used": 0.0, "input": 0.0, "output": 0.0, "cache_read": 0.0, "cache_write": 0.0, "reasoning": 0.0},
			"days":   []any{}, "models": []any{}, "agents": []any{},
		}},
		"users": {s.Users, object{
			"window": object{"from": "2026-08-20T11:00:00Z", "to": "2026-08-20T12:00:00Z"}, "active": 0.0, "dearest": []any{},
		}},
	} {
		if diff := cmp.Diff(any(section.want), asJSON(t, section.got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A report of ten thousand agents and models is no longer than one of twenty, and all of them are counted.
func TestSectionNamesAreBounded(t *testing.T) {
	f := goodHour(lastHour)
	f.Executions = nil
	const n = 200
	for i := range n {
		name := fmt.Sprintf("%03d", i)
		f.Executions = append(f.Executions,
			executed("agent-"+name, "model-"+name, execution.Success, true, i+1, 1, using(10, 0, int64(n-i)*1e9)))
	}
	// An agent with the name of the rest is counted with it, even if it is the largest.
	f.Executions = append(f.Executions, executed(execution.Other, execution.Other, execution.Failure, true, 5000, 60, using(1, 0, 1000e9)))
	s := sections(t, f)

	for list, got := range map[string][]report.NamedExecutions{"agent": s.Executions.Agents, "model": s.Executions.Models} {
		if len(got) != report.MaxNamed+1 || got[0].Name != list+"-199" || got[0].Count != 200 {
			t.Fatalf("%ss: got %d, the first %+v", list, len(got), got[0])
		}
		other := got[report.MaxNamed]
		if want := int64(5000 + 180*181/2); other.Name != execution.Other || other.Count != want || other.Failed != 5000 {
			t.Errorf("%ss: got %s with %d, %d failed, want all others with %d, 5000 failed", list, other.Name, other.Count, other.Failed, want)
		}
		if p50, p95 := *other.Duration.P50, *other.Duration.P95; p50 > 1011 || p95 < 59400 {
			t.Errorf("%ss: got p50 %v and p95 %v of the others, want those of all their executions", list, p50, p95)
		}
	}
	for list, got := range map[string][]report.NamedSpend{"agent": s.Costs.Agents, "model": s.Costs.Models} {
		if len(got) != report.MaxNamed+1 || got[0].Name != list+"-100" || *got[0].CostUSD != 101*100 {
			t.Fatalf("%ss: got %d, the first %+v", list, len(got), got[0])
		}
		var requests, tokens int64
		for _, one := range got {
			requests, tokens = requests+one.Requests, tokens+one.Tokens.Used
		}
		if requests != s.Costs.Requests || tokens != s.Costs.Tokens.Used || got[report.MaxNamed].Name != execution.Other {
			t.Errorf("%ss: %d requests and %d tokens, want %d and %d", list, requests, tokens, s.Costs.Requests, s.Costs.Tokens.Used)
		}
	}
}

func TestUsersSection(t *testing.T) {
	var many []execution.SpendOf
	for i := range 30 {
		many = append(many, spending(fmt.Sprintf("user-%02d", i), 1, int64(i), 1, 0))
	}
	quarters := report.Window{From: lastHour.From.Add(-15 * 60e9), To: lastHour.To}
	tests := []struct {
		name  string
		users report.UserFacts
		want  []string
		other int64 // requests of agents not listed
	}{
		{"highest cost first, the others last", report.UserFacts{
			Dearest: []execution.SpendOf{spending("a", 1, 5, 1, 0), spending("b", 9, 1, 2, 0), spending("c", 1, 6, 1, 0)},
			Others:  execution.Spend{Requests: 7},
		}, []string{"b", "c", "a", execution.Other}, 7},
		{"one who is called as the others are", report.UserFacts{
			Dearest: []execution.SpendOf{spending(execution.Other, 3, 5, 9, 0), spending("b", 9, 1, 2, 0)},
			Others:  execution.Spend{Requests: 7},
		}, []string{"b", execution.Other}, 10},
		{"more than there should be", report.UserFacts{Dearest: many, Window: quarters}, slices.Concat(names("user", 29, 10), []string{execution.Other}), 10},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := idleHour(lastHour)
			f.Users = tt.users
			got := sections(t, f).Users
			var order []string
			for _, u := range got.Dearest {
				order = append(order, u.Name)
			}
			if diff := cmp.Diff(tt.want, order); diff != "" {
				t.Fatalf("(-want +got):\n%s", diff)
			}
			if last := got.Dearest[len(got.Dearest)-1]; last.Requests != tt.other {
				t.Errorf("others have %d requests, want %d", last.Requests, tt.other)
			}
			if want := tt.users.Window; want != (report.Window{}) && got.Window != want {
				t.Errorf("counted in %v, want %v", got.Window, want)
			}
		})
	}
}

// names returns numbered names, counting down.
func names(prefix string, from, to int) (all []string) {
	for i := from; i >= to; i-- {
		all = append(all, fmt.Sprintf("%s-%02d", prefix, i))
	}
	return all
}

func TestReportReadsOnlyNeededParts(t *testing.T) {
	tests := []struct {
		name             string
		sections         []report.Section
		objectives       []objective.Objective
		current, earlier report.Parts
	}{
		{"nothing", nil, nil, report.Parts{}, report.Parts{}},
		{"a summary", []report.Section{report.SectionSummary}, nil, report.Parts{Steps: true}, report.Parts{}},
		{"polls", []report.Section{report.SectionPendingDeployments}, nil, report.Parts{Steps: true}, report.Parts{}},
		{"endpoints and errors", []report.Section{report.SectionEndpoints, report.SectionErrors}, nil, report.Parts{}, report.Parts{}},
		{"queries", []report.Section{report.SectionQueries}, nil, report.Parts{Queries: true}, report.Parts{}},
		{"indexes", []report.Section{report.SectionIndexes}, nil, report.Parts{Indexes: true}, report.Parts{}},
		{"executions", []report.Section{report.SectionExecutions}, nil, report.Parts{Executions: true}, report.Parts{Executions: true}},
		{"costs", []report.Section{report.SectionCosts}, nil, report.Parts{Executions: true, Days: true}, report.Parts{Executions: true}},
		{"users", []report.Section{report.SectionUsers}, nil, report.Parts{Users: true}, report.Parts{Users: true}},
		{"success", nil, []objective.Objective{success("0.9", "")}, report.Parts{Executions: true}, report.Parts{Executions: true}},
		{"a budget of a day", nil, []objective.Objective{budget("1", "")}, report.Parts{Executions: true, Days: true}, report.Parts{Executions: true, Days: true}},
		{"a budget of a window", nil, []objective.Objective{budget("1", objective.PeriodWindow)}, report.Parts{Executions: true}, report.Parts{Executions: true}},
		{"query time", nil, []objective.Objective{{QueryTime: &objective.QueryTime{}}}, report.Parts{Queries: true}, report.Parts{Queries: true}},
		{
			"everything", report.AllSections(), objective.Defaults(),
			report.Parts{Queries: true, Indexes: true, Executions: true, Days: true, Users: true, Steps: true},
			report.Parts{Queries: true, Executions: true, Users: true},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			current, earlier := report.Request{Sections: tt.sections, Objectives: resolved(tt.objectives...)}.Parts()
			if current != tt.current || earlier != tt.earlier {
				t.Errorf("got %+v and %+v, want %+v and %+v", current, earlier, tt.current, tt.earlier)
			}
		})
	}
}
