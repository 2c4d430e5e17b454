package execution

import "time"

// Segment is a part of a window that consists of whole buckets of one width.
type Segment struct {
	Width    time.Duration
	From, To time.Time
	Minus    bool // it is to be subtracted
}

// Kept is the time since which the buckets of each width are stored.
type Kept struct{ Minutes, Quarters, Hours time.Time }

// Align widens a window to stored buckets: to whole minutes or, before minutes are stored, to whole quarters, hours or days.
// Its Segments then consist of stored buckets only.
func (k Kept) Align(w Window) Window {
	from, to := w.From.UTC(), w.To.UTC()
	from = from.Truncate(k.finest(from))
	if width := k.finest(to); !to.Truncate(width).Equal(to) {
		to = to.Truncate(width).Add(width)
	}
	return Window{from, to}
}

// finest returns the narrowest width at which a window may begin or end at t. The rest of a wider bucket is read in buckets
// of that width, so all of them must be stored, not only the one at t.
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

// Segments divides a window, which begins and ends at buckets of the first width, into the minimum number of buckets. widths
// ascend, each a multiple of the previous one.
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
