package schedule_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/watchbill/watchbill/internal/schedule"
)

// zones have clock changes of an hour, of half an hour, at midnight, and none.
var zones = []string{
	"Etc/UTC", "Europe/Berlin", "America/New_York", "America/Santiago", "America/Havana", "Africa/Cairo", "Asia/Beirut",
	"Australia/Lord_Howe", "Asia/Kolkata", "Pacific/Apia", "Antarctica/Troll", "America/St_Johns",
}

// expression draws schedules, rare and frequent.
func expression(t *rapid.T) string {
	field := func(name string, least, most int) string {
		low := rapid.IntRange(least, most).Draw(t, name)
		high := rapid.IntRange(low, most).Draw(t, name+" end")
		step := rapid.IntRange(1, most).Draw(t, name+" step")
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

// TestWindowsMeet walks over a year of slots: each window begins where the one before ended.
func TestWindowsMeet(t *testing.T) {
	t.Parallel()
	for _, zone := range zones {
		expressions := []string{"0 0 * * *", "30 2 * * *", "0 8 * * 1-5", "0 0 * * 0", "15 3 1 * *"}
		if zone == "Europe/Berlin" || zone == "Australia/Lord_Howe" {
			expressions = append(expressions, "0 * * * *", "*/45 1-3 * * *")
		}
		for _, expression := range expressions {
			s := parse(t, expression, zone)
			end := noon.AddDate(1, 0, 0)
			for slot := s.Next(noon); slot.Before(end); {
				next := s.Next(slot)
				if from := s.From(next, 0); !from.Equal(slot) {
					t.Errorf("%s in %s: the window to %v begins at %v, the one before ended at %v", expression, zone, next, from, slot)
				}
				slot = next
			}
		}
	}
}

func TestEveryJobNameHasItsSlot(t *testing.T) {
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

// TestPreviousIsQuick has the schedules that give the most to walk over. Even on a busy machine a second is much.
func TestPreviousIsQuick(t *testing.T) {
	t.Parallel()
	for _, expression := range []string{"* * * * *", "* * * 1 *", "* * 29 2 *", "0 0 29 2 *", "0 0 1 1 *", "@yearly", "59 23 31 12 *", "* * 1 1 *"} {
		s := parse(t, expression, "Europe/Berlin")
		for month := range 12 {
			now := noon.AddDate(0, month, 0)
			began := time.Now()
			previous := s.Previous(now)
			if took := time.Since(began); took > time.Second || previous.IsZero() {
				t.Errorf("%s at %v: got %v in %s", expression, now, previous, took)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, expression := range []string{"0 8 * * 1-5", "@every 90m", "*/0 * * * *", "TZ=Europe/Berlin 0 0 * * *", "0 0 31 2 *", "@weekly", "1,2-5/3 ? * jan *"} {
		f.Add(expression, "Europe/Berlin", noon.Unix())
	}
	f.Add("0 0 * * *", "../etc/passwd", int64(0))
	f.Add("0 0 * * *", "America/Sao_Paulo", int64(1541289600)) // a midnight that was left out
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
