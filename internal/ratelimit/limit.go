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
	Enroll  Scope = "enroll"  // enrolments with an enrollment token
)

// By is the property by which callers have buckets of their own.
type By string

// The properties.
const (
	All     By = "" // one bucket for all callers
	ByUser  By = "user"
	ByAgent By = "agent"
	ByToken By = "token" // the token of the request
)

// Label returns a name that is never empty.
func (by By) Label() string {
	if by == All {
		return "all"
	}
	return string(by)
}

// Limit is one rule. A bucket holds Burst tokens; each run or execution takes one, and Rate are added per Window, evenly.
type Limit struct {
	Scope  Scope
	By     By
	Rate   int64
	Window time.Duration // a second, a minute, an hour or a day
	Burst  int64
}

// DefaultEnroll is the limit of enrolments if no rule sets one.
var DefaultEnroll = Limit{Scope: Enroll, By: ByToken, Rate: 600, Window: time.Minute, Burst: 1000}

// WithDefaults adds the default limits of scopes without rules.
func (all Limits) WithDefaults() Limits {
	if slices.ContainsFunc(all, func(l Limit) bool { return l.Scope == Enroll }) {
		return all
	}
	return append(slices.Clip(all), DefaultEnroll)
}

// Limits are rules that apply together.
type Limits []Limit

// String returns the rule in the syntax of Parse.
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

// pace returns the rate, such as 60/m.
func (l Limit) pace() string { return strconv.FormatInt(l.Rate, 10) + "/" + unitOf(l.Window).name }

// unit is a window that a rule can have.
type unit struct {
	name   string
	window time.Duration
	// tick is the resolution: fine enough for the largest rate, coarse enough for the largest burst to fit an int64, and
	// a divisor of a second.
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
	return unit{window.String(), window, window} // not a window of any rule
}

// names returns the limits' names as clients see them: the property, and the rate if a scope has several limits for it.
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
