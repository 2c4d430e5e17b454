package report_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/internal/report"
)

func TestLastHoursAreWholeMinutes(t *testing.T) {
	tests := []struct {
		name  string
		hours int64
		now   time.Time
		want  report.Window
	}{
		{"on the minute", 1, noon, lastHour},
		{"within a minute", 1, noon.Add(-time.Second), lastHourWidened()},
		{"in another zone", 1, noon.In(inGermany), lastHour},
		{"longest", report.MaxHours, noon, report.Window{From: noon.AddDate(0, 0, -366), To: noon}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := report.LastHours(tt.hours, tt.now)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// lastHourWidened is the window of the hour up to 11:59:59.
func lastHourWidened() report.Window {
	return report.Window{From: noon.Add(-61 * time.Minute), To: noon}
}

func TestHoursOutsideLimits(t *testing.T) {
	for _, hours := range []int64{-1 << 63, -1, 0, report.MaxHours + 1, 1e9, 1<<63 - 1} {
		_, err := report.LastHours(hours, noon)
		wantFields(t, err, "hours")
	}
}

func TestPreviousWindowIsAdjacent(t *testing.T) {
	want := report.Window{From: noon.Add(-2 * time.Hour), To: noon.Add(-time.Hour)}
	if diff := cmp.Diff(want, lastHour.Previous()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// wantFields checks that an error is about these fields, in this order.
func wantFields(t *testing.T, err error, want ...string) {
	t.Helper()
	var faults report.FieldErrors
	if !errors.As(err, &faults) {
		t.Errorf("got error %v, want FieldErrors about %v", err, want)
		return
	}
	var got []string
	for _, fault := range faults {
		got = append(got, fault.Field)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fields of %q (-want +got):\n%s", err, diff)
	}
}
