package rules

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"time"

	"github.com/watchbill/watchbill/internal/objective"
)

// Series recorded for objectives with events.
const (
	eventsSeries    = "watchbill:objective_events:increase5m"
	badEventsSeries = "watchbill:objective_bad_events:increase5m"
	ratioSeries     = "watchbill:objective_bad_events:ratio" // and the window
)

// shownWindows are the windows, in addition to 5 minutes, over which shares of bad events are recorded for dashboards,
// regardless of the alerts.
var shownWindows = []time.Duration{thresholdWindow, time.Hour, 6 * time.Hour, day}

// events is an objective that counts events and allows a share of bad ones: its error budget.
type events struct {
	base
	alertName  string
	all, bad   string   // expressions: events in 5 minutes; no sample if nothing is measured
	budget     *big.Rat // the share that may be bad
	what       string   // template, of bad events: "of requests to /a took longer than 200ms"
	wanted     string   // template: "p95 of /a below 200ms"
	counts     string   // "requests"
	simulation []feed   // series of events for tests
	created    bool     // the series begin with their first event
}

// latency counts requests slower than the threshold: a quantile q is below the threshold if less than 1-q are slower.
func (b base) latency(o objective.Resolved) indicator {
	matchers := []string{is("route", o.Route)}
	where, method := o.Route, o.Method
	if method != "" {
		matchers = append([]string{is("method", method)}, matchers...)
		where = method + " " + o.Route
	} else {
		method = "GET" // in tests
	}
	e := b.slowerThan(o, "watchbill_http_request_duration_seconds", matchers,
		map[string]string{"method": method, "route": o.Route})
	e.alertName = "WatchbillLatencyHigh"
	e.what = "of requests to " + literal(where) + " took longer than " + e.what
	e.wanted += " of " + literal(where) + " below " + o.Latency.Threshold
	e.counts = "requests"
	return e
}

func (b base) queryTime(o objective.Resolved) indicator {
	e := b.slowerThan(o, "watchbill_db_query_duration_seconds", nil, map[string]string{"query": "SelectOne"})
	e.alertName = "WatchbillQueryTimeHigh"
	e.what = "of all database queries took longer than " + e.what
	e.wanted += " of all database queries below " + o.QueryTime.Threshold
	e.counts = "queries"
	return e
}

func (b base) errorRate(o objective.Resolved) indicator {
	e := events{
		base:      b,
		alertName: "WatchbillErrorRateHigh",
		budget:    o.Budget,
		what:      "of all responses were 5xx",
		wanted:    "5xx below " + percent(o.Target) + " of all responses",
		counts:    "responses",
	}
	var route []string
	labels := map[string]string{"method": "GET", "route": "/api/agents"}
	if o.Route != "" {
		route = []string{is("route", o.Route)}
		labels["route"] = o.Route
		e.what = "of responses of " + literal(o.Route) + " were 5xx"
		e.wanted = "5xx below " + percent(o.Target) + " of the responses of " + literal(o.Route)
	}
	const requests = "watchbill_http_requests_total"
	e.all = "sum(increase(" + b.measured(requests, route...) + "[5m]))"
	e.bad = "sum(increase(" + b.measured(requests, append([]string{like("code", "5..")}, route...)...) + "[5m]))\nor\n0 * " + e.all
	e.simulation = []feed{
		{requests, with(labels, "code", "200"), true, false},
		{requests, with(labels, "code", "500"), false, true},
	}
	return e
}

// executionLabels are those of the counter of executions.
var executionLabels = []string{"agent", "model", "status"}

func (b base) successRate(o objective.Resolved) indicator {
	e := events{
		base:      b,
		alertName: "WatchbillSuccessRateLow",
		budget:    o.Budget,
		what:      "of requests to AI agents failed",
		wanted:    "more than " + percent(o.Target) + " of requests to AI agents successful",
		counts:    "requests",
	}
	var agent []string
	labels := map[string]string{"agent": "helper", "model": "none"}
	if name := o.SuccessRate.Agent; name != "" {
		agent = []string{is("agent", name)}
		labels["agent"] = name
		e.what = "of requests to " + literal(name) + " failed"
		e.wanted = "more than " + percent(o.Target) + " of requests to " + literal(name) + " successful"
	}
	const executions = "watchbill_executions_total"
	e.all = b.increase(executions, executionLabels, agent...)
	e.bad = b.increase(executions, executionLabels, append([]string{like("status", "failure|timeout")}, agent...)...) + "\nor\n0 * " + e.all
	e.created = true
	e.simulation = []feed{
		{executions, with(labels, "status", "success"), true, false},
		{executions, with(labels, "status", "failure"), false, true},
	}
	return e
}

// sum returns the number of events in a window, from recorded increases. Increases overlap, so each event counts several
// times; in a share that cancels.
func (e events) sum(metric string, window time.Duration) string {
	return "sum_over_time(" + e.recorded(metric) + "[" + duration(window) + "])"
}

// share returns the share of bad events in a window, weighted by their number, so that a quiet hour counts less than a busy
// one. Without events it has no sample.
func (e events) share(window time.Duration) string {
	return e.sum(badEventsSeries, window) + " / (" + e.sum(eventsSeries, window) + " > 0)"
}

func (e events) recordings() []Rule {
	rules := []Rule{
		e.record(eventsSeries, e.all),
		e.record(badEventsSeries, e.bad),
		e.record(ratioSeries+"5m", e.recorded(badEventsSeries)+" / ("+e.recorded(eventsSeries)+" > 0)"),
	}
	for _, window := range e.ratioWindows() {
		rules = append(rules, e.record(ratioSeries+duration(window), e.share(window)))
	}
	return rules
}

// ratioWindows returns the windows, in addition to 5 minutes, over which shares of bad events are recorded: those of alerts
// and dashboards.
func (e events) ratioWindows() []time.Duration {
	windows := append([]time.Duration{}, shownWindows...)
	for _, pair := range e.burns {
		windows = append(windows, pair.short, pair.long)
	}
	slices.Sort(windows)
	windows = slices.Compact(windows)
	return slices.DeleteFunc(windows, func(window time.Duration) bool { return window == minutesOfIncrease*time.Minute })
}

// enough keeps an alert from firing until its window has enough events for a share to be meaningful.
func (e events) enough(window time.Duration) string {
	return fmt.Sprintf("%s / %s >= %s", e.sum(eventsSeries, window), e.sightings(), strconv.FormatInt(e.MinEvents, 10))
}
