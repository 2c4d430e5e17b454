package report

import (
	"fmt"
	"strconv"
	"time"

	"github.com/watchbill/watchbill/internal/text"
)

const (
	// MaxHours is the longest window: 366 days.
	MaxHours = 366 * 24
	// clockSkew is how far a caller's clock may be ahead when it sets the end of a window.
	clockSkew = time.Minute
)

// earliest is the earliest start of a window. RFC 3339 allows the year 0, but not the year of the window before it.
var earliest = time.Unix(0, 0).UTC()

// Window is the time from From up to, but not including, To, in UTC. A report's window consists of whole minutes, as
// rollups do.
type Window struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Coverage is a window and how much of it was measured.
type Coverage struct {
	Window
	// CoveredSeconds is how long at least one replica measured; all rates per second are divided by it.
	CoveredSeconds float64 `json:"covered_seconds"`
}

// share returns how much of the window was measured.
func (c Coverage) share() float64 {
	length := c.To.Sub(c.From).Seconds()
	if length <= 0 {
		return 0
	}
	return c.CoveredSeconds / length
}

// LastHours returns the window of the given number of hours up to now, widened to whole minutes: it may begin up to a
// minute earlier and end up to a minute later. Its error is a FieldErrors about the field "hours".
func LastHours(hours int64, now time.Time) (Window, error) {
	w, faults := lastHours(hours, now)
	return w, faults.err()
}

func lastHours(hours int64, now time.Time) (Window, FieldErrors) {
	if hours < 1 || hours > MaxHours {
		return Window{}, hoursFault(strconv.FormatInt(hours, 10))
	}
	return Window{From: now.Add(-time.Duration(hours) * time.Hour), To: now}.aligned(), nil
}

func hoursFault(got string) FieldErrors {
	return FieldErrors{{"hours", fmt.Sprintf("must be a whole number from 1 to %d, not %s", MaxHours, got)}}
}

// between returns the window from one RFC 3339 time to another, widened to whole minutes. It may end up to a minute in
// the future, since clocks differ, and span up to MaxHours.
func between(from, to string, now time.Time) (Window, FieldErrors) {
	var faults FieldErrors
	parse := func(field, s string) time.Time {
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			faults.add(field, "must be a time as in RFC 3339, such as 2006-01-02T15:04:05Z, not %s", text.Quote(s, 40))
		}
		return t
	}
	w := Window{From: parse("from", from), To: parse("to", to)}
	if len(faults) > 0 {
		return Window{}, faults
	}
	if w.To.After(now.Add(clockSkew)) {
		faults.add("to", "is in the future")
	}
	switch {
	case w.From.Before(earliest):
		faults.add("from", "is before %d", earliest.Year())
	case !w.From.Before(w.To):
		faults.add("from", "must be before to")
	case w.From.Before(w.To.Add(-MaxHours * time.Hour)):
		faults.add("from", "is more than %d hours before to", MaxHours)
	}
	return w.aligned(), faults
}

// aligned returns the window widened to whole minutes.
func (w Window) aligned() Window {
	from := w.From.UTC().Truncate(time.Minute)
	to := w.To.UTC().Truncate(time.Minute)
	if to.Before(w.To) {
		to = to.Add(time.Minute)
	}
	return Window{From: from, To: to}
}

// Previous returns the window of the same length right before this one.
func (w Window) Previous() Window {
	return Window{From: w.From.Add(w.From.Sub(w.To)), To: w.From}
}

// Contains reports whether t is in the window.
func (w Window) Contains(t time.Time) bool {
	return !t.Before(w.From) && t.Before(w.To)
}

func (w Window) equal(other Window) bool {
	return w.From.Equal(other.From) && w.To.Equal(other.To)
}
