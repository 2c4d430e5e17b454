// Package schedule knows when reports are due and what time they cover. It reads schedules by the library that CronJobs are
// read by. It is pure: what time it is comes in.
package schedule

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// MaxExpression is the length of a schedule, in bytes, at the most.
const MaxExpression = 128

// Schedule is when something is due, in a time zone.
type Schedule struct {
	cron cron.Schedule
	zone *time.Location
}

// Parse reads a schedule in the syntax of CronJobs, and the name of its time zone in the IANA's database. It refuses
// what never comes, such as the 31st of February.
func Parse(expression, zone string, now time.Time) (Schedule, error) {
	switch {
	case len(expression) > MaxExpression:
		return Schedule{}, fmt.Errorf("schedule is longer than %d characters", MaxExpression)
	case strings.Contains(expression, "TZ"):
		return Schedule{}, errors.New("schedule must not name a time zone; use timeZone")
	}
	location, err := time.LoadLocation(zone)
	if err != nil || zone == "" || strings.EqualFold(zone, "Local") {
		return Schedule{}, fmt.Errorf("timeZone %q is not one of the IANA's database, such as Europe/Berlin", zone)
	}
	parsed, err := parse(expression)
	if err != nil {
		return Schedule{}, fmt.Errorf("schedule %q is not one that CronJobs take: %w", expression, err)
	}
	s := Schedule{cron: parsed, zone: location}
	if s.Next(now).IsZero() {
		return Schedule{}, fmt.Errorf("schedule %q never comes", expression)
	}
	return s, nil
}

// parse turns the library's panics, which some expressions cause, into errors.
func parse(expression string) (s cron.Schedule, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("%v", fault)
		}
	}()
	return cron.ParseStandard(expression)
}

// Next returns the first slot after t, in UTC; zero if none comes within five years.
func (s Schedule) Next(t time.Time) time.Time {
	next := s.cron.Next(t.In(s.zone))
	if next.IsZero() {
		return next
	}
	return next.UTC()
}

// Previous returns the last slot before t, in UTC; zero if none came within five years.
func (s Schedule) Previous(t time.Time) time.Time {
	if every, ok := s.cron.(cron.ConstantDelaySchedule); ok {
		return t.Add(-every.Delay).UTC()
	}
	const day = 24 * time.Hour
	// From further and further back, so that few slots are walked over, however rare or frequent they are.
	for _, back := range []time.Duration{2 * time.Minute, 2 * time.Hour, 2 * day, 9 * day, 63 * day, 367 * day, 5 * 366 * day} {
		slot := s.Next(t.Add(-back))
		if slot.IsZero() || !slot.Before(t) {
			continue
		}
		for {
			next := s.Next(slot)
			if next.IsZero() || !next.Before(t) {
				return slot
			}
			slot = next
		}
	}
	return time.Time{}
}

// From returns where the time that a report of a slot covers begins: so long before the slot, or at the slot before if
// length is 0.
func (s Schedule) From(slot time.Time, length time.Duration) time.Time {
	if length > 0 {
		return slot.Add(-length).UTC()
	}
	return s.Previous(slot)
}

// JobName returns the name of the Job that a CronJob makes for a slot, as Kubernetes does: the slot's minute since 1970 is
// its end.
func JobName(cronJob string, slot time.Time) string {
	return fmt.Sprintf("%s-%d", cronJob, slot.Unix()/60)
}

// SlotOf reads the slot from the name of a Job; false if it was named by hand.
func SlotOf(job string) (time.Time, bool) {
	_, suffix, found := cutLast(job, "-")
	if !found || len(suffix) < 7 || len(suffix) > 10 {
		return time.Time{}, false
	}
	minutes, err := strconv.ParseUint(suffix, 10, 40)
	if err != nil {
		return time.Time{}, false
	}
	return time.Unix(int64(minutes)*60, 0).UTC(), true
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
