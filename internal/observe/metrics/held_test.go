package metrics

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestHeldPolls(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	r := NewRecorder(reg, time.Now())
	const interval = 10 * time.Second
	r.HeldPoll(28*time.Second, interval, false)
	r.HeldPoll(4*time.Second, interval, true)  // there was news: at least one interval
	r.HeldPoll(25*time.Second, interval, true) // more if it was held for longer
	r.HeldPoll(5*time.Second, interval, false) // an agent that requests short waits polls often
	r.HeldPoll(-time.Second, interval, false)  // a clock was set back
	r.HeldPoll(time.Second, 0, false)          // ignored without an interval
	const want, polls = (28 + 10 + 25 + 5) * PerInterval / 10, 5
	if got := r.held.thousandths.Load(); got != want {
		t.Errorf("got %d thousandths of intervals, want %d", got, want)
	}
	first := minute{requests: map[*Route]*requestTotals{}}
	r.held.drain(&first)
	for route, want := range map[*Route]int64{r.held.pollsRoute: polls, r.held.intervalsRoute: want} {
		if totals := first.requests[route]; totals == nil || totals.byStatus[0] != want {
			t.Errorf("%s: got %v, want %d", route.pattern, totals, want)
		}
	}
	again := minute{requests: map[*Route]*requestTotals{}}
	if r.held.drain(&again); len(again.requests) != 0 {
		t.Errorf("drained twice: %v", again.requests)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		got[f.GetName()] = f.GetMetric()[0].GetCounter().GetValue()
	}
	if got["watchbill_held_polls_total"] != polls || got["watchbill_held_poll_intervals_total"] != want/1000. {
		t.Errorf("got %v", got)
	}
}
