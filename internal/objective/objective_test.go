package objective_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/sketch"
)

// data is measurements of traffic, polls and a pool.
type data struct {
	traffic objective.Traffic
	polls   objective.Polls
	pool    float64
}

func (d data) Traffic(string, string) objective.Traffic {
	if d.traffic.Latency == nil {
		d.traffic.Latency = &sketch.Sketch{}
	}
	return d.traffic
}
func (data) Queries() []objective.Query       { return nil }
func (d data) Pool() (objective.Pool, bool)   { return objective.Pool{Utilization: d.pool}, true }
func (d data) Polls() (objective.Polls, bool) { return d.polls, true }
func (data) Executions() []execution.Cell     { return nil }
func (data) Spent() execution.Spend           { return execution.Spend{} }
func (data) SpentByDay() []execution.SpendOf  { return []execution.SpendOf{{Key: "2026-01-01"}} }
func polls(perAgent, expected float64) data {
	return data{polls: objective.Polls{Agents: 10, PerAgent: perAgent, Expected: expected, Seconds: 60}}
}

// everyKind returns an objective of each kind.
func everyKind() []objective.Objective {
	return append(objective.Defaults(), objective.Objective{Name: "budget", Cost: &objective.Cost{MaxUSD: "50"}})
}

// Each field of Objective that is a kind has an entry in the table of kinds, and can be resolved and measured.
func TestEveryKindIsComplete(t *testing.T) {
	t.Parallel()
	var fields []objective.Kind
	for field := range reflect.TypeFor[objective.Objective]().Fields() {
		if field.Type.Kind() == reflect.Pointer {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			fields = append(fields, objective.Kind(name))
		}
	}
	if got := objective.Kinds(); !slices.Equal(got, fields) {
		t.Errorf("the table has %v, Objective has %v", got, fields)
	}
	set := objective.Resolve(everyKind())
	if len(set.Faults) > 0 {
		t.Fatal(set.Faults)
	}
	seen := map[objective.Kind]bool{}
	for _, o := range set.All {
		seen[o.Kind] = true
		if !o.Measurable() || o.Description == "" || o.Target.Sign() <= 0 {
			t.Errorf("%s is not resolved: %+v", o.Name, o)
		}
		if (o.Comparison == objective.Around) != (o.Tolerance != nil) || (o.Threshold != 0) && o.Budget == nil {
			t.Errorf("%s has %s, tolerance %v, threshold %v and budget %v", o.Name, o.Comparison, o.Tolerance, o.Threshold, o.Budget)
		}
		result := o.Result(polls(0.1, 0.1))
		if result.Kind != o.Kind || !strings.ContainsFunc(o.Unit.Format(12.5), func(r rune) bool { return r > '9' || r == '%' }) {
			t.Errorf("%s: %+v", o.Name, result)
		}
	}
	for _, kind := range objective.Kinds() {
		if !seen[kind] {
			t.Errorf("this test has no objective of kind %s", kind)
		}
	}
}

// A rate that is summed up from intervals differs from the target by rounding errors; these lower nothing.
func TestHintedIntervalsLowerTheTarget(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		perAgent string
		expected float64
		want     float64
	}{
		{"0.1", 0.1, 0.1},
		{"0.1", 0.09999999999999998, 0.1},
		{"0.1", 0.1 * (1 - 1e-12), 0.1},
		{"0.1", 0.1 * (1 - 1e-6), 0.1 * (1 - 1e-6)},
		{"0.033333333", 1.0 / 30, 0.033333333},
		{"0.123456789", 0.12345678899999, 0.123456789},
		{"999.123456389", 999.123456389, 999.123456389}, // more digits than are compared
		{"1000", 999.9999999999, 1000},
		{"0.1", 0.05, 0.05},
		{"0.1", 0.2, 0.1},
		{"0.1", 0, 0.1},
	} {
		set := objective.Resolve([]objective.Objective{{Name: "polling", PollRate: &objective.PollRate{PerAgent: tt.perAgent, Tolerance: "0.5"}}})
		if len(set.Faults) > 0 {
			t.Fatal(set.Faults)
		}
		target, _ := set.All[0].Target.Float64()
		got := set.All[0].Result(polls(tt.want, tt.expected))
		if lowered := strings.Contains(got.Detail, "lowered"); got.Target != tt.want || lowered != (tt.want < target) {
			t.Errorf("%s, hinted %v: got target %v (%s), want %v", tt.perAgent, tt.expected, got.Target, got.Detail, tt.want)
		}
		if got.Met == nil || !*got.Met {
			t.Errorf("%s, hinted %v: agents that follow miss it: %+v", tt.perAgent, tt.expected, got)
		}
	}
}

// Figures are compared with targets as rational numbers.
func TestLimitsAreStrictAndExact(t *testing.T) {
	t.Parallel()
	errors := func(limit string) objective.Objective {
		return objective.Objective{Name: "x", ErrorRate: &objective.ErrorRate{Max: limit}}
	}
	pool := objective.Objective{Name: "x", PoolUtilization: &objective.PoolUtilization{Max: "0.8"}}
	polling := objective.Objective{Name: "x", PollRate: &objective.PollRate{PerAgent: "0.2", Tolerance: "0.5"}}
	of := func(failed, all int64) data { return data{traffic: objective.Traffic{Responses: all, Errors: failed}} }
	for name, tt := range map[string]struct {
		objective objective.Objective
		data      data
		met       bool
	}{
		"errors below":                       {errors("0.07"), of(699, 10_000), true},
		"errors at the limit":                {errors("0.07"), of(7, 100), false},
		"errors below by less than a float":  {errors("0.5"), of(1<<61-1, 1<<62), true},
		"errors above by less than a float":  {errors("0.5"), of(1<<61+1, 1<<62), false},
		"a pool at the limit":                {pool, data{pool: 0.8}, false},
		"a pool at the limit, but for error": {pool, data{pool: 0.7999999999999999}, false},
		"a pool below":                       {pool, data{pool: 0.7999}, true},
		"polls at the tolerance, and error":  {polling, polls(0.30000000000000004, 0.2), true},
		"polls beyond the tolerance":         {polling, polls(0.300001, 0.2), false},
	} {
		set := objective.Resolve([]objective.Objective{tt.objective})
		if len(set.Faults) > 0 {
			t.Fatal(set.Faults)
		}
		if got := set.All[0].Result(tt.data); got.Met == nil || *got.Met != tt.met {
			t.Errorf("%s: want met %v, got %+v", name, tt.met, got)
		}
	}
}
