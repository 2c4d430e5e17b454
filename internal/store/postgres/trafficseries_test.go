package postgres_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/observe/metrics"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// TestTrafficSeriesAddUp checks that the points of each step and grouping add up to the facts of the window.
func TestTrafficSeriesAddUp(t *testing.T) {
	t.Parallel()
	_, r := newFleet(t)
	for _, replica := range []string{"r1", "r2"} {
		var minutes []metrics.MinuteRollup
		for i := range 90 {
			if i%7 != 0 {
				minutes = append(minutes, busyMinute(noon.Add(time.Duration(i)*time.Minute)))
			}
		}
		r.write(t, replica, minutes...)
	}
	w := report.Window{From: noon.Add(3 * time.Minute), To: noon.Add(83 * time.Minute)}
	facts := r.factsOf(t, w)
	want := report.Summarize(facts)
	for _, step := range []execution.Step{"", "1m", "5m", "15m", "1h", "1d"} {
		parts, chosen, err := r.rollups.Series(t.Context(), w, step)
		if err != nil || step != "" && chosen != step {
			t.Fatalf("%s: got step %s, %v", step, chosen, err)
		}
		var covered float64
		var polls report.PollCounts
		for _, by := range []report.SeriesBy{"", report.SeriesByEndpoint, report.SeriesByStatus} {
			requests, errors := int64(0), map[int]int64{}
			for _, series := range report.SeriesOf(parts, by, 2) {
				for i, p := range series.Points {
					requests += p.Requests
					for status, n := range p.ErrorsByStatus {
						errors[status] += n
					}
					if i > 0 && !p.From.Equal(series.Points[i-1].To) {
						t.Errorf("%s by %q: a gap before %s", step, by, p.From)
					}
					if p.Polls != nil {
						covered += p.CoveredSeconds
						polls.Delivered += p.Polls.Delivered
						polls.Empty += p.Polls.Empty
						polls.NotModified += p.Polls.NotModified
						polls.Failed += p.Polls.Failed
					}
				}
			}
			if requests != want.Requests || requests == 0 || !cmp.Equal(errors, want.ErrorsByStatus) {
				t.Errorf("%s by %q: want %d requests and errors %v, got %d and %v", step, by, want.Requests, want.ErrorsByStatus, requests, errors)
			}
		}
		if wantPolls := report.PendingDeployments(facts).Polls; covered != facts.CoveredSeconds || polls != wantPolls {
			t.Errorf("%s: want %v s and polls %+v, got %v and %+v", step, facts.CoveredSeconds, wantPolls, covered, polls)
		}
	}
}

// TestStepsOfAReport checks the traffic, the polls and the polling agents of each step of a report's window. Agents are a
// mean over samples, not over minutes.
func TestStepsOfAReport(t *testing.T) {
	t.Parallel()
	db, r := newFleet(t)
	r.write(t, "r1", busyMinute(noon), busyMinute(noon.Add(4*time.Minute)), busyMinute(noon.Add(20*time.Minute)))
	r.write(t, "r2", busyMinute(noon))
	db.saveFleet(t, noon, 1, 10, 0, 5, `{}`)
	db.saveFleet(t, noon.Add(4*time.Minute), 3, 20, 10, 7, `{}`)
	db.saveFleet(t, noon.Add(20*time.Minute), 2, 4, 0, 0, `{}`)
	db.saveFleet(t, noon.Add(6*time.Hour), 1, 99, 99, 99, `{}`) // after the window
	from := postgres.Measurements{Rollups: r.rollups}
	facts, err := from.Facts(t.Context(), report.Window{From: noon, To: noon.Add(6 * time.Hour)}, report.Parts{Steps: true})
	if err != nil {
		t.Fatal(err)
	}
	type step struct {
		Minute           int // since the window's start
		Covered          float64
		Requests, Errors int
		Polls            report.PollFacts
		Agents           report.AgentFacts
	}
	var got []step
	for _, s := range facts.Steps {
		one := step{Minute: int(s.Window.From.Sub(noon).Minutes()), Covered: s.CoveredSeconds, Polls: s.Polls, Agents: s.Agents}
		for _, e := range s.Endpoints {
			for status, n := range e.ByStatus {
				one.Requests += int(n)
				if status >= 500 {
					one.Errors += int(n)
				}
			}
		}
		if one != (step{Minute: one.Minute}) {
			got = append(got, one)
		}
	}
	want := []step{
		{0, 120, 15, 3, report.PollFacts{Delivered: 3, Empty: 6, NotModified: 9, Failed: 12}, report.AgentFacts{Polling: 25, ExpectedRPS: .5}},
		{20, 60, 5, 1, report.PollFacts{Delivered: 1, Empty: 2, NotModified: 3, Failed: 4}, report.AgentFacts{Polling: 4, ExpectedRPS: .5}},
	}
	if diff := cmp.Diff(want, got); diff != "" || len(facts.Steps) != 72 {
		t.Errorf("%d steps (-want +got):\n%s", len(facts.Steps), diff)
	}
}
