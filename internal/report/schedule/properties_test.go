package schedule_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/watchbill/watchbill/internal/report/schedule"
)

// zones have clock changes of an hour, of half an hour, at midnight, and none.
var zones = []string{
	"Europe/Berlin", "Australia/Lord_Howe", "Africa/Cairo", "Etc/UTC", "America/New_York", "America/Santiago", "America/Havana",
	"Asia/Beirut", "Asia/Kolkata", "Pacific/Apia", "Antarctica/Troll", "America/St_Johns",
}

// expression draws rare and frequent schedules.
func expression(t *rapid.T) string {
	field := func(name string, minimum, limit int) string {
		low := rapid.IntRange(minimum, limit).Draw(t, name)
		high := rapid.IntRange(low, limit).Draw(t, name+" end")
		step := rapid.IntRange(1, limit).Draw(t, name+" step")
		return rapid.SampledFrom([]string{
			"*", fmt.Sprint(low), fmt.Sprintf("%d-%d", low, high), fmt.Sprintf("*/%d", step), fmt.Sprintf("%d,%d", low, high),
		}).Draw(t, name+" syntax")
	}
	if rapid.IntRange(0, 9).Draw(t, "kind") == 0 {
		return rapid.SampledFrom([]string{"@hourly", "@daily", "@weekly", "@monthly", "@yearly", "@every 90m", "@every 1m"}).Draw(t, "descriptor")
	}
	return fmt.Sprint(field("minute", 0, 59), " ", field("hour", 0, 23), " ", field("day", 1, 28), " ", field("month", 1, 12), " ", field("weekday", 0, 6))
}

func anyTime(t *rapid.T) time.Time {
	first := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	last := time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	return time.Unix(rapid.Int64Range(first, last).Draw(t, "second"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanosecond")).UTC()
}

func TestNextAndPrevious(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		now := anyTime(t)
		s, err := schedule.Parse(expression(t), rapid.SampledFrom(zones).Draw(t, "zone"), now)
		if err != nil {
			t.Fatal(err)
		}
		next, previous := s.Next(now), s.Previous(now)
		if !next.After(now) || !previous.Before(now) {
			t.Fatalf("want %v < %v < %v", previous, now, next)
		}
		if after := s.Next(previous); after.Before(now.Truncate(time.Second)) {
			t.Fatalf("want none between %v and %v, got %v", previous, now, after)
		}
		second := s.Next(next)
		if got := s.Previous(second); !got.Equal(next) {
			t.Fatalf("after %v comes %v; want it before that, got %v", next, second, got)
		}
	})
}

// TestWindowsMeet checks over a year of slots that each window begins where the previous one ended. For schedules due more
// than once a day, and for all zones but the first few, it checks only the weeks in which clocks change.
func TestWindowsMeet(t *testing.T) {
	t.Parallel()
	for i, zone := range zones {
		location, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		expressions := []string{"0 0 * * *", "30 2 * * *", "0 8 * * 1-5", "0 0 * * 0", "15 3 1 * *"}
		if i < 3 {
			expressions = append(expressions, "0 * * * *", "*/45 1-3 * * *")
		}
		for _, expression := range expressions {
			s := parse(t, expression, zone)
			end := noon.AddDate(1, 0, 0)
			windows := 0
			for slot := s.Next(noon); slot.Before(end); {
				next := s.Next(slot)
				if i < 3 && next.Sub(slot) >= 20*time.Hour || clocksChange(location, slot) {
					windows++
					if from := s.From(next, 0); !from.Equal(slot) {
						t.Errorf("%s in %s: the window to %v begins at %v, the one before ended at %v", expression, zone, next, from, slot)
					}
				}
				slot = next
			}
			if windows == 0 && i < 3 {
				t.Errorf("%s in %s: no window was looked at", expression, zone)
			}
		}
	}
}

func clocksChange(zone *time.Location, about time.Time) bool {
	const week = 7 * 24 * time.Hour
	_, before := about.Add(-week).In(zone).Zone()
	_, after := about.Add(week).In(zone).Zone()
	return before != after
}

func TestJobNamesAreUniquePerSlot(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		slot := anyTime(t)
		cronJob := rapid.StringMatching(`[a-z0-9]([-a-z0-9.]{0,40}[a-z0-9])?`).Draw(t, "name")
		got, ok := schedule.SlotOf(schedule.JobName(cronJob, slot))
		if want := slot.Truncate(time.Minute); !ok || !got.Equal(want) {
			t.Fatalf("want %v, got %v %t", want, got, ok)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, expression := range []string{"0 8 * * 1-5", "@every 90m", "*/0 * * * *", "TZ=Europe/Berlin 0 0 * * *", "0 0 31 2 *", "@weekly", "1,2-5/3 ? * jan *"} {
		f.Add(expression, "Europe/Berlin", noon.Unix())
	}
	f.Add("0 0 * * *", "../etc/passwd", int64(0))
	f.Add("0 0 * * *", "America/Sao_Paulo", int64(1541289600)) // a skipped midnight
	f.Fuzz(func(t *testing.T, expression, zone string, second int64) {
		const years = 365 * 24 * 60 * 60
		now := time.Unix(second%(60*years)+60*years, 0) // from 1970 to 2090
		s, err := schedule.Parse(expression, zone, now)
		if err != nil {
			return
		}
		next, previous := s.Next(now), s.Previous(now)
		if next.IsZero() || !next.After(now) || !previous.Before(now) {
			t.Fatalf("%q in %q: want %v < %v < %v", expression, zone, previous, now, next)
		}
	})
}
