package controllers

import (
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/kube/desired"
	"github.com/watchbill/watchbill/internal/report/schedule"
)

const (
	// runLength is how long a run may take, with all its tries, and until its end is seen.
	runLength = 16 * time.Minute
	// lateStart is how late a run may begin before it counts as overdue, even if the report's deadline allows more.
	lateStart = time.Hour
	// setBack is how far a clock may have been set back for what was written before to stand. Further, and it was the time
	// before that was wrong.
	setBack = time.Hour
)

// timetable is when a CronJob makes reports.
type timetable struct {
	schedule schedule.Schedule
	every    bool // @every: slots are counted from the last one
	deadline time.Duration
}

// timetableOf reads a CronJob; false if it makes no reports, or is not there.
func timetableOf(cronJob *batchv1.CronJob, now time.Time) (timetable, bool) {
	if cronJob == nil || cronJob.Spec.Suspend != nil && *cronJob.Spec.Suspend {
		return timetable{}, false
	}
	zone := "Etc/UTC"
	if cronJob.Spec.TimeZone != nil {
		zone = *cronJob.Spec.TimeZone
	}
	parsed, err := schedule.Parse(cronJob.Spec.Schedule, zone, now)
	if err != nil {
		return timetable{}, false
	}
	table := timetable{schedule: parsed, every: strings.HasPrefix(cronJob.Spec.Schedule, "@every "), deadline: lateStart}
	if seconds := cronJob.Spec.StartingDeadlineSeconds; seconds != nil {
		table.deadline = min(table.deadline, time.Duration(*seconds)*time.Second)
	}
	return table, true
}

// next returns the slot that comes after now, given the last one that was run; last can be zero.
func (t timetable) next(now, last time.Time) time.Time {
	if ahead := last.Sub(now); ahead > setBack {
		last = time.Time{}
	} else if ahead > 0 { // the clock was set back: that slot was run
		now = last
	}
	if !t.every || last.IsZero() {
		return t.schedule.Next(now)
	}
	slot := t.schedule.Next(last)
	if slot.After(now) || slot.IsZero() {
		return slot
	}
	length := slot.Sub(last)
	return slot.Add(now.Sub(slot)/length*length + length)
}

// nextSlot returns what the status should say is next. What it says already stays until it has passed, so that it does not
// change from one reconcile to the next; also if the clock was set back a little, to before a slot that has passed.
func nextSlot(t timetable, report *v1alpha1.MonitoringReport, lastSlot *metav1.Time, now time.Time) time.Time {
	var last time.Time
	if lastSlot != nil {
		last = lastSlot.UTC()
	}
	next := t.next(now, last)
	if report.Status.NextScheduleTime == nil || report.Status.ObservedGeneration != report.Generation {
		return next
	}
	announced := report.Status.NextScheduleTime.UTC()
	if announced.After(now) && announced.After(last) && !t.schedule.Previous(announced).After(now.Add(setBack)) {
		return announced
	}
	return next
}

// lastSlot returns the newest slot of the schedule that a run was made for, as far as the CronJob, its Jobs and the status
// know.
func lastSlot(seen *observed) *metav1.Time {
	last := seen.report.Status.LastScheduleTime
	take := func(t *metav1.Time) {
		if t != nil && (last == nil || t.After(last.Time)) {
			last = t
		}
	}
	if cronJob := seen.cronJob(); cronJob != nil {
		take(cronJob.Status.LastScheduleTime)
	}
	for i := range seen.jobs {
		name := seen.jobs[i].Name
		if slot, ok := schedule.SlotOf(name); ok && name == schedule.JobName(desired.CronJobName(seen.report.Name), slot) {
			take(seconds(slot))
		}
	}
	return last
}

// expectedBy returns when the next run must be over, or it is overdue: after the first slot since the schedule stands, and
// since the newest slot that was run to its end. A run may begin late, as the report allows, but at most an hour.
func expectedBy(t timetable, since, done time.Time) time.Time {
	slot := t.next(later(since, done), done)
	if slot.IsZero() {
		return slot
	}
	return slot.Add(t.deadline + runLength)
}

// appliedSince returns since when reports are made by the schedule, as far as the cluster says: since the CronJob was made, or
// since the report was suspended no more.
func appliedSince(seen *observed, o *outcome) time.Time {
	since := seen.report.CreationTimestamp.Time
	if cronJob := seen.cronJob(); cronJob != nil {
		since = later(since, cronJob.CreationTimestamp.Time)
	}
	if c := meta.FindStatusCondition(o.status.Conditions, v1alpha1.ConditionScheduled); c != nil && c.Status == metav1.ConditionTrue {
		since = later(since, c.LastTransitionTime.Time)
	}
	return since
}

// doneSlot returns the newest slot whose run is over; zero if none is.
func doneSlot(seen *observed, last *v1alpha1.Run) time.Time {
	var done time.Time
	if run := newestRun(seen.jobs); run != nil {
		done = run.slot
	}
	if last != nil {
		if slot, ok := schedule.SlotOf(last.Job); ok {
			done = later(done, slot)
		}
	}
	return done
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// seconds is a time as the API stores it.
func seconds(t time.Time) *metav1.Time {
	return &metav1.Time{Time: t.UTC().Truncate(time.Second)}
}
