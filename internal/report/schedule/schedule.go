// Package schedule knows when reports are due and what time they cover. It reads schedules by the library that CronJobs are
// read by. It is pure: what time it is comes in.
package schedule

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// MaxExpression is the length of a schedule, in bytes, at the most.
const MaxExpression = 128

const (
	maxZone = 64        // bytes
	longest = 366 * day // of an @every, and of what a report can be of
	day     = 24 * time.Hour
)

// Schedule is when something is due, in a time zone.
type Schedule struct {
	cron cron.Schedule
	zone *time.Location
}

// Parse reads a schedule in the syntax of CronJobs, and the name of its time zone in the IANA's database. It refuses
// what never comes, such as the 31st of February, and slots that are not at whole minutes, which a Job's name cannot tell.
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
		return Schedule{}, fmt.Errorf("schedule %q must be @every so many whole minutes, up to %d h, such as @every 90m", expression, longest/time.Hour)
	}
	s := Schedule{cron: parsed, zone: location}
	if s.Next(now).IsZero() {
		return Schedule{}, fmt.Errorf("schedule %q never comes", expression)
	}
	return s, nil
}

// zoneName is what Kubernetes lets the parts of a time zone's name be.
var zoneName = regexp.MustCompile(`^[A-Za-z0-9_+][A-Za-z0-9._+-]{0,13}(/[A-Za-z0-9_+][A-Za-z0-9._+-]{0,13})*$`)

// load returns a zone of the IANA's database. The name is that of a file, if the machine has the database; not every file
// in its folder is a zone that other machines have, and the same everywhere.
func load(name string) (*time.Location, error) {
	top, _, _ := strings.Cut(name, "/")
	switch strings.ToLower(top) {
	case "local", "localtime", "posixrules", "posix", "right", "factory":
	default:
		location, err := time.LoadLocation(name) // which refuses the way up
		if err == nil && len(name) <= maxZone && zoneName.MatchString(name) {
			return location, nil
		}
	}
	if len(name) > maxZone {
		name = name[:maxZone] + "…"
	}
	return nil, fmt.Errorf("timeZone %q is not one of the IANA's database, such as Europe/Berlin", name)
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
//
// It is the library's, since that decides when CronJobs run: where clocks go forward, a slot in the hour that is left out
// does not come; where they go back, one in the hour that comes twice comes twice.
func (s Schedule) Next(t time.Time) time.Time {
	next := s.cron.Next(t.In(s.zone))
	if next.IsZero() {
		return next
	}
	return next.UTC()
}

// Previous returns the last slot before t, in UTC; zero if none came within five years. Of @every, whose slots depend on
// when it began, it takes t for one.
func (s Schedule) Previous(t time.Time) time.Time {
	if every, ok := s.cron.(cron.ConstantDelaySchedule); ok {
		return t.Add(-every.Delay).UTC()
	}
	var start time.Time
	switch {
	// Of frequent ones only few are walked over.
	case s.slotWithin(2*time.Minute, t):
		start = t.Add(-2 * time.Hour)
	case s.slotWithin(2*time.Hour, t):
		start = t.Add(-2 * day)
	case s.slotWithin(5*366*day, t):
		start = s.near(t).Add(-9 * day)
	default:
		return time.Time{}
	}
	// They are walked over from before the one wanted, and not from right before it: on a day when clocks change, the
	// library can pass over a slot that it sees from nearby. From afar it goes the way that the CronJob went.
	slot := s.Next(start)
	for {
		next := s.Next(slot)
		if next.IsZero() || !next.Before(t) {
			return slot
		}
		slot = next
	}
}

// slotWithin says whether there is a slot in the time before t.
func (s Schedule) slotWithin(length time.Duration, t time.Time) bool {
	slot := s.Next(t.Add(-length))
	return !slot.IsZero() && slot.Before(t)
}

// near returns a time right before the last slot before t, which is within five years.
func (s Schedule) near(t time.Time) time.Time {
	least, most := time.Duration(0), 5*366*day // there is none so near, and one so far
	for most-least > time.Minute {
		if middle := (least + most) / 2; s.slotWithin(middle, t) {
			most = middle
		} else {
			least = middle
		}
	}
	return t.Add(-most)
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

// The minutes since 1970 that can be a slot: from 2020 to 2160. The days that people put at the end of a name, such as
// 20260115, are none.
const (
	firstMinute = 26_297_280
	lastMinute  = 99_999_999
)

// SlotOf reads the slot from the name of a Job; false if it was named by hand.
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
