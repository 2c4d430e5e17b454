package execution

import (
	"slices"
	"time"
)

// Differences divides a window as Segments does, but may take a larger window and subtract the rest if that needs fewer
// buckets: yesterday's last 20 hours are that day minus its first four hours. Buckets that begin after now are nearly empty
// and free, so today until now is today. The whole of a wider bucket in which the window begins or ends must be stored at
// the narrower widths: see Kept.Align.
func Differences(w Window, now time.Time, widths ...time.Duration) []Segment {
	if !w.From.Before(w.To) || len(widths) == 0 {
		return nil
	}
	segments, _ := differences(w, now, widths)
	return segments
}

// differences also returns the number of buckets. It tries all combinations: from each end of the window to either end of
// the wider bucket there.
func differences(w Window, now time.Time, widths []time.Duration) (fewest []Segment, buckets int) {
	if w.From.Equal(w.To) {
		return nil, 0
	}
	if len(widths) > 1 && len(bounds(w.From, widths[1])) == 1 && len(bounds(w.To, widths[1])) == 1 {
		return differences(w, now, widths[1:])
	}
	plain := Segment{Width: widths[0], From: w.From, To: w.To}
	fewest, buckets = []Segment{plain}, plain.buckets(now)
	if len(widths) == 1 {
		return fewest, buckets
	}
	for _, from := range bounds(w.From, widths[1]) {
		for _, to := range bounds(w.To, widths[1]) {
			if from.After(to) {
				continue
			}
			outer, many := ends(w, Window{from, to}, widths[0], now)
			if many >= buckets { // regardless of the buckets between them
				continue
			}
			between, more := differences(Window{from, to}, now, widths[1:])
			if many += more; many < buckets {
				fewest, buckets = slices.Concat(between, outer), many
			}
		}
	}
	return fewest, buckets
}

// ends returns the segments between the ends of a window and those of another, and their number of buckets.
func ends(w, other Window, width time.Duration, now time.Time) (ends []Segment, buckets int) {
	for _, end := range []Segment{
		{width, w.From, other.From, false},
		{width, other.From, w.From, true},
		{width, other.To, w.To, false},
		{width, w.To, other.To, true},
	} {
		if end.From.Before(end.To) {
			ends, buckets = append(ends, end), buckets+end.buckets(now)
		}
	}
	return ends, buckets
}

// bounds returns the start and end of the bucket that contains t, or t itself if a bucket begins there.
func bounds(t time.Time, width time.Duration) []time.Time {
	begin := t.Truncate(width)
	if begin.Equal(t) {
		return []time.Time{t}
	}
	return []time.Time{begin, begin.Add(width)}
}

// buckets returns the number of the segment's buckets that begin before a time.
func (s Segment) buckets(before time.Time) int {
	if s.To.Before(before) {
		before = s.To
	}
	if !s.From.Before(before) {
		return 0
	}
	return int((before.Sub(s.From) + s.Width - 1) / s.Width)
}
