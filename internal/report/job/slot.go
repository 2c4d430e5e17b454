package job

import (
	"fmt"
	"time"

	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/report/schedule"
)

// ahead is how far a cluster's clocks may differ. A slot that is further in the future is a number that somebody put at the
// end of a name.
const ahead = 15 * time.Minute

// Slot returns what a Job is for: the slot in its name, or the minute that it is now if it was named by hand. So the Pods of
// one Job agree as far as its name does.
func Slot(job string, now time.Time) time.Time {
	if slot, ok := schedule.SlotOf(job); ok && !slot.After(now.Add(ahead)) {
		return slot
	}
	return now.UTC().Truncate(time.Minute)
}

// Covers returns the time that the report of a slot is of. It fails where the slot before is too long ago, or there is none.
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
		return report.Window{}, fmt.Errorf("the slot before is more than %d hours back, and no report is of more; set window", report.MaxHours)
	}
	return report.Window{From: from, To: slot.UTC()}, nil
}

// Request is what to ask the API for.
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
