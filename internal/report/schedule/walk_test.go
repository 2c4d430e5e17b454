package schedule

import (
	"testing"
	"time"

	"github.com/robfig/cron/v3"
)

// counted counts its calls.
type counted struct {
	cron.Schedule
	asked *int
}

func (c counted) Next(t time.Time) time.Time {
	*c.asked++
	return c.Schedule.Next(t)
}

// TestPreviousIsFast uses the schedules with the most slots to walk over: due every minute, on few days.
func TestPreviousIsFast(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)
	for _, expression := range []string{"* * * * *", "* * * 1 *", "* * 29 2 *", "0 0 29 2 *", "0 0 1 1 *", "@yearly", "59 23 31 12 *", "* * 1 1 *", "* * * * 1"} {
		s, err := Parse(expression, "Etc/UTC", now)
		if err != nil {
			t.Fatal(err)
		}
		asked := 0
		s.cron = counted{s.cron, &asked}
		for month := range 12 {
			asked = 0
			at := now.AddDate(0, month, 0)
			const limit = 10 * 24 * 60 // the minutes of some days
			if previous := s.Previous(at); previous.IsZero() || asked > limit {
				t.Errorf("%s before %v: got %v after %d steps, want at most %d", expression, at, previous, asked, limit)
			}
		}
	}
	s, err := Parse("0 0 29 2 *", "Etc/UTC", now)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Previous(time.Date(1904, 2, 29, 0, 0, 0, 0, time.UTC)); !got.IsZero() { // 1900 was no leap year
		t.Errorf("eight years before: got %v", got)
	}
}
