package execution_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/watchbill/watchbill/internal/execution"
)

var widths = []time.Duration{execution.MinuteWide, execution.QuarterWide, execution.HourWide, execution.DayWide}

func clock(text string) time.Time {
	t, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		panic(err)
	}
	return t
}

func TestSegments(t *testing.T) {
	t.Parallel()
	const m, q, h, d = execution.MinuteWide, execution.QuarterWide, execution.HourWide, execution.DayWide
	part := func(width time.Duration, from, to string) execution.Segment {
		return execution.Segment{Width: width, From: clock(from), To: clock(to)}
	}
	for name, tt := range map[string]struct {
		from, to string
		widths   []time.Duration
		want     []execution.Segment
	}{
		"nothing":             {"2026-03-01 10:00", "2026-03-01 10:00", widths, nil},
		"negative":            {"2026-03-02 10:00", "2026-03-01 10:00", widths, nil},
		"no widths":           {"2026-03-01 10:00", "2026-03-01 11:00", nil, nil},
		"a minute":            {"2026-03-01 10:14", "2026-03-01 10:15", widths, []execution.Segment{part(m, "2026-03-01 10:14", "2026-03-01 10:15")}},
		"minutes, no quarter": {"2026-03-01 10:14", "2026-03-01 10:16", widths, []execution.Segment{part(m, "2026-03-01 10:14", "2026-03-01 10:16")}},
		"a quarter":           {"2026-03-01 10:15", "2026-03-01 10:30", widths, []execution.Segment{part(q, "2026-03-01 10:15", "2026-03-01 10:30")}},
		"a day":               {"2026-03-01 00:00", "2026-03-02 00:00", widths, []execution.Segment{part(d, "2026-03-01 00:00", "2026-03-02 00:00")}},
		"days, by the hour": {"2026-03-01 00:00", "2026-03-03 00:00", widths[1:3], []execution.Segment{
			part(h, "2026-03-01 00:00", "2026-03-03 00:00"),
		}},
		"some of each": {"2026-03-01 22:44", "2026-03-04 01:16", widths, []execution.Segment{
			part(m, "2026-03-01 22:44", "2026-03-01 22:45"), part(q, "2026-03-01 22:45", "2026-03-01 23:00"),
			part(h, "2026-03-01 23:00", "2026-03-02 00:00"), part(d, "2026-03-02 00:00", "2026-03-04 00:00"),
			part(h, "2026-03-04 00:00", "2026-03-04 01:00"), part(q, "2026-03-04 01:00", "2026-03-04 01:15"),
			part(m, "2026-03-04 01:15", "2026-03-04 01:16"),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := execution.Segments(execution.Window{From: clock(tt.from), To: clock(tt.to)}, tt.widths...)
			slices.SortFunc(got, func(a, b execution.Segment) int { return a.From.Compare(b.From) })
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// checkSegments checks that segments fill the window without gaps, are made of whole buckets and are few.
func checkSegments(t *rapid.T, w execution.Window, got []execution.Segment, widths []time.Duration) {
	got = slices.Clone(got)
	slices.SortFunc(got, func(a, b execution.Segment) int { return a.From.Compare(b.From) })
	if len(got) > 2*len(widths)-1 {
		t.Errorf("want at most %d, got %v", 2*len(widths)-1, got)
	}
	at := w.From
	for _, s := range got {
		if !s.From.Equal(at) || !s.From.Before(s.To) {
			t.Errorf("want one from %v, got %v", at, s)
		}
		if !s.From.Truncate(s.Width).Equal(s.From) || !s.To.Truncate(s.Width).Equal(s.To) {
			t.Errorf("not made of whole buckets: %v", s)
		}
		// No narrow segment where a wider one fits.
		if i := slices.Index(widths, s.Width); i+1 < len(widths) && s.To.Sub(s.From) >= 2*widths[i+1] {
			t.Errorf("not as few as can be: %v", s)
		}
		at = s.To
	}
	if len(got) > 0 && !at.Equal(w.To) {
		t.Errorf("want them to end at %v, got %v", w.To, at)
	}
}

// moments returns a generator of times in whole seconds, up to some days from noon.
func moments() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		scale := rapid.SampledFrom([]time.Duration{time.Second, time.Minute, 15 * time.Minute, time.Hour, 24 * time.Hour}).Draw(t, "scale")
		return noon.Add(time.Duration(rapid.Int64Range(-100, 100).Draw(t, "times")) * scale)
	})
}

func TestSegmentsFillTheWindow(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		widths := widths[rapid.IntRange(0, 3).Draw(t, "narrowest"):]
		from, to := moments().Draw(t, "from").Truncate(widths[0]), moments().Draw(t, "to").Truncate(widths[0])
		got := execution.Segments(execution.Window{From: from, To: to}, widths...)
		if !from.Before(to) {
			if len(got) > 0 {
				t.Errorf("of nothing: got %v", got)
			}
			return
		}
		if len(got) == 0 {
			t.Error("got none")
		}
		checkSegments(t, execution.Window{From: from, To: to}, got, widths)
	})
}

// TestAlignedWindowIsKept checks that an aligned window is divided only into buckets that are still kept.
func TestAlignedWindowIsKept(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		since := []time.Time{moments().Draw(t, "hours")}
		for _, name := range []string{"quarters", "minutes"} { // narrower widths have the shorter retention
			since = append(since, since[len(since)-1].Add(time.Duration(rapid.Int64Range(0, int64(50*time.Hour)).Draw(t, name))))
		}
		kept := execution.Kept{Hours: since[0], Quarters: since[1], Minutes: since[2]}
		w := execution.Window{From: moments().Draw(t, "from"), To: moments().Draw(t, "to")}
		got := kept.Align(w)
		if got.From.After(w.From) || got.To.Before(w.To) || w.From.Sub(got.From) >= execution.DayWide || got.To.Sub(w.To) >= execution.DayWide {
			t.Fatalf("%v: want it widened by less than a day, got %v", w, got)
		}
		if got.From.Location() != time.UTC || got.To.Location() != time.UTC {
			t.Errorf("want UTC, got %v", got)
		}
		if again := kept.Align(got); again != got {
			t.Errorf("%v: aligned again it is %v", got, again)
		}
		segments := execution.Segments(got, widths...)
		if got.From.Before(got.To) {
			checkSegments(t, got, segments, widths)
		}
		// Clean-up keeps everything for one more hour, so no retention is shorter than that.
		now := kept.Minutes.Add(time.Duration(rapid.Int64Range(int64(time.Hour), int64(50*time.Hour)).Draw(t, "now")))
		for _, s := range append(segments, execution.Differences(got, now, widths...)...) {
			begin := map[time.Duration]time.Time{execution.MinuteWide: kept.Minutes, execution.QuarterWide: kept.Quarters, execution.HourWide: kept.Hours}[s.Width]
			if s.From.Before(begin) {
				t.Errorf("%v from %v, but it is kept since %v", s.Width, s.From, begin)
			}
		}
	})
}

func TestAlign(t *testing.T) {
	t.Parallel()
	kept := execution.Kept{Minutes: clock("2026-03-20 00:00"), Quarters: clock("2026-03-10 00:00"), Hours: clock("2026-02-01 00:00")}
	for _, tt := range []struct{ from, to, wantFrom, wantTo string }{
		{"2026-03-20 00:01", "2026-03-21 00:02", "2026-03-20 00:01", "2026-03-21 00:02"},
		{"2026-03-19 23:59", "2026-03-21 00:02", "2026-03-19 23:45", "2026-03-21 00:02"},
		{"2026-03-09 23:59", "2026-03-19 23:44", "2026-03-09 23:00", "2026-03-19 23:45"},
		{"2026-01-31 23:59", "2026-03-09 23:44", "2026-01-31 00:00", "2026-03-10 00:00"},
		{"2026-01-30 01:00", "2026-01-30 02:00", "2026-01-30 00:00", "2026-01-31 00:00"},
		{"2026-01-30 00:00", "2026-01-31 00:00", "2026-01-30 00:00", "2026-01-31 00:00"},
		{"2027-01-30 01:07", "2027-01-30 02:08", "2027-01-30 01:07", "2027-01-30 02:08"}, // the future is kept
	} {
		got := kept.Align(execution.Window{From: clock(tt.from), To: clock(tt.to)})
		if want := (execution.Window{From: clock(tt.wantFrom), To: clock(tt.wantTo)}); got != want {
			t.Errorf("%s to %s: want %v, got %v", tt.from, tt.to, want, got)
		}
	}
}
