package rules

import (
	"fmt"
	"math"
	"time"
)

// feed is a series that counts good events, bad ones, or both.
type feed struct {
	metric    string
	labels    map[string]string
	good, bad bool
}

// phase is a period of traffic of one replica, in events per minute. restart is set if the replica has just restarted.
type phase struct {
	minutes   int
	good, bad float64
	restart   bool
}

// traffic returns one replica's series for phases of traffic.
func (e events) traffic(replica string, phases ...phase) []inputSeries {
	all := make([]inputSeries, len(e.simulation))
	for i, f := range e.simulation {
		v := counter()
		for _, p := range phases {
			if p.restart {
				v.restart()
			}
			rate := 0.0
			if f.good {
				rate += p.good
			}
			if f.bad {
				rate += p.bad
			}
			v.rise(p.minutes, rate)
		}
		all[i] = inputSeries{e.replica(replica, f.metric, f.labels), v.String()}
	}
	return all
}

// settled is the time in minutes until a change is in all increases of 5 minutes.
const settled = minutesOfIncrease + 1

// busy returns the events per minute in tests with enough traffic: an alert's window has MinEvents immediately.
func (e events) busy() float64 { return max(60, float64(e.MinEvents)) }

func (e events) tests() []unitTest {
	tests := []unitTest{
		e.noTraffic(), e.noFailure(), e.firstFailure(), e.twoReplicas(), e.quietPeriod(), e.restart(), e.fewEvents(), e.outage(),
	}
	if e.created {
		tests = append(tests, e.firstEver())
	}
	for _, limit := range e.limits() {
		tests = append(tests, e.atTheLimit(limit))
	}
	return tests
}

func (e events) noTraffic() unitTest {
	t := e.test("no traffic gives no sample and no alert", e.traffic("a", phase{minutes: 15})...)
	t.none(15, e.recorded(ratioSeries+"5m"))
	t.none(15, e.recorded(ratioSeries+"30m"))
	t.none(15, e.recorded(e.remaining()))
	t.expect(15, e.recorded(eventsSeries), 0)
	e.quiet(&t, 15)
	return t
}

func (e events) quiet(t *unitTest, at int) {
	for _, alert := range e.alerts() {
		t.fires(at, e.base, alert, false)
	}
}

// noFailure is a test without series of failures.
func (e events) noFailure() unitTest {
	var input []inputSeries
	for i, s := range e.traffic("a", phase{minutes: 15, good: e.busy()}) {
		if e.simulation[i].good {
			input = append(input, s)
		}
	}
	t := e.test("no failure gives 0, not an empty result", input...)
	t.expect(15, e.recorded(ratioSeries+"5m"), 0)
	t.expect(15, e.recorded(ratioSeries+"30m"), 0)
	t.expect(15, e.recorded(e.remaining()), 1)
	return t
}

// firstFailure is a test with series that begin at 0, as the API's do.
func (e events) firstFailure() unitTest {
	t := e.test("the first failure counts", e.traffic("a",
		phase{minutes: 10, good: e.busy()}, phase{minutes: 1, good: e.busy() - 1, bad: 1}, phase{minutes: 10, good: e.busy()})...)
	t.expect(10, e.recorded(badEventsSeries), 0)
	t.expect(11, e.recorded(badEventsSeries)+" >= bool 1", 1)
	t.expect(20, e.recorded(badEventsSeries), 0)
	return t
}

// firstEver is a test with series that begin with an event, on a replica that existed before; they count for 5 minutes, as
// others do. Events of a newly discovered replica may have happened at any time, and do not count.
func (e events) firstEver() unitTest {
	t := e.test("the first of all events counts, once", e.present("a", 0, 30))
	begin := func(replica, values string) {
		for _, f := range e.simulation {
			if f.bad {
				t.Input = append(t.Input, inputSeries{e.replica(replica, f.metric, f.labels), values})
			}
		}
	}
	begin("a", "_x10 4x20")
	if e.apiLabels["instance"] == "" { // otherwise there is only one replica
		t.Input = append(t.Input, e.present("b", 15, 15))
		begin("b", "_x15 1000x15")
	}
	bad := e.recorded(badEventsSeries) + " or vector(0)"
	t.expect(9, bad, 0)
	t.expect(10, bad, 4)
	t.expect(14, bad, 4)
	t.expect(15, bad, 0)
	t.expect(20, e.sum(badEventsSeries, 20*time.Minute)+" / "+e.sightings(), 4)
	return t
}

func (e events) twoReplicas() unitTest {
	t := e.test("two replicas count as one, by their traffic", append(
		e.traffic("a", phase{minutes: 15, good: 3 * e.busy()}), e.traffic("b", phase{minutes: 15, bad: e.busy()})...)...)
	near := func(series string, want float64) {
		t.expect(15, fmt.Sprintf("abs(%s - %v) < bool 0.000001", series, want), 1)
	}
	near(e.recorded(ratioSeries+"5m"), 0.25)
	near(e.recorded(ratioSeries+"30m"), 0.25)
	near(fmt.Sprintf("(1 - %s) * %s", e.recorded(e.remaining()), number(e.budget)), 0.25)
	return t
}

func (e events) quietPeriod() unitTest {
	t := e.test("a quiet spell counts for little, however bad it was",
		e.traffic("a", phase{minutes: 10, good: 99 * e.busy()}, phase{minutes: 15, bad: e.busy()})...)
	t.expect(25, e.recorded(ratioSeries+"5m"), 1)
	t.expect(25, e.recorded(ratioSeries+"30m")+" < bool 0.02", 1)
	return t
}

// restart is a test with half of the budget used throughout.
func (e events) restart() unitTest {
	bad := e.busy() * float(e.budget) / 2
	steady := phase{minutes: 8, good: e.busy() - bad, bad: bad}
	again := steady
	again.restart = true
	t := e.test("a replica that restarts changes nothing",
		append(e.traffic("a", steady, again, again), e.traffic("b", steady, steady, again)...)...)
	for _, at := range []int{9, 11, 16, 17, 20, 24} {
		t.expect(at, fmt.Sprintf("abs(%s / %s - 0.5) < bool 0.05", e.recorded(ratioSeries+"5m"), number(e.budget)), 1)
		t.expect(at, fmt.Sprintf("abs(%s - 0.5) < bool 0.05", e.recorded(e.remaining())), 1)
	}
	e.quiet(&t, 24)
	return t
}

// fewEvents is a test with bad events only, in total at most half of an alert's minimum.
func (e events) fewEvents() unitTest {
	const minutes = 40
	t := e.test("few events do not alert", e.traffic("a", phase{minutes: minutes, bad: float64(e.MinEvents) / 2 / minutes})...)
	t.expect(minutes, e.recorded(ratioSeries+"1h")+" == bool 1", 1)
	for _, at := range []int{10, 20, minutes} {
		e.quiet(&t, at)
	}
	return t
}

// limit is the share of bad events at which an alert fires.
type limit struct {
	alert       Rule
	share       float64
	long, short time.Duration
}

func (e events) limits() []limit {
	alerts := e.alerts()
	if e.byThreshold() {
		return []limit{{alerts[0], float(e.budget), thresholdWindow, thresholdWindow}}
	}
	var limits []limit
	for i, pair := range e.feasible() {
		limits = append(limits, limit{alerts[i], float(times(pair.factor, e.budget)), pair.long, pair.short})
	}
	return limits
}

// firesAfter returns the maximum minutes until the alert fires in an outage after good minutes without failures. A
// window that reaches back to before the good minutes has a share of bad/(bad + good), another bad/window.
func (l limit) firesAfter(good int) int {
	reached := func(window time.Duration) float64 {
		within := l.share * window.Minutes()
		if l.share < 1 {
			within = min(within, l.share*float64(good)/(1-l.share))
		}
		return within
	}
	return int(math.Ceil(max(reached(l.long), reached(l.short)))) + settled + durationOf(l.alert.For)
}

// resolvesAfter returns the maximum minutes until the alert is resolved after the end of an outage.
func (l limit) resolvesAfter() int {
	return inMinutes(l.short) + settled + durationOf(l.alert.KeepFiringFor)
}

// outage is a test whose outage ends in two ways: for alerts that page it leaves their short windows, which are short enough
// for a test; for the others so much good traffic follows that it no longer matters.
func (e events) outage() unitTest {
	const good, flood = 10, 10
	fires, passes, lowest := 0, 0, 1.0
	for _, l := range e.limits() {
		fires, lowest = max(fires, l.firesAfter(good)+1), min(lowest, l.share)
		if l.short <= thresholdWindow {
			passes = max(passes, l.resolvesAfter())
		}
	}
	half := e.busy() / 2
	phases := []phase{
		{minutes: good, good: half},
		{minutes: fires, bad: half},
		{minutes: passes, good: half},
		{minutes: flood, good: 2 * half * float64(fires) / lowest},
		{minutes: 60, good: half},
	}
	t := e.test("an outage alerts in time, and resolves",
		append(e.traffic("a", phases...), e.traffic("b", phases...)...)...)
	end := good + fires
	for _, l := range e.limits() {
		t.fires(good, e.base, l.alert, false)
		t.fires(good+l.firesAfter(good), e.base, l.alert, true)
		t.fires(end, e.base, l.alert, true)
		gone := end + l.resolvesAfter()
		if l.short > thresholdWindow {
			gone = end + passes + flood + settled + durationOf(l.alert.KeepFiringFor)
		}
		t.fires(gone, e.base, l.alert, false)
	}
	return t
}

// atTheLimit is a test with a share of bad events that repeatedly crosses the limit slightly.
func (e events) atTheLimit(l limit) unitTest {
	const minutes, each = 56, 7
	var phases []phase
	for _, share := range oscillating(minutes, each, l.share, 1) {
		phases = append(phases, phase{minutes: each, good: e.busy() * (1 - share), bad: e.busy() * share})
	}
	t := e.test("traffic at the limit over "+l.alert.Labels[labelWindow]+" does not make it flap", e.traffic("a", phases...)...)
	t.steady(minutes, e.base, l.alert)
	return t
}
