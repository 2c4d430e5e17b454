package postgres_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/observe/metrics"
	"github.com/watchbill/watchbill/internal/report"
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
