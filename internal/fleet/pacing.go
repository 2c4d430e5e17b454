package fleet

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"
)

// Backoff gives the wait before the attempt that follows a failed one. The argument is the failed attempt's number.
type Backoff func(attempt int) time.Duration

// ExponentialBackoff doubles from base at each attempt up to limit, spread by ±20 % so that deployments which failed
// together do not come back together. random draws from [0, 1).
func ExponentialBackoff(base, limit time.Duration, random func() float64) Backoff {
	return func(attempt int) time.Duration {
		wait := float64(base) * math.Pow(2, float64(min(attempt, 63)-1))
		wait = math.Min(wait, float64(limit))
		return time.Duration(wait * (0.8 + 0.4*random()))
	}
}

// Demand is how many agents of a group poll at an interval of their own. The agents of an enrollment token are a group.
type Demand struct {
	Group    string
	Interval time.Duration
	Agents   int64
}

func (d Demand) polls() float64 { return float64(d.Agents) / d.Interval.Seconds() }

// Floors returns, for each group that must poll less often, the shortest interval that its agents may be told, so that all
// groups together stay within budget polls a second. Groups share the budget evenly: one that wants less than its share is
// left alone, and what it leaves is the others'. Within a group the shortest intervals are lengthened first. So neither agents
// that ask for short intervals nor many agents of one token make others poll less often.
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

// floorWithin returns the interval to which shorter ones are lengthened so that a group polls budget times a second.
func floorWithin(group []Demand, budget float64) time.Duration {
	slices.SortFunc(group, func(a, b Demand) int { return cmp.Compare(a.Interval, b.Interval) })
	rest := 0.0 // polls a second of the agents whose own interval is longer than the floor
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

// HoldTime returns how long to hold a poll that may be held for wait, at most limit. From holdSpreadFrom on it is 2 % to
// 10 % less: an intermediary whose timeout equals the wait must see the answer before it gives up, and polls that began
// together must not end together. random draws from [0, 1).
func HoldTime(wait, limit time.Duration, random float64) time.Duration {
	hold := min(wait, limit)
	if hold < holdSpreadFrom {
		return hold
	}
	return time.Duration(float64(hold) * (0.98 - 0.08*random))
}

// Jitter spreads an interval by ±10 %, so that agents which started together drift apart. random draws from [0, 1).
func Jitter(interval time.Duration, random float64) time.Duration {
	return time.Duration(float64(interval) * (0.9 + 0.2*random))
}
