package desired

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/report/schedule"
	"github.com/watchbill/watchbill/internal/text"
)

// Check returns the faults of a report's spec as report.FieldErrors, each with its path and how to fix it; nil if there are
// none. The API server rejects most of them by the validation rules of api/v1alpha1, but the CustomResourceDefinition in a
// cluster may be older than this program, and it cannot check schedules, time zones and alerts.
func Check(r Resolved, now time.Time) error {
	var f faults
	spec := r.Spec
	f.name(r.Name)
	f.schedule(spec, now)
	f.oneOf("spec.concurrencyPolicy", string(spec.ConcurrencyPolicy), "Forbid", "Replace", "Allow")
	f.between("spec.startingDeadlineSeconds", spec.StartingDeadlineSeconds, 60, 7*24*60*60)
	f.window(spec.Window)
	f.oneOf("spec.compareWith", string(spec.CompareWith), "Previous", "None")
	f.request(r)
	f.alerting(r)
	f.outputs(spec.Outputs)
	f.between("spec.retention.successfulRuns", int64(spec.Retention.SuccessfulRuns), 1, 100)
	f.between("spec.retention.failedRuns", int64(spec.Retention.FailedRuns), 1, 100)
	f.between("spec.retention.reports", int64(spec.Retention.Reports), 1, report.MaxKeep)
	return f.err()
}

// faults collects errors.
type faults report.FieldErrors

func (f *faults) add(field, format string, args ...any) {
	*f = append(*f, report.FieldError{Field: field, Problem: fmt.Sprintf(format, args...)})
}

// take adds the faults of an error with renamed fields. Fields that already have faults are skipped.
func (f *faults) take(err error, rename func(field string) string) {
	if err == nil {
		return
	}
	var theirs report.FieldErrors
	if !errors.As(err, &theirs) {
		f.add("spec", "%v", err)
		return
	}
	known := map[string]bool{}
	for _, fault := range *f {
		known[fault.Field] = true
	}
	for _, fault := range theirs {
		if field := rename(fault.Field); !known[field] {
			f.add(field, "%s", fault.Problem)
		}
	}
}

func (f *faults) err() error {
	if len(*f) == 0 {
		return nil
	}
	return report.FieldErrors(*f)
}

func (f *faults) oneOf(field, s string, known ...string) {
	if !slices.Contains(known, s) {
		f.add(field, "must be one of %s, not %s", strings.Join(known, ", "), text.Quote(s, 40))
	}
}

func (f *faults) between(field string, n, minimum, limit int64) {
	if n < minimum || n > limit {
		f.add(field, "must be from %d to %d, not %d", minimum, limit, n)
	}
}

func (f *faults) name(name string) {
	switch {
	case len(name) > MaxName:
		f.add("metadata.name", "must be at most %d characters, since names of Jobs are made from it, not %d", MaxName, len(name))
	case len(validation.IsDNS1123Subdomain(name)) > 0:
		f.add("metadata.name", "must be of a-z, 0-9, - and ., and begin and end with a letter or digit, not %s", text.Quote(name, 40))
	}
}

func (f *faults) schedule(spec v1alpha1.MonitoringReportSpec, now time.Time) {
	zone := spec.TimeZone
	if _, err := schedule.Parse("@hourly", zone, now); err != nil || !zoneOfCronJob(zone) {
		f.add("spec.timeZone", "must be a name of the IANA's database, such as Europe/Berlin, not %s", text.Quote(zone, 40))
		zone = "Etc/UTC" // to find the schedule's other faults
	}
	when, err := schedule.Parse(spec.Schedule, zone, now)
	if err != nil {
		f.add("spec.schedule", "%s", strings.TrimPrefix(err.Error(), "schedule "))
		return
	}
	first := when.Next(now)
	if second := when.Next(first); spec.Window == "" && (second.IsZero() || second.Sub(first) > report.MaxHours*time.Hour) {
		f.add("spec.window", "must be set, to at most %dh: the time since the previous slot is longer", report.MaxHours)
	}
	// Jobs' names end in their minute: of two in one minute only the first would run.
	if every, found := strings.CutPrefix(spec.Schedule, "@every "); found {
		if d, err := time.ParseDuration(every); err != nil || d < time.Minute || d%time.Minute != 0 {
			f.add("spec.schedule", "must be @every and whole minutes, such as @every 90m, not %s", text.Quote(spec.Schedule, 40))
		}
	}
}

// zoneOfCronJob reports whether a CronJob accepts the name of a zone that Go accepts.
func zoneOfCronJob(zone string) bool {
	for part := range strings.SplitSeq(zone, "/") {
		if len(part) == 0 || len(part) > 14 || strings.HasPrefix(part, "-") || strings.Trim(part, ".") == "" {
			return false
		}
	}
	return true
}

func (f *faults) window(window string) {
	if window == "" {
		return
	}
	d, err := time.ParseDuration(window)
	if err != nil || d < time.Minute || d > report.MaxHours*time.Hour || d%time.Minute != 0 {
		f.add("spec.window", "must be whole minutes from 1m to %dh, such as 24h or 1h30m, not %s", report.MaxHours, text.Quote(window, 40))
	}
}

// request checks the fields sent to the API as the API does.
func (f *faults) request(r Resolved) {
	var sections []string
	if r.Spec.Sections != nil {
		sections = make([]string, len(r.Spec.Sections))
		for i, section := range r.Spec.Sections {
			sections[i] = string(section)
		}
	}
	_, err := report.ParseSections(sections)
	f.take(err, func(field string) string { return "spec." + field })
	for _, fault := range r.Objectives.Faults {
		f.add("spec."+fault.Field, "%s", fault.Problem)
	}
}
