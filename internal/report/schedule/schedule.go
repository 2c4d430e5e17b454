// Package schedule computes when reports are due and which time they cover. It parses schedules with the library that
// Kubernetes uses for CronJobs. It reads no clock.
package schedule

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/watchbill/watchbill/internal/text"
)

// MaxExpression is the maximum length of a schedule in bytes.
const MaxExpression = 128

const (
	maxZone = 64        // bytes
	longest = 366 * day // maximum of @every and of a report's window
	day     = 24 * time.Hour
)

// Schedule is a CronJob schedule in a time zone.
type Schedule struct {
	cron cron.Schedule
	zone *time.Location
}

// Parse parses a schedule in the syntax of CronJobs and the IANA name of its time zone. It rejects schedules that never
// come due, such as the 31st of February, and slots that are not at whole minutes, which Jobs' names cannot express.
func Parse(expression, zone string, now time.Time) (Schedule, error) {
	switch {
	case len(expression) > MaxExpression:
		return Schedule{}, fmt.Errorf("schedule is longer than %d characters", MaxExpression)
	case strings.Contains(expression, "TZ"):
		return Schedule{}, errors.New("schedule must not name a time zone; use timeZone")
	}
	location, err := load(zone)
	if err != nil {
		return Schedule{}, err
	}
	parsed, err := parse(expression)
	if err != nil {
		return Schedule{}, fmt.Errorf("schedule %q is not one that CronJobs take: %w", expression, err)
	}
	if every, ok := parsed.(cron.ConstantDelaySchedule); ok && (every.Delay%time.Minute != 0 || every.Delay > longest) {
		return Schedule{}, fmt.Errorf("schedule %q must be @every and whole minutes, at most %d h, such as @every 90m", expression, longest/time.Hour)
	}
	s := Schedule{cron: parsed, zone: location}
	if s.Next(now).IsZero() {
		return Schedule{}, fmt.Errorf("schedule %q never comes due", expression)
	}
	return s, nil
}

// zoneName is the syntax that Kubernetes accepts for time zones.
var zoneName = regexp.MustCompile(`^[A-Za-z0-9_+][A-Za-z0-9._+-]{0,13}(/[A-Za-z0-9_+][A-Za-z0-9._+-]{0,13})*$`)

// load returns a zone of the IANA database. A name may refer to a file of the machine's database; not every file there is
// a zone that exists on other machines and is the same there.
func load(name string) (*time.Location, error) {
	top, _, _ := strings.Cut(name, "/")
	switch strings.ToLower(top) {
	case "local", "localtime", "posixrules", "posix", "right", "factory":
	default:
		location, err := time.LoadLocation(name) // which rejects ".."
		if err == nil && len(name) <= maxZone && zoneName.MatchString(name) {
			return location, nil
		}
	}
	return nil, fmt.Errorf("timeZone %q is not one of the IANA's database, such as Europe/Berlin", text.Clip(name, maxZone))
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

// Next returns the first slot after t, in UTC, or zero if there is none within five years.
//
// It is the library's result, since that decides when CronJobs run: when clocks go forward, slots in the skipped hour do
// not occur; when they go back, slots in the repeated hour occur twice.
func (s Schedule) Next(t time.Time) time.Time {
	next := s.cron.Next(t.In(s.zone))
	if next.IsZero() {
		return next
	}
	return next.UTC()
}

// Previous returns the last slot before t, in UTC, or zero if there was none within five years. For @every, whose slots
// depend on its start, it treats t as a slot.
func (s Schedule) Previous(t time.Time) time.Time {
	if every, ok := s.cron.(cron.ConstantDelaySchedule); ok {
		return t.Add(-every.Delay).UTC()
	}
	var start time.Time
	switch {
	// Few slots of frequent schedules are visited.
	case s.slotWithin(2*time.Minute, t):
		start = t.Add(-2 * time.Hour)
	case s.slotWithin(2*time.Hour, t):
		start = t.Add(-2 * day)
	case s.slotWithin(5*366*day, t):
		start = s.near(t).Add(-9 * day)
	default:
		return time.Time{}
	}
	// The walk starts well before the slot wanted: on a day when clocks change, the library's Next skips slots that it finds
	// from nearby. From further away it visits the slots that the CronJob did.
	slot := s.Next(start)
	for {
		next := s.Next(slot)
		if next.IsZero() || !next.Before(t) {
			return slot
		}
		slot = next
	}
}

// slotWithin reports whether there is a slot within length before t.
func (s Schedule) slotWithin(length time.Duration, t time.Time) bool {
	slot := s.Next(t.Add(-length))
	return !slot.IsZero() && slot.Before(t)
}

// near returns a time shortly before the last slot before t, which is within five years.
func (s Schedule) near(t time.Time) time.Time {
	minimum, limit := time.Duration(0), 5*366*day // there is no slot within least, and one within most
	for limit-minimum > time.Minute {
		if middle := (minimum + limit) / 2; s.slotWithin(middle, t) {
			limit = middle
		} else {
			minimum = middle
		}
	}
	return t.Add(-limit)
}

// From returns the start of the window of a slot's report: length before the slot, or the previous slot if length is 0.
func (s Schedule) From(slot time.Time, length time.Duration) time.Time {
	if length > 0 {
		return slot.Add(-length).UTC()
	}
	return s.Previous(slot)
}

// JobName returns the name that Kubernetes gives the Job of a CronJob's slot: it ends in the slot's minutes since 1970.
func JobName(cronJob string, slot time.Time) string {
	return fmt.Sprintf("%s-%d", cronJob, slot.Unix()/60)
}

// The range of minutes since 1970 accepted as slots: 2020 to 2160. It excludes dates at the end of names, such as 20260115.
const (
	firstMinute = 26_297_280
	lastMinute  = 99_999_999
)

// SlotOf returns the slot of a Job by its name; false if the Job was named by hand.
func SlotOf(job string) (time.Time, bool) {
	cut := strings.LastIndex(job, "-")
	if cut < 1 {
		return time.Time{}, false
	}
	suffix := job[cut+1:]
	minutes, err := strconv.ParseUint(suffix, 10, 32)
	if err != nil || len(suffix) != 8 || minutes < firstMinute || minutes > lastMinute {
		return time.Time{}, false
	}
	return time.Unix(int64(minutes)*60, 0).UTC(), true
}
