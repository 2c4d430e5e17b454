package ratelimit

import (
	"slices"
	"strconv"
	"time"
)

// Scope is what is limited.
type Scope string

// The scopes.
const (
	Gateway Scope = "gateway" // runs of agents
	Ingest  Scope = "ingest"  // executions that are logged
	Enroll  Scope = "enroll"  // agents that enrol by an enrollment token
)

// By says who has a bucket of his own.
type By string

// Those who can have a bucket.
const (
	All     By = "" // nobody: all share one
	ByUser  By = "user"
	ByAgent By = "agent"
	ByToken By = "token" // the token that the request came with
)

// Label names it where it must not be empty.
func (by By) Label() string {
	if by == All {
		return "all"
	}
	return string(by)
}

// Limit is one rule. A bucket holds Burst; each run or execution takes one out, and Rate come back in each Window, evenly.
type Limit struct {
	Scope  Scope
	By     By
	Rate   int64
	Window time.Duration // a second, a minute, an hour or a day
	Burst  int64
}

// DefaultEnroll is the limit of enrolments where no rule is about them.
var DefaultEnroll = Limit{Scope: Enroll, By: ByToken, Rate: 600, Window: time.Minute, Burst: 1000}

// WithDefaults adds the limits that hold where no rule is about their scope.
func (all Limits) WithDefaults() Limits {
	if slices.ContainsFunc(all, func(l Limit) bool { return l.Scope == Enroll }) {
		return all
	}
	return append(slices.Clip(all), DefaultEnroll)
}

// Limits are the rules that hold, all of them at once.
type Limits []Limit

// String is the rule as Parse reads it.
func (l Limit) String() string {
	s := string(l.Scope)
	if l.By != All {
		s += "/" + string(l.By)
	}
	s += "=" + l.pace()
	if l.Burst != l.Rate {
		s += ":burst=" + strconv.FormatInt(l.Burst, 10)
	}
	return s
}

// pace is the rate, such as 60/m.
func (l Limit) pace() string { return strconv.FormatInt(l.Rate, 10) + "/" + unitOf(l.Window).name }

// unit is a window that a rule can have.
type unit struct {
	name   string
	window time.Duration
	// tick is how exactly it is measured: finely enough for the largest rate, coarsely enough for the largest burst to fit a
	// number, and so that there is a whole number of them in a second.
	tick time.Duration
}

var units = []unit{
	{"s", time.Second, time.Nanosecond},
	{"m", time.Minute, 100 * time.Nanosecond},
	{"h", time.Hour, 10 * time.Microsecond},
	{"d", 24 * time.Hour, 100 * time.Microsecond},
}

func unitOf(window time.Duration) unit {
	for _, u := range units {
		if u.window == window {
			return u
		}
	}
	return unit{window.String(), window, window} // which no rule has
}

// names are what clients are told the limits by: whom they are for, and where a scope has several for the same, the rate too.
func (all Limits) names() []string {
	type group struct {
		scope Scope
		by    By
	}
	groups := map[group]int{}
	for _, l := range all {
		groups[group{l.Scope, l.By}]++
	}
	names := make([]string, len(all))
	for i, l := range all {
		names[i] = l.By.Label()
		if groups[group{l.Scope, l.By}] > 1 {
			names[i] += ":" + l.pace()
		}
	}
	return names
}
