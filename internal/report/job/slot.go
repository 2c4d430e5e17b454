package job

import (
	"fmt"
	"time"

	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/report/schedule"
)

// ahead is the maximum difference between a cluster's clocks. A slot further in the future is another number at the end of
// a name.
const ahead = 15 * time.Minute

// Slot returns a Job's slot: that in its name, or the current minute if the Job was named by hand.
func Slot(job string, now time.Time) time.Time {
	if slot, ok := schedule.SlotOf(job); ok && !slot.After(now.Add(ahead)) {
		return slot
	}
	return now.UTC().Truncate(time.Minute)
}

// Covers returns the window of a slot's report. It fails if the previous slot is too long ago or there is none.
func (s Spec) Covers(slot time.Time) (report.Window, error) {
	var length time.Duration
	if s.Window != "" {
		var err error
		if length, err = time.ParseDuration(s.Window); err != nil {
			return report.Window{}, fmt.Errorf("window: %w", err)
		}
	}
	when, err := schedule.Parse(s.Schedule, s.TimeZone, slot)
	if err != nil {
		return report.Window{}, err
	}
	from := when.From(slot, length)
	if from.IsZero() || slot.Sub(from) > report.MaxHours*time.Hour {
		return report.Window{}, fmt.Errorf("the previous slot is more than %d hours ago, the longest window of a report; set window", report.MaxHours)
	}
	return report.Window{From: from, To: slot.UTC()}, nil
}

// Request returns the API request for a window.
func (s Spec) Request(w report.Window) report.Input {
	return report.Input{
		Name:        s.Name,
		From:        w.From.UTC().Format(time.RFC3339),
		To:          w.To.UTC().Format(time.RFC3339),
		Sections:    s.Sections,
		Objectives:  s.Objectives,
		CompareWith: s.CompareWith,
		Keep:        new(int64(s.Keep)),
	}
}
