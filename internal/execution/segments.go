package execution

import "time"

// Segment is a part of a window that one width of buckets fills without a rest.
type Segment struct {
	Width    time.Duration
	From, To time.Time
}

// Kept says since when the buckets of each width are kept.
type Kept struct{ Minutes, Quarters, Hours time.Time }

// Align widens a window to the buckets that are kept: to whole minutes, and where it begins or ends before these are
// kept, to whole quarters, hours or days.
func (k Kept) Align(w Window) Window {
	from, to := w.From.UTC(), w.To.UTC()
	from = from.Truncate(k.finest(from))
	if width := k.finest(to); !to.Truncate(width).Equal(to) {
		to = to.Truncate(width).Add(width)
	}
	return Window{from, to}
}

func (k Kept) finest(t time.Time) time.Duration {
	switch {
	case !t.Before(k.Minutes):
		return Minute
	case !t.Before(k.Quarters):
		return Quarter
	case !t.Before(k.Hours):
		return Hour
	default:
		return Day
	}
}

// Segments divides a window, which begins and ends with buckets of the last width, into as few buckets as can be. widths
// ascend, each a multiple of the one before.
func Segments(w Window, widths ...time.Duration) []Segment {
	if !w.From.Before(w.To) || len(widths) == 0 {
		return nil
	}
	var before, after []Segment
	for i, width := range widths {
		if i == len(widths)-1 {
			before = append(before, Segment{width, w.From, w.To})
			break
		}
		wider := widths[i+1]
		from, to := w.From.Truncate(wider), w.To.Truncate(wider)
		if from.Before(w.From) {
			from = from.Add(wider)
		}
		if !from.Before(to) { // not one of the wider
			before = append(before, Segment{width, w.From, w.To})
			break
		}
		if w.From.Before(from) {
			before = append(before, Segment{width, w.From, from})
		}
		if to.Before(w.To) {
			after = append(after, Segment{width, to, w.To})
		}
		w = Window{from, to}
	}
	return append(before, after...)
}
