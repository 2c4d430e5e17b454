package objective

import (
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/watchbill/watchbill/internal/text"
)

// MaxCount is the maximum number of objectives of a report.
const MaxCount = 32

// Objective is a limit for one figure over the window of a report, as its author writes it. Exactly one of its kinds is
// set. Numbers are strings such as "0.95", so that 0.999 stays 0.999; durations are strings such as "200ms".
//
// An objective is met strictly below a maximum or strictly above a minimum. Decode objectives strictly, so that unknown
// kinds are rejected by name.
type Objective struct {
	Name            string           `json:"name"`
	Latency         *Latency         `json:"latency,omitempty"`
	ErrorRate       *ErrorRate       `json:"errorRate,omitempty"`
	PoolUtilization *PoolUtilization `json:"poolUtilization,omitempty"`
	QueryTime       *QueryTime       `json:"queryTime,omitempty"`
	PollRate        *PollRate        `json:"pollRate,omitempty"`
	SuccessRate     *SuccessRate     `json:"successRate,omitempty"`
	Cost            *Cost            `json:"cost,omitempty"`
}

// Kind is the name of a kind of objectives: its field in JSON.
type Kind string

// The kinds.
const (
	KindLatency         Kind = "latency"
	KindErrorRate       Kind = "errorRate"
	KindPoolUtilization Kind = "poolUtilization"
	KindQueryTime       Kind = "queryTime"
	KindPollRate        Kind = "pollRate"
	KindSuccessRate     Kind = "successRate"
	KindCost            Kind = "cost"
)

// entry is a kind's entry in the table of kinds.
type entry struct {
	kind    Kind
	set     bool
	resolve func(fields) Resolved
}

// kinds is the table of kinds, in the order in which errors list them.
func (o Objective) kinds() []entry {
	return []entry{
		{KindLatency, o.Latency != nil, o.Latency.resolve},
		{KindErrorRate, o.ErrorRate != nil, o.ErrorRate.resolve},
		{KindPoolUtilization, o.PoolUtilization != nil, o.PoolUtilization.resolve},
		{KindQueryTime, o.QueryTime != nil, o.QueryTime.resolve},
		{KindPollRate, o.PollRate != nil, o.PollRate.resolve},
		{KindSuccessRate, o.SuccessRate != nil, o.SuccessRate.resolve},
		{KindCost, o.Cost != nil, o.Cost.resolve},
	}
}

// Kinds returns all kinds.
func Kinds() []Kind {
	var all []Kind
	for _, e := range (Objective{}).kinds() {
		all = append(all, e.kind)
	}
	return all
}

// Resolved is a valid objective with its numbers parsed.
type Resolved struct {
	Objective
	Kind        Kind
	Description string // of the figure
	Unit        Unit   // of the figure and its target
	Comparison  Comparison
	Target      *big.Rat
	Tolerance   *big.Rat // for Around: a share of the target; otherwise nil
	// Budget is the share of events that may be bad, for kinds that count events; otherwise nil.
	Budget *big.Rat
	// Threshold is the duration at or above which an event is bad, for kinds with a quantile; otherwise 0. Target is the
	// same in milliseconds.
	Threshold time.Duration
	// Method and Route are the endpoint that the objective is about; empty: all.
	Method, Route string
	Needs         Needs

	measure func(Data) reading
}

// Needs are the more expensive parts of Data that an objective reads.
type Needs struct {
	Queries    bool
	Executions bool
	Days       bool // SpentByDay
}

// Fault is a fault of one field. Field is its path, such as objectives[2].latency.threshold.
type Fault struct{ Field, Problem string }

// Set is the objectives of a report. They may be used if Faults is empty.
type Set struct {
	All    []Resolved
	Faults []Fault
}

// Resolve validates objectives and parses their numbers. nil means the default objectives.
func Resolve(written []Objective) Set {
	var s Set
	list := fields{path: "objectives", faults: &s.Faults}
	switch {
	case written == nil:
		written = Defaults()
	case len(written) == 0:
		list.add(list.path, "must not be empty; leave it out for the default ones")
	case len(written) > MaxCount:
		list.add(list.path, "there may be %d, not %d", MaxCount, len(written))
		return s
	}
	first := map[string]int{}
	for i, o := range written {
		f := fields{path: fmt.Sprintf("%s[%d]", list.path, i), faults: &s.Faults}
		f.name("name", o.Name)
		if before, twice := first[o.Name]; twice {
			f.fault("name", "%s is the name of objectives[%d] too", text.Quote(o.Name, 40), before)
		} else {
			first[o.Name] = i
		}
		s.All = append(s.All, o.resolve(f))
	}
	return s
}

func (o Objective) resolve(f fields) Resolved {
	var known, set []string
	var r Resolved
	for _, e := range o.kinds() {
		known = append(known, string(e.kind))
		if e.set {
			set = append(set, string(e.kind))
			r = e.resolve(f.in(string(e.kind)))
			r.Objective, r.Kind = o, e.kind
		}
	}
	switch len(set) {
	case 0:
		f.add(f.path, "must have one of %s", strings.Join(known, ", "))
	case 1:
	default:
		f.add(f.path, "must have only one of %s", strings.Join(set, ", "))
	}
	return r
}
