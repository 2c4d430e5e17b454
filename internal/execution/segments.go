package execution

import "time"

// Segment is a part of a window that one width of buckets fills without a rest.
type Segment struct {
	Width    time.Duration
	From, To time.Time
	Minus    bool // what it holds is to be taken away again
}

// Kept says since when the buckets of each width are kept.
type Kept struct{ Minutes, Quarters, Hours time.Time }

// Align widens a window to the buckets that are kept: to whole minutes, and where it begins or ends before these are
// kept, to whole quarters, hours or days. Its Segments then are made of nothing else.
func (k Kept) Align(w Window) Window {
	from, to := w.From.UTC(), w.To.UTC()
	from = from.Truncate(k.finest(from))
	if width := k.finest(to); !to.Truncate(width).Equal(to) {
		to = to.Truncate(width).Add(width)
	}
	return Window{from, to}
}

// finest is the width of the narrowest buckets at which a window may begin or end at t. What is left of a wider bucket is
// filled with those, so all that it has must be kept, and not only the one at t.
func (k Kept) finest(t time.Time) time.Duration {
	width := DayWide
	for _, narrower := range []struct {
		width time.Duration
		since time.Time
	}{{HourWide, k.Hours}, {QuarterWide, k.Quarters}, {MinuteWide, k.Minutes}} {
		if t.Truncate(width).Before(narrower.since) {
			break
		}
		width = narrower.width
	}
	return width
}

// Segments divides a window, which begins and ends with buckets of the first width, into as few buckets as can be. widths
// ascend, each a multiple of the one before.
func Segments(w Window, widths ...time.Duration) []Segment {
	if !w.From.Before(w.To) || len(widths) == 0 {
		return nil
	}
	var before, after []Segment
	for i, width := range widths {
		if i == len(widths)-1 {
			before = append(before, Segment{Width: width, From: w.From, To: w.To})
			break
		}
		wider := widths[i+1]
		from, to := w.From.Truncate(wider), w.To.Truncate(wider)
		if from.Before(w.From) {
			from = from.Add(wider)
		}
		if !from.Before(to) { // not one of the wider
			before = append(before, Segment{Width: width, From: w.From, To: w.To})
			break
		}
		if w.From.Before(from) {
			before = append(before, Segment{Width: width, From: w.From, To: from})
		}
		if to.Before(w.To) {
			after = append(after, Segment{Width: width, From: to, To: w.To})
		}
		w = Window{from, to}
	}
	return append(before, after...)
}
