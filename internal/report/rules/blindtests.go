package rules

// unmeasuredTest returns a test of an API without any of the objectives' series, so it cannot be joined with other tests. An
// alert cannot fire for objectives about executions, since there may have been none.
func (p *plan) unmeasuredTest(others []unitTest) unitTest {
	pending := inMinutes(unmeasuredPending)
	report := base{plan: p}
	t := report.test("missing data of an objective alerts in time", report.present("a", 0, pending+10))
	for _, other := range others {
		for metric := range other.metrics() {
			t.about = append(t.about, metric)
		}
	}
	for i, in := range p.indicators {
		for _, alert := range p.blind(p.Objectives.All[i].Name, in) {
			b := base{plan: p, name: p.Objectives.All[i].Name}
			t.fires(pending-5, b, alert, false)
			t.fires(pending+5, b, alert, !in.lazy())
		}
	}
	return t
}
