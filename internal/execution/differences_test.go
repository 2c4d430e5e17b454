package execution_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/watchbill/watchbill/internal/execution"
)

func TestDifferences(t *testing.T) {
	t.Parallel()
	const m, q, h, d = execution.MinuteWide, execution.QuarterWide, execution.HourWide, execution.DayWide
	part := func(width time.Duration, from, to string) execution.Segment {
		return execution.Segment{Width: width, From: clock(from), To: clock(to)}
	}
	minus := func(width time.Duration, from, to string) execution.Segment {
		return execution.Segment{Width: width, From: clock(from), To: clock(to), Minus: true}
	}
	for name, tt := range map[string]struct {
		from, to, now string
		widths        []time.Duration
		want          []execution.Segment
	}{
		"nothing":             {"2026-03-02 10:00", "2026-03-02 10:00", "2026-03-02 10:00", widths, nil},
		"negative":            {"2026-03-03 10:00", "2026-03-02 10:00", "2026-03-02 10:00", widths, nil},
		"no widths":           {"2026-03-02 10:00", "2026-03-02 11:00", "2026-03-02 10:00", nil, nil},
		"a minute of the day": {"2026-03-02 10:14", "2026-03-02 10:15", "2026-03-09 00:00", widths, []execution.Segment{part(m, "2026-03-02 10:14", "2026-03-02 10:15")}},
		"whole buckets need nothing taken away": {"2026-03-02 10:00", "2026-03-02 12:00", "2026-03-09 00:00", widths, []execution.Segment{
			part(h, "2026-03-02 10:00", "2026-03-02 12:00"),
		}},
		"a quarter without a minute": {"2026-03-02 10:01", "2026-03-02 10:15", "2026-03-09 00:00", widths, []execution.Segment{
			minus(m, "2026-03-02 10:00", "2026-03-02 10:01"), part(q, "2026-03-02 10:00", "2026-03-02 10:15"),
		}},
		"24 hours until four in the morning": {"2026-03-02 04:00", "2026-03-03 04:00", "2026-03-03 04:00", widths, []execution.Segment{
			minus(h, "2026-03-02 00:00", "2026-03-02 04:00"), part(d, "2026-03-02 00:00", "2026-03-04 00:00"),
			minus(h, "2026-03-03 04:00", "2026-03-04 00:00"),
		}},
		"24 hours until four in the afternoon": {"2026-03-02 16:00", "2026-03-03 16:00", "2026-03-03 16:00", widths, []execution.Segment{
			part(h, "2026-03-02 16:00", "2026-03-03 00:00"), part(d, "2026-03-03 00:00", "2026-03-04 00:00"),
			minus(h, "2026-03-03 16:00", "2026-03-04 00:00"),
		}},
		"long past": {"2026-03-02 16:00", "2026-03-03 16:00", "2026-03-09 00:00", widths, []execution.Segment{
			part(h, "2026-03-02 16:00", "2026-03-03 00:00"), part(d, "2026-03-03 00:00", "2026-03-04 00:00"),
			minus(h, "2026-03-03 16:00", "2026-03-04 00:00"),
		}},
		"some of each": {"2026-03-02 22:44", "2026-03-05 22:46", "2026-03-09 00:00", widths, []execution.Segment{
			part(m, "2026-03-02 22:44", "2026-03-02 22:45"), part(q, "2026-03-02 22:45", "2026-03-02 23:00"),
			part(h, "2026-03-02 23:00", "2026-03-03 00:00"), part(d, "2026-03-03 00:00", "2026-03-06 00:00"),
			part(m, "2026-03-05 22:45", "2026-03-05 22:46"), minus(q, "2026-03-05 22:45", "2026-03-05 23:00"),
			minus(h, "2026-03-05 23:00", "2026-03-06 00:00"),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := execution.Differences(execution.Window{From: clock(tt.from), To: clock(tt.to)}, clock(tt.now), tt.widths...)
			slices.SortFunc(got, func(a, b execution.Segment) int {
				if a.From.Equal(b.From) {
					return int(a.Width - b.Width)
				}
				return a.From.Compare(b.From)
			})
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestDifferencesSumToTheWindow checks that the segments minus the subtracted ones are the
// window, each moment once. There are never more buckets than Segments returns, nor more
// than the window's days plus half a day, half an hour and half a quarter at either end.
func TestDifferencesSumToTheWindow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		widths := widths[rapid.IntRange(0, 3).Draw(t, "narrowest"):]
		w := execution.Window{From: moments().Draw(t, "from").Truncate(widths[0]), To: moments().Draw(t, "to").Truncate(widths[0])}
		now := moments().Draw(t, "now")
		got := execution.Differences(w, now, widths...)
		if !w.From.Before(w.To) {
			if len(got) > 0 {
				t.Errorf("of nothing: got %v", got)
			}
			return
		}
		times := map[time.Time]int{w.From: -1, w.To: 1} // change in how often the time from then on is counted
		for _, s := range got {
			if !s.From.Before(s.To) || !s.From.Truncate(s.Width).Equal(s.From) || !s.To.Truncate(s.Width).Equal(s.To) {
				t.Errorf("not made of whole buckets: %v", s)
			}
			sign := 1
			if s.Minus {
				sign = -1
			}
			times[s.From] += sign
			times[s.To] -= sign
		}
		for at, step := range times {
			if step != 0 {
				t.Errorf("%v: from %v on it is there %+d times too often: %v", w, at, step, got)
			}
		}
		minimum := bucketsBefore(now, execution.Segments(w, widths...))
		if many := bucketsBefore(now, got); many > minimum {
			t.Errorf("%v: Segments are %d buckets, these are %d: %v", w, minimum, many, got)
		}
		days := int(w.To.Sub(w.From)/execution.DayWide) + 2
		if many, limit := bucketsBefore(now, got), days+2*(12+2+7); many > limit {
			t.Errorf("%v: want at most %d buckets, got %d: %v", w, limit, many, got)
		}
	})
}

// bucketsBefore returns the number of buckets of segments that begin before t.
func bucketsBefore(t time.Time, segments []execution.Segment) (many int) {
	for _, s := range segments {
		for at := s.From; at.Before(s.To) && at.Before(t); at = at.Add(s.Width) {
			many++
		}
	}
	return many
}
