package schedule_test

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the machine may lack time zones

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/report/schedule"
)

var noon = time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)

func parse(t testing.TB, expression, zone string) schedule.Schedule {
	t.Helper()
	s, err := schedule.Parse(expression, zone, noon)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func at(t testing.TB, s string) time.Time {
	t.Helper()
	parsed, err := time.Parse("2006-01-02 15:04", s)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// slots returns the next n slots after a time, in UTC.
func slots(s schedule.Schedule, after time.Time, n int) []string {
	var all []string
	for range n {
		after = s.Next(after)
		all = append(all, after.Format("2006-01-02 15:04"))
	}
	return all
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		expression, zone string
		want             []string // the slots after noon of Thursday 15 January
	}{
		{"0 8 * * 1-5", "Etc/UTC", []string{"2026-01-16 08:00", "2026-01-19 08:00", "2026-01-20 08:00"}},
		{"0 8 * * mon-FRI", "UTC", []string{"2026-01-16 08:00", "2026-01-19 08:00", "2026-01-20 08:00"}},
		{"0 0 * * *", "Europe/Berlin", []string{"2026-01-15 23:00", "2026-01-16 23:00"}},
		{"0 0 * * *", "Asia/Kathmandu", []string{"2026-01-15 18:15", "2026-01-16 18:15"}},
		{"0 0 * * *", "Etc/GMT+5", []string{"2026-01-16 05:00"}},
		{"0 0 * * *", "America/Argentina/ComodRivadavia", []string{"2026-01-16 03:00"}},
		{"@weekly", "Etc/UTC", []string{"2026-01-18 00:00", "2026-01-25 00:00"}},
		{"@every 90m", "Etc/UTC", []string{"2026-01-15 13:30", "2026-01-15 15:00"}},
		{"@every 8784h", "Etc/UTC", []string{"2027-01-16 12:00"}},
		{"  */30   9-10 *\t* * ", "Etc/UTC", []string{"2026-01-16 09:00", "2026-01-16 09:30", "2026-01-16 10:00"}},
		{"0 0 29 2 *", "Etc/UTC", []string{"2028-02-29 00:00", "2032-02-29 00:00"}},
		{"0 0 13 * 5", "Etc/UTC", []string{"2026-01-16 00:00", "2026-01-23 00:00"}}, // either day, as cron has it
		{"? ? ? ? ?", "Etc/UTC", []string{"2026-01-15 12:01"}},
		{"*/9223372036854775807 * * * *", "Etc/UTC", []string{"2026-01-15 13:00"}},
	} {
		s := parse(t, tt.expression, tt.zone)
		if diff := cmp.Diff(tt.want, slots(s, noon, len(tt.want))); diff != "" {
			t.Errorf("%q in %s: (-want +got)\n%s", tt.expression, tt.zone, diff)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	const utc = "Etc/UTC"
	for _, tt := range []struct{ expression, zone, want string }{
		{"", utc, "empty"},
		{"* * * *", utc, "5 fields, found 4"},
		{"0 0 0 * * *", utc, "5 fields, found 6"},
		{"*/0 * * * *", utc, "step"},
		{"60 * * * *", utc, "above maximum"},
		{"0 0 0 * *", utc, "below minimum"},
		{"5-1 * * * *", utc, "beyond end"},
		{"-1 * * * *", utc, "failed to parse int"},
		{"18446744073709551616 * * * *", utc, "failed to parse int"},
		{"1/2/3 * * * *", utc, "too many slashes"},
		{"a * * * *", utc, "failed to parse int"},
		{"@fortnightly", utc, "unrecognized"},
		{"@reboot", utc, "unrecognized"},
		{"@every", utc, "unrecognized"},
		{"@every 1x", utc, "unknown unit"},
		{"@every 1s", utc, "whole minutes"},
		{"@every 90s", utc, "whole minutes"},
		{"@every 0m", utc, "whole minutes"},
		{"@every -5m", utc, "whole minutes"},
		{"@every 8785h", utc, "whole minutes, at most 8784 h"},
		{"@every 99999999h", utc, "invalid duration"},
		{"0 0 31 2 *", utc, "never comes due"},
		{"0 0 30 2 *", "Europe/Berlin", "never comes due"},
		{", * * * *", utc, "never comes due"},
		{"TZ=Europe/Berlin 0 8 * * *", utc, "use timeZone"},
		{"CRON_TZ=Europe/Berlin 0 8 * * *", utc, "use timeZone"},
		{"TZ=0", utc, "use timeZone"}, // the library panics at it
		{strings.Repeat("0,", 70) + "0 8 * * *", utc, "longer than 128"},

		{"@daily", "", "IANA"},
		{"@daily", "Local", "IANA"},
		{"@daily", "local", "IANA"},
		{"@daily", "localtime", "IANA"},
		{"@daily", "posixrules", "IANA"},
		{"@daily", "Factory", "IANA"},
		{"@daily", "right/Europe/Berlin", "IANA"},
		{"@daily", "posix/Europe/Berlin", "IANA"},
		{"@daily", "Europe/Bielefeld", "IANA"},
		{"@daily", "Europe", "IANA"},
		{"@daily", "CEST", "IANA"},
		{"@daily", "UTC+1", "IANA"},
		{"@daily", "../../../etc/passwd", "IANA"},
		{"@daily", "/usr/share/zoneinfo/Europe/Berlin", "IANA"},
		{"@daily", "Europe/../Europe/Berlin", "IANA"},
		{"@daily", "./Europe/Berlin", "IANA"},
		{"@daily", "Europe//Berlin", "IANA"},
		{"@daily", "Europe/Berlin/", "IANA"},
		{"@daily", "Europe/Berlin\x00", "IANA"},
		{"@daily", "Europe\\Berlin", "IANA"},
		{"@daily", " Europe/Berlin", "IANA"},
		{"@daily", "zone.tab", "IANA"},
		{"@daily", strings.Repeat("A/", 5000) + "A", "IANA"},
	} {
		_, err := schedule.Parse(tt.expression, tt.zone, noon)
		if err == nil || !strings.Contains(err.Error(), tt.want) || len(err.Error()) > 400 {
			t.Errorf("%q in %q: want an error with %q, got %v", tt.expression, tt.zone, tt.want, err)
		}
	}
}

// TestClockChanges uses Berlin's clock changes: in 2026 from 02:00 to 03:00 on 29 March, and from 03:00 to 02:00 on 25
// October.
func TestClockChanges(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, expression, after string
		want                    []string
	}{
		{"midnights are 23 hours apart", "0 0 * * *", "2026-03-28 00:00", []string{"2026-03-28 23:00", "2026-03-29 22:00"}},
		{"midnights are 25 hours apart", "0 0 * * *", "2026-10-24 00:00", []string{"2026-10-24 22:00", "2026-10-25 23:00"}},
		{"what does not exist does not come", "30 2 * * *", "2026-03-28 00:00", []string{"2026-03-28 01:30", "2026-03-30 00:30"}},
		{"what exists twice comes twice", "30 2 * * *", "2026-10-24 12:00", []string{"2026-10-25 00:30", "2026-10-25 01:30", "2026-10-26 01:30"}},
		{"hours stay hours in spring", "0 * * * *", "2026-03-29 00:00", []string{"2026-03-29 01:00", "2026-03-29 02:00"}},
		{"hours stay hours in autumn", "0 * * * *", "2026-10-25 00:00", []string{"2026-10-25 01:00", "2026-10-25 02:00"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := parse(t, tt.expression, "Europe/Berlin")
			got := slots(s, at(t, tt.after), len(tt.want))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Fatalf("(-want +got)\n%s", diff)
			}
			for i := 1; i < len(got); i++ {
				if from := s.From(at(t, got[i]), 0); from.Format("2006-01-02 15:04") != got[i-1] {
					t.Errorf("the window to %s: want it from %s, got %v", got[i], got[i-1], from)
				}
			}
		})
	}
}

func TestFrom(t *testing.T) {
	t.Parallel()
	s := parse(t, "0 0 * * *", "Europe/Berlin")
	slot := at(t, "2026-03-29 22:00")
	for _, tt := range []struct {
		length time.Duration
		want   string
	}{
		{0, "2026-03-28 23:00"}, // the day of 23 hours
		{24 * time.Hour, "2026-03-28 22:00"},
		{time.Minute, "2026-03-29 21:59"},
	} {
		if got := s.From(slot, tt.length); !got.Equal(at(t, tt.want)) || got.Location() != time.UTC {
			t.Errorf("%s: want %s, got %v", tt.length, tt.want, got)
		}
	}
	if got := parse(t, "@every 90m", "Etc/UTC").From(slot, 0); !got.Equal(slot.Add(-90 * time.Minute)) {
		t.Errorf("@every 90m: got %v", got)
	}
}

func TestJobName(t *testing.T) {
	t.Parallel()
	slot := at(t, "2026-01-15 08:00")
	name := schedule.JobName("daily-report", slot)
	if name != "daily-report-29474400" {
		t.Errorf("got %s", name)
	}
	if got, ok := schedule.SlotOf(name); !ok || !got.Equal(slot) || got.Location() != time.UTC {
		t.Errorf("want %v back, got %v %t", slot, got, ok)
	}
	for _, byHand := range []string{
		"", "-", "daily-report", "daily-report-", "daily-report-manual-x7k2p", "29474400", "-29474400",
		"daily-20260115", "daily-2026-01-15", "daily-26297279", "daily-1", "daily-+9474400", "daily-29474400x",
		"daily-029474400", "daily-1768464000", "daily-999999999", "daily-18446744073709551616", "daily-２９４７４４００",
	} {
		if got, ok := schedule.SlotOf(byHand); ok {
			t.Errorf("%q: want none, got %v", byHand, got)
		}
	}
}
