package rules

import (
	"fmt"

	"github.com/watchbill/watchbill/internal/report"
)

// load returns the series of one replica's pool. Each share of connections in use lasts for each minutes.
func (o pool) load(replica string, each int, shares ...float64) []inputSeries {
	const connections = 1000
	used, size := &values{}, &values{}
	for _, share := range shares {
		used.hold(each, share*connections)
		size.hold(each, connections)
	}
	return []inputSeries{
		{o.replica(replica, "watchbill_db_pool_connections", map[string]string{"state": "in_use"}), used.String()},
		{o.replica(replica, "watchbill_db_pool_connections", map[string]string{"state": "idle"}), size.String()},
		{o.replica(replica, "watchbill_db_pool_max_connections", nil), size.String()},
	}
}

func (o pool) tests() []unitTest {
	alert := o.alerts()[0]
	limit := float(o.limit)
	window, pending, keep := inMinutes(gaugeWindow), durationOf(alert.For), durationOf(alert.KeepFiringFor)

	// One of the two replicas is idle.
	const each = 60
	busy := o.test("an exhausted pool alerts in time, and resolves",
		append(o.load("a", each, limit/2, 1, limit/2), o.load("b", each, 0, 0, 0)...)...)
	busy.fires(each-1, o.base, alert, false)
	busy.fires(each+window+pending+1, o.base, alert, true)
	busy.fires(2*each-1, o.base, alert, true)
	busy.fires(2*each+window+keep+1, o.base, alert, false)

	none := o.test("a pool without a size gives no sample and no alert")
	none.Input = []inputSeries{
		{o.replica("a", "watchbill_db_pool_connections", map[string]string{"state": "in_use"}), "0+0x40"},
		{o.replica("a", "watchbill_db_pool_max_connections", nil), "0+0x40"},
	}
	none.none(40, o.recorded(poolSeries))
	none.fires(40, o.base, alert, false)

	const minutes, oscillate = 180, 15
	at := o.test("a pool at the limit does not make it flap", o.load("a", oscillate, oscillating(minutes, oscillate, limit, 1)...)...)
	at.steady(minutes-1, o.base, alert)
	return []unitTest{busy, none, at}
}

// fleet returns the series of two replicas for polling agents. rates are polls per second and agent, for each minutes each.
// expected is the rate that the server asked of each agent.
func (o polls) fleet(agents, expected float64, each int, rates ...float64) []inputSeries {
	var all []inputSeries
	for _, replica := range []string{"a", "b"} {
		requests := counter()
		for _, rate := range rates {
			requests.rise(each, rate*agents*60/2)
		}
		gauge := func(value float64) string { return (&values{}).hold(each*len(rates)+1, value).String() }
		all = append(all,
			inputSeries{o.replica(replica, "watchbill_http_requests_total", map[string]string{
				"method": report.PendingMethod, "route": report.PendingRoute, "code": "304",
			}), requests.String()},
			inputSeries{o.replica(replica, "watchbill_http_requests_total", map[string]string{
				"method": "POST", "route": "/api/deployments", "code": "201",
			}), requests.String()},
			inputSeries{o.replica(replica, "watchbill_agents_expected_polls_per_second", nil), gauge(agents * expected)},
		)
		for _, group := range []struct {
			state string
			share float64
		}{{"online", 0.75}, {"late", 0.25}, {"offline", 3}} {
			labels := map[string]string{"state": group.state}
			all = append(all, inputSeries{o.replica(replica, "watchbill_agents", labels), gauge(agents * group.share)})
		}
	}
	return all
}

func (o polls) tests() []unitTest {
	alert := o.alerts()[0]
	target, tolerance := float(o.perAgent), float(o.tolerance)
	window, pending, keep := inMinutes(gaugeWindow), durationOf(alert.For), durationOf(alert.KeepFiringFor)
	const agents, each = 200, 70
	near := func(t *unitTest, series string, want float64) {
		t.expect(each, fmt.Sprintf("abs(%s / %v - 1) < bool 0.01", series, want), 1)
	}

	storm := o.test("agents that poll too often alert in time, and resolve", o.fleet(agents, target, each, target, target*(1+tolerance)*1.5, target)...)
	near(&storm, o.recorded(pollsSeries), target)
	near(&storm, o.recorded(pollsTargetSeries), target)
	storm.fires(each, o.base, alert, false)
	storm.fires(each+window+pending+1, o.base, alert, true)
	storm.fires(2*each, o.base, alert, true)
	storm.fires(2*each+window+keep+1, o.base, alert, false)

	expected := o.test("agents that were asked to poll less often, and do, do not alert", o.fleet(agents, target/10, each, target/10)...)
	near(&expected, o.recorded(pollsTargetSeries), target/10)
	expected.fires(each, o.base, alert, false)

	more := o.test("agents that were asked to poll more often do not move the target", o.fleet(agents, target*10, each, target)...)
	near(&more, o.recorded(pollsTargetSeries), target)
	more.fires(each, o.base, alert, false)

	held := o.test("agents whose polls are held poll rarely and do not alert", o.fleet(agents, target, each, target/3)...)
	for _, replica := range []string{"a", "b"} {
		polls, intervals := counter(), counter()
		polls.rise(each, agents*target/3*60/2)
		intervals.rise(each, agents*target*60/2)
		held.Input = append(held.Input, inputSeries{o.replica(replica, "watchbill_held_polls_total", nil), polls.String()},
			inputSeries{o.replica(replica, "watchbill_held_poll_intervals_total", nil), intervals.String()})
	}
	near(&held, o.recorded(pollsSeries), target)
	held.fires(each, o.base, alert, false)

	none := o.test("no agents give no sample and no alert", o.fleet(0, target, each, 0)...)
	none.none(each, o.recorded(pollsSeries))
	none.fires(each, o.base, alert, false)

	const minutes, oscillate = 240, 20
	var rates []float64
	for _, away := range oscillating(minutes, oscillate, target*tolerance, target*tolerance*2) {
		rates = append(rates, target+away)
	}
	at := o.test("polls at the limit do not make it flap", o.fleet(agents, target, oscillate, rates...)...)
	at.steady(minutes, o.base, alert)

	tests := []unitTest{storm, expected, more, held, none, at}
	if tolerance < 1 { // otherwise no polls at all are within the tolerance
		silence := o.test("agents that do not poll alert in time", o.fleet(agents, target, each, target, 0)...)
		silence.fires(each, o.base, alert, false)
		silence.fires(each+window+pending+1, o.base, alert, true)
		tests = append(tests, silence)
	}
	return tests
}

func (o dayCost) tests() []unitTest {
	alert := o.alerts()[0]
	limit, keep := float(o.limit), durationOf(alert.KeepFiringFor)
	const each = 30
	cost := (&values{}).hold(each, limit*0.9).hold(each, limit).hold(2*each, 0).String()
	t := o.test("a spent daily budget alerts at once, and resolves the next day", // both replicas report the same cost
		inputSeries{o.replica("a", "watchbill_day_cost_usd", nil), cost},
		inputSeries{o.replica("b", "watchbill_day_cost_usd", nil), cost})
	t.fires(each-1, o.base, alert, false)
	t.fires(each, o.base, alert, true)
	t.fires(2*each+keep+1, o.base, alert, false)
	none := o.test("without replicas no alert")
	none.about = []string{"watchbill_day_cost_usd"}
	none.fires(10, o.base, alert, false)
	return []unitTest{t, none}
}

func (o windowCost) tests() []unitTest {
	if o.Window == 0 {
		return nil
	}
	alert := o.alerts()[0]
	limit, window, keep := float(o.limit), inMinutes(o.Window), durationOf(alert.KeepFiringFor)
	const each, longest = 10, 60
	spend := func(replica string, rates ...float64) inputSeries {
		v := counter()
		for _, rate := range rates {
			v.rise(each, rate)
		}
		v.rise(min(window, longest)+settled+keep+each, 0)
		return inputSeries{o.replica(replica, "watchbill_cost_usd_total", map[string]string{"agent": "helper", "model": "large"}), v.String()}
	}
	t := o.test("a spent budget alerts in time, and resolves", spend("a", 0, limit), spend("b", 0, limit))
	t.fires(each, o.base, alert, false)
	t.fires(each+settled, o.base, alert, true)
	if window <= longest { // otherwise the test would take too long
		t.fires(2*each+window+settled+keep, o.base, alert, false)
	}
	helper := o.replica("a", "watchbill_cost_usd_total", map[string]string{"agent": "helper", "model": "large"})
	first := o.test("the first execution of all counts",
		o.present("a", 0, 2*each), inputSeries{helper, fmt.Sprintf("_x%d %vx%d", each, limit, each)})
	first.fires(each-1, o.base, alert, false)
	first.fires(each+settled, o.base, alert, true)
	within := o.test("an unspent budget does not alert", spend("a", 0, limit/each/3), spend("b", 0, limit/each/3))
	within.fires(2*each+settled, o.base, alert, false)
	return []unitTest{t, first, within}
}

// reportTests returns the tests of the alerts about the report itself.
func (b base) reportTests() []unitTest {
	alerts := b.aboutReport()
	absent, overdue, failing := alerts[0], alerts[1], alerts[2]
	const each = 30
	control := func(metric string, v *values) inputSeries {
		return inputSeries{instance("controller", metric, b.labels(), b.controlLabels), v.String()}
	}

	scrapes := func(replica string) inputSeries {
		v := (&values{}).hold(each, 1).gone(each).hold(each, 1)
		return inputSeries{b.replica(replica, buildInfo, map[string]string{"version": "1"}), v.String()}
	}
	target := b.test("a missing API alerts in time, and resolves", scrapes("a"), scrapes("b"))
	target.fires(each-1, b, absent, false)
	target.fires(each+durationOf(absent.For)+1, b, absent, true)
	target.fires(2*each, b, absent, false)

	one := b.test("one replica is enough", scrapes("a"),
		inputSeries{b.replica("b", buildInfo, map[string]string{"version": "1"}), (&values{}).hold(2*each, 1).String()})
	one.fires(2*each-1, b, absent, false)

	// A report is due, is not created, and then is. Times in promtool's tests begin at 0, in vmalert-tool's they do not.
	const tomorrow, never = 24 * 60 * 60, 1e11
	due := (&values{}).hold(2*each, each*60).hold(each, tomorrow)
	if b.target.metricsQL {
		due = (&values{}).hold(each+1, never).hold(each-1, 0).hold(each, never)
	}
	late := b.test("an overdue report alerts in time, and resolves", control("watchbill_report_expected_by_timestamp_seconds", due))
	late.fires(each, b, overdue, false)
	late.fires(each+durationOf(overdue.For)+1, b, overdue, true)
	late.fires(2*each, b, overdue, false)

	suspended := b.test("a report that is suspended is not overdue")
	suspended.about = []string{"watchbill_report_expected_by_timestamp_seconds", "watchbill_report_failing"}
	suspended.fires(each, b, overdue, false)
	suspended.fires(each, b, failing, false)

	fails := b.test("a failed report alerts in time, and resolves",
		control("watchbill_report_failing", (&values{}).hold(each, 0).hold(each, 1).hold(each, 0)))
	fails.fires(each-1, b, failing, false)
	fails.fires(each+durationOf(failing.For), b, failing, true)
	fails.fires(2*each, b, failing, false)
	return []unitTest{target, one, late, suspended, fails}
}
