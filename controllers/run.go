package controllers

import (
	"cmp"
	"context"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/watchbill/watchbill/api/v1alpha1"
	reportjob "github.com/watchbill/watchbill/internal/report/job"
	"github.com/watchbill/watchbill/internal/report/schedule"
)

// askEvery is the interval at which the API is asked for the result of a run.
const askEvery = time.Minute

// Reports reads reports stored by the API.
type Reports interface {
	// Find returns the result of a report's run for a slot, as its Pod would have; false if no report is stored.
	Find(ctx context.Context, namespace, name string, slot time.Time) (reportjob.Result, bool, error)
}

// finished is a finished Job.
type finished struct {
	job    *batchv1.Job
	slot   time.Time // the report's slot; for a Job named by hand, when it finished
	named  bool      // whether slot is from the Job's name
	at     time.Time // when it finished
	failed *batchv1.JobCondition
}

// newestRun returns the finished Job with the newest slot, or nil.
func newestRun(jobs []batchv1.Job) *finished {
	var newest *finished
	for i := range jobs {
		if run := over(&jobs[i]); run != nil && (newest == nil || run.newer(newest.slot, newest.at)) {
			newest = run
		}
	}
	return newest
}

// newer reports whether a run is of a newer slot, or a later one of the same slot.
func (f *finished) newer(slot, at time.Time) bool {
	return cmp.Or(f.slot.Compare(slot), f.at.Compare(at)) > 0
}

// over returns a finished Job; nil if it is running.
func over(job *batchv1.Job) *finished {
	run := &finished{job: job}
	for _, condition := range job.Status.Conditions {
		if condition.Status != corev1.ConditionTrue {
			continue
		}
		switch condition.Type {
		case batchv1.JobComplete:
		case batchv1.JobFailed:
			run.failed = &condition
		default:
			continue
		}
		run.at = condition.LastTransitionTime.UTC()
		if job.Status.CompletionTime != nil {
			run.at = job.Status.CompletionTime.UTC()
		}
	}
	if run.at.IsZero() {
		return nil
	}
	if run.slot, run.named = schedule.SlotOf(job.Name); !run.named {
		run.slot = run.at
	}
	return run
}

// supersedes reports whether a run replaces the one in the status: it is another one and not of an older slot. Old Jobs are
// deleted, so the newest one left may be older than the one in the status.
func (f *finished) supersedes(last *v1alpha1.Run) bool {
	if last == nil || last.Job == "" {
		return true
	}
	var at time.Time
	if last.CompletedAt != nil {
		at = last.CompletedAt.UTC()
	}
	slot, named := schedule.SlotOf(last.Job)
	if !named {
		slot = at
	}
	return last.Job != f.job.Name && f.newer(slot, at)
}

// podsOf returns a Job's Pods, newest first.
func podsOf(job types.UID, pods []corev1.Pod) []corev1.Pod {
	var own []corev1.Pod
	for _, pod := range pods {
		if slices.ContainsFunc(pod.OwnerReferences, func(owner metav1.OwnerReference) bool { return owner.UID == job }) {
			own = append(own, pod)
		}
	}
	slices.SortFunc(own, func(a, b corev1.Pod) int {
		return cmp.Or(b.CreationTimestamp.Compare(a.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return own
}

// resultOf returns the result of the newest Pod that left one. unsure reports whether one may still appear: the cache may
// show a finished Job before its finished Pod.
func resultOf(pods []corev1.Pod) (result *reportjob.Result, unsure bool) {
	for _, pod := range pods {
		for _, container := range pod.Status.ContainerStatuses {
			if container.State.Terminated == nil {
				continue
			}
			if decoded, err := reportjob.DecodeResult(container.State.Terminated.Message); err == nil {
				return &decoded, false
			}
		}
		unsure = unsure || pod.Status.Phase == corev1.PodPending || pod.Status.Phase == corev1.PodRunning
	}
	return nil, unsure
}

// resultOfRun returns the result of a run, from its Pod or otherwise from the API. Without either it returns nil and the time until
// the next try: 0 if there will be no result, or if the Pod's change will trigger a reconcile.
func (r *Reconciler) resultOfRun(ctx context.Context, seen *observed, run *finished) (*reportjob.Result, time.Duration) {
	pods := podsOf(run.job.UID, seen.pods)
	result, unsure := resultOf(pods)
	switch {
	case result != nil:
		return result, 0
	case run.failed != nil:
		known := r.memory.of(seen.report).stuck[run.job.UID]
		return &reportjob.Result{CompletedAt: run.at, Error: failureReason(run, pods, known)}, 0
	case unsure:
		return nil, askEvery
	case r.opts.Reports == nil || !run.named:
		return nil, 0
	case r.memory.away(r.now()):
		return nil, askEvery
	}
	asked := r.memory.of(seen.report).asked
	if since := r.now().Sub(asked[run.job.UID]); since >= 0 && since < askEvery {
		return nil, askEvery - since
	}
	asked[run.job.UID] = r.now()
	kept, found, err := r.opts.Reports.Find(ctx, seen.report.Namespace, seen.report.Name, run.slot)
	switch {
	case err != nil:
		r.memory.noteOutage(r.now())
		log.FromContext(ctx).Info("cannot ask the API for the result of a run; retrying", "job", run.job.Name, "error", err.Error())
		return nil, askEvery
	case !found:
		return nil, 0
	}
	return &kept, 0
}

// recordRun sets the newest finished run in the status, if it is new and its result is known.
func (r *Reconciler) recordRun(ctx context.Context, seen *observed, o *outcome) {
	r.rememberStuck(seen)
	run := newestRun(seen.jobs)
	if run == nil || !run.supersedes(seen.report.Status.LastRun) {
		return
	}
	result, wait := r.resultOfRun(ctx, seen, run)
	o.after(wait)
	if result == nil {
		return
	}
	o.status.LastRun = runOf(run, *result)
	if objectives := objectivesOf(*result); objectives != nil {
		o.status.Objectives = objectives
	}
	o.event(runEvent(o.status.LastRun))
}

// rememberStuck records why Pods cannot start, since a Job that exceeds its deadline deletes them.
func (r *Reconciler) rememberStuck(seen *observed) {
	known := r.memory.of(seen.report)
	live := map[types.UID]bool{}
	for i := range seen.jobs {
		job := seen.jobs[i].UID
		live[job] = true
		pods := podsOf(job, seen.pods)
		if why := stuckReason(pods); why != "" {
			known.stuck[job] = why
		} else if len(pods) > 0 {
			delete(known.stuck, job) // it started in the end
		}
	}
	for job := range known.stuck {
		if !live[job] {
			delete(known.stuck, job)
		}
	}
	for job := range known.asked {
		if !live[job] {
			delete(known.asked, job)
		}
	}
}
