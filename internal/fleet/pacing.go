package fleet

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"
)

// Backoff returns the wait after the failed attempt with the given number.
type Backoff func(attempt int) time.Duration

// ExponentialBackoff doubles the wait from base up to limit, spread by ±20 % so that deployments that failed together are
// not retried together. random returns numbers in [0, 1).
func ExponentialBackoff(base, limit time.Duration, random func() float64) Backoff {
	return func(attempt int) time.Duration {
		wait := float64(base) * math.Pow(2, float64(min(attempt, 63)-1))
		wait = math.Min(wait, float64(limit))
		return time.Duration(wait * (0.8 + 0.4*random()))
	}
}

// Demand is the number of a group's agents with the same interval. The agents of an enrollment token are a group.
type Demand struct {
	Group    string
	Interval time.Duration
	Agents   int64
}

func (d Demand) polls() float64 { return float64(d.Agents) / d.Interval.Seconds() }

// Floors returns the minimum interval of each group that must poll less often, so that all groups together stay within
// budget polls per second. Groups have equal shares of the budget; what a group does not use is divided among the others.
// Within a group the shortest intervals are lengthened first. So agents that ask for short intervals, or many agents of one
// token, do not make others poll less often.
func Floors(demand []Demand, budget float64) map[string]time.Duration {
	groups := map[string][]Demand{}
	wanted := map[string]float64{}
	for _, d := range demand {
		groups[d.Group] = append(groups[d.Group], d)
		wanted[d.Group] += d.polls()
	}
	names := slices.SortedFunc(maps.Keys(groups), func(a, b string) int {
		return cmp.Or(cmp.Compare(wanted[a], wanted[b]), cmp.Compare(a, b))
	})
	floors := map[string]time.Duration{}
	for i, name := range names {
		share := budget / float64(len(names)-i)
		if wanted[name] > share {
			floors[name] = floorWithin(groups[name], share)
		}
		budget -= min(wanted[name], share)
	}
	return floors
}

// floorWithin returns the minimum interval with which a group polls budget times per second.
func floorWithin(group []Demand, budget float64) time.Duration {
	slices.SortFunc(group, func(a, b Demand) int { return cmp.Compare(a.Interval, b.Interval) })
	rest := 0.0 // polls per second of agents with longer intervals
	for _, d := range group {
		rest += d.polls()
	}
	agents, floor := 0.0, math.Inf(1)
	for i, d := range group {
		agents += float64(d.Agents)
		rest -= d.polls()
		if rest >= budget {
			continue
		}
		if floor = agents / (budget - rest); i+1 == len(group) || floor <= group[i+1].Interval.Seconds() {
			break
		}
	}
	return time.Duration(min(floor, MaxPollInterval.Seconds()) * float64(time.Second))
}

// holdSpreadFrom is the shortest hold that ends early.
const holdSpreadFrom = 5 * time.Second

// HoldTime returns how long to hold a poll that asks for wait, at most limit. From holdSpreadFrom on it is 2 % to 10 % less,
// so that a proxy whose timeout equals wait receives the response in time, and polls that began together do not end
// together. random returns numbers in [0, 1).
func HoldTime(wait, limit time.Duration, random float64) time.Duration {
	hold := min(wait, limit)
	if hold < holdSpreadFrom {
		return hold
	}
	return time.Duration(float64(hold) * (0.98 - 0.08*random))
}

// Jitter spreads an interval by ±10 %, so that agents that started together drift apart. random returns numbers in [0, 1).
func Jitter(interval time.Duration, random float64) time.Duration {
	return time.Duration(float64(interval) * (0.9 + 0.2*random))
}
