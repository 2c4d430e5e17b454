package fleet_test

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/watchbill/watchbill/internal/fleet"
)

func TestFloors(t *testing.T) {
	const s = time.Second
	for name, tt := range map[string]struct {
		demand []fleet.Demand
		budget float64
		want   map[string]time.Duration
	}{
		"fits":                         {[]fleet.Demand{{"", 10 * s, 1000}}, 100, map[string]time.Duration{}},
		"nobody":                       {nil, 100, map[string]time.Duration{}},
		"one interval":                 {[]fleet.Demand{{"", 10 * s, 2000}}, 100, map[string]time.Duration{"": 20 * s}},
		"eager ones give way first":    {[]fleet.Demand{{"", s, 500}, {"", 10 * s, 500}}, 100, map[string]time.Duration{"": 10 * s}},
		"and only as far as needed":    {[]fleet.Demand{{"", s, 100}, {"", 10 * s, 500}}, 100, map[string]time.Duration{"": 2 * s}},
		"then the others":              {[]fleet.Demand{{"", s, 500}, {"", 10 * s, 500}}, 50, map[string]time.Duration{"": 20 * s}},
		"an eager group, an honest":    {[]fleet.Demand{{"fake", s, 1500}, {"", 10 * s, 1}}, 100, map[string]time.Duration{"fake": 15015 * time.Millisecond}},
		"eager ones of the same group": {[]fleet.Demand{{"", s, 1500}, {"", 10 * s, 1}}, 100, map[string]time.Duration{"": 15010 * time.Millisecond}},
		"two large groups":             {[]fleet.Demand{{"a", 10 * s, 4000}, {"b", 10 * s, 1000}}, 100, map[string]time.Duration{"a": 80 * s, "b": 20 * s}},
		"no budget to speak of":        {[]fleet.Demand{{"", s, 1_000_000}}, 1, map[string]time.Duration{"": fleet.MaxPollInterval}},
	} {
		got := fleet.Floors(tt.demand, tt.budget)
		maps.DeleteFunc(got, func(group string, floor time.Duration) bool {
			got[group] = floor.Round(time.Millisecond)
			return false
		})
		if !cmp.Equal(got, tt.want) {
			t.Errorf("%s: want %v, got %v", name, tt.want, got)
		}
	}
}

// For every fleet the budget holds, no interval is shorter than the agent's own, a group within its share is not slowed, and
// no budget is left over while an agent's interval is longer than its own.
func TestFloorsShareTheBudget(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		demand := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) fleet.Demand {
			return fleet.Demand{
				Group:    fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "group")),
				Interval: time.Duration(rapid.IntRange(1, 60).Draw(t, "seconds")) * time.Second,
				Agents:   rapid.Int64Range(1, 5000).Draw(t, "agents"),
			}
		}), 1, 20).Draw(t, "demand")
		budget := float64(rapid.IntRange(50, 5000).Draw(t, "budget"))
		floors := fleet.Floors(demand, budget)
		groups := map[string]float64{}
		total := 0.0
		for _, d := range demand {
			interval := max(d.Interval, floors[d.Group])
			total += float64(d.Agents) / interval.Seconds()
			groups[d.Group] += float64(d.Agents) / d.Interval.Seconds()
		}
		if total > budget*1.0001 {
			t.Fatalf("%f polls a second, the budget is %f", total, budget)
		}
		if len(floors) > 0 && total < budget*0.9999 {
			t.Fatalf("%f polls a second, though the budget is %f and somebody is held back", total, budget)
		}
		for name, wanted := range groups {
			if _, held := floors[name]; held && wanted <= budget/float64(len(groups)) {
				t.Fatalf("group %s is held back, and wants less than its share", name)
			}
		}
	})
}
