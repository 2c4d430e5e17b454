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
	// runLength is the maximum time of a run with its retries, until its end is observed.
	runLength = 16 * time.Minute
	// lateStart is how late a run may start before it is overdue, even if the report's deadline allows more.
	lateStart = time.Hour
	// setBack is how far a clock may be set back while recorded times stay valid. If it is set back further, the earlier time
	// was wrong.
	setBack = time.Hour
)

// timetable is the schedule of a CronJob.
type timetable struct {
	schedule schedule.Schedule
	every    bool // @every: slots follow the last one
	deadline time.Duration
}

// timetableOf returns a CronJob's timetable; false if it is suspended or missing.
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

// next returns the first slot after now, given the last one that was run; last may be zero.
func (t timetable) next(now, last time.Time) time.Time {
	if ahead := last.Sub(now); ahead > setBack {
		last = time.Time{}
	} else if ahead > 0 { // the clock was set back; that slot was run
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

// nextSlot returns the next run for the status. The current value is kept until it has passed, so that it does not change
// between reconciles, even if the clock was set back a little.
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

// lastSlot returns the newest slot of the schedule with a run, according to the CronJob, its Jobs and the status.
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

// expectedBy returns the deadline of the next run, after which it is overdue: that of the first slot since the schedule was
// applied and since the newest finished slot. A run may start as late as the report allows, but at most an hour.
func expectedBy(t timetable, since, done time.Time) time.Time {
	slot := t.next(later(since, done), done)
	if slot.IsZero() {
		return slot
	}
	return slot.Add(t.deadline + runLength)
}

// appliedSince returns since when the schedule is in effect: since the CronJob was created or the report was resumed.
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

// doneSlot returns the newest slot with a finished run; zero if there is none.
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

// seconds returns a time with the API's precision.
func seconds(t time.Time) *metav1.Time {
	return &metav1.Time{Time: t.UTC().Truncate(time.Second)}
}
