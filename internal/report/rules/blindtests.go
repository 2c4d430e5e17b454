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
		for _, alert := range p.blind(p.Objectives[i].Name, in) {
			b := base{plan: p, name: p.Objectives[i].Name}
			t.fires(pending-5, b, alert, false)
			t.fires(pending+5, b, alert, !createdWithEvents(in))
		}
	}
	return t
}

// createdWithEvents reports whether an objective's series exist from their first event on, and not before.
func createdWithEvents(in indicator) bool {
	switch in := in.(type) {
	case events:
		return in.created
	case windowCost:
		return true
	default:
		return false
	}
}
