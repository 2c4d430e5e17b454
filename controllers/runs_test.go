package controllers_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/controllers"
	"github.com/watchbill/watchbill/internal/report"
	reportjob "github.com/watchbill/watchbill/internal/report/job"
	"github.com/watchbill/watchbill/internal/report/schedule"
)

// today returns a slot of the schedule: the last midnight in UTC.
func today() time.Time { return time.Now().UTC().Truncate(24 * time.Hour) }

// job creates a Job for a slot as the CronJob controller does, which does not run here.
func (w *fixture) job(mr *v1alpha1.MonitoringReport, name string) *batchv1.Job {
	w.t.Helper()
	cronJob := named(w, &batchv1.CronJob{}, mr.Name+"-report")
	w.exists(cronJob)
	job := named(w, &batchv1.Job{}, name)
	job.Labels = cronJob.Spec.JobTemplate.Labels
	job.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(cronJob, batchv1.SchemeGroupVersion.WithKind("CronJob"))}
	job.Spec = cronJob.Spec.JobTemplate.Spec
	w.create(job)
	return job
}

// slotJob creates the Job of a slot.
func (w *fixture) slotJob(mr *v1alpha1.MonitoringReport, slot time.Time) *batchv1.Job {
	w.t.Helper()
	return w.job(mr, schedule.JobName(mr.Name+"-report", slot))
}

// pod creates the Pod of a Job as the Job controller does, with a status as the kubelet writes it.
func (w *fixture) pod(job *batchv1.Job, status corev1.PodStatus) *corev1.Pod {
	w.t.Helper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: w.namespace, GenerateName: job.Name + "-", Labels: job.Spec.Template.Labels,
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(job, batchv1.SchemeGroupVersion.WithKind("Job"))},
	}, Spec: job.Spec.Template.Spec}
	w.create(pod)
	pod.Status = status
	if err := w.client.Status().Update(context.Background(), pod); err != nil {
		w.t.Fatal(err)
	}
	return pod
}

// ended returns the status of a Pod that ended with a message.
func ended(phase corev1.PodPhase, code int32, message string) corev1.PodStatus {
	return corev1.PodStatus{Phase: phase, ContainerStatuses: []corev1.ContainerStatus{{
		Name: "report", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Message: message}},
	}}}
}

func terminationMessage(t testing.TB, result reportjob.Result) string {
	t.Helper()
	text, err := json.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// finish ends a Job, successfully if reason is empty.
func (w *fixture) finish(job *batchv1.Job, reason string) {
	w.t.Helper()
	now := metav1.Now()
	job.Status.StartTime = &now
	if reason == "" {
		job.Status.CompletionTime = &now
		job.Status.Succeeded = 1
		job.Status.Conditions = []batchv1.JobCondition{
			{Type: batchv1.JobSuccessCriteriaMet, Status: corev1.ConditionTrue, LastTransitionTime: now},
			{Type: batchv1.JobComplete, Status: corev1.ConditionTrue, LastTransitionTime: now},
		}
	} else {
		job.Status.Conditions = []batchv1.JobCondition{
			{Type: batchv1.JobFailureTarget, Status: corev1.ConditionTrue, LastTransitionTime: now, Reason: reason},
			{Type: batchv1.JobFailed, Status: corev1.ConditionTrue, LastTransitionTime: now, Reason: reason},
		}
	}
	if err := w.client.Status().Update(context.Background(), job); err != nil {
		w.t.Fatal(err)
	}
}

// ran waits until a report's last run is the Job of that name.
func (w *fixture) ran(mr *v1alpha1.MonitoringReport, job string) *v1alpha1.Run {
	w.t.Helper()
	w.eventually("the last run is "+job, func() error {
		if err := w.get(mr); err != nil {
			return err
		}
		if mr.Status.LastRun == nil || mr.Status.LastRun.Job != job {
			return fmt.Errorf("it is %+v", mr.Status.LastRun)
		}
		return nil
	})
	return mr.Status.LastRun
}

// made returns the message of a run that created a report for a slot.
func made(slot time.Time, verdict report.Verdict, summary string, outputs ...reportjob.OutputOutcome) reportjob.Result {
	return reportjob.Result{
		ReportID: "0197a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b",
		Window:   &report.Window{From: slot.Add(-24 * time.Hour), To: slot}, CompletedAt: slot.Add(time.Minute),
		Verdict: verdict, Summary: summary, Outputs: outputs,
		Objectives: []reportjob.Objective{{Name: "errors", Target: "< 1 %", Actual: "0.2 %", Met: new(true), BudgetRemaining: "80 %"}},
	}
}

func TestVerdictOfAPod(t *testing.T) {
	t.Parallel()
	lost := reportjob.OutputOutcome{Output: "s3://bucket/daily", Message: "no such bucket"}
	tests := map[string]struct {
		result  reportjob.Result
		verdict v1alpha1.Verdict
		event   string
		text    string // in the event
		status  metav1.ConditionStatus
		reason  string
	}{
		"pass":     {made(today(), report.Pass, "Pass: 8 of 8 objectives met"), v1alpha1.VerdictPass, "ReportMade", "Pass: 8 of 8", metav1.ConditionTrue, v1alpha1.ReasonDelivered},
		"missed":   {made(today(), report.Fail, "7 of 8 objectives met"), v1alpha1.VerdictFail, "ObjectivesMissed", "Fail: 7 of 8", metav1.ConditionTrue, v1alpha1.ReasonDelivered},
		"no data":  {made(today(), report.NoData, "no objective has data"), v1alpha1.VerdictNoData, "ReportMade", "NoData", metav1.ConditionTrue, v1alpha1.ReasonDelivered},
		"not sent": {made(today(), report.Fail, "7 of 8 objectives met", lost), v1alpha1.VerdictFail, "DeliveryFailed", "s3://bucket/daily (no such bucket)", metav1.ConditionFalse, v1alpha1.ReasonDeliveryFailed},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := begin(t)
			mr := w.settledReport("daily")
			job := w.slotJob(mr, today())
			w.pod(job, ended(corev1.PodSucceeded, 0, terminationMessage(t, tt.result)))
			w.finish(job, "")
			run := w.ran(mr, job.Name)
			if run.Verdict != tt.verdict || run.ReportID != tt.result.ReportID || !run.Window.To.Time.Equal(today()) || !run.CompletedAt.Time.Equal(tt.result.CompletedAt) {
				t.Errorf("the run is %+v", run)
			}
			want := []v1alpha1.ObjectiveStatus{{Name: "errors", Target: "< 1 %", Actual: "0.2 %", Met: new(true), ErrorBudgetRemaining: "80 %"}}
			if diff := cmp.Diff(want, mr.Status.Objectives); diff != "" {
				t.Errorf("objectives (-want +got):\n%s", diff)
			}
			if last := mr.Status.LastScheduleTime; last == nil || !last.Time.Equal(today()) {
				t.Errorf("the last slot is %v, want %v", last, today())
			}
			w.wants(mr, v1alpha1.ConditionReportHealthy, tt.status, tt.reason)
			if got := w.event(mr, tt.event); !strings.Contains(got, tt.text) {
				t.Errorf("the event says %q, want %q in it", got, tt.text)
			}
			w.reconciled(mr)
			if got := w.notes(mr, tt.event); len(got) != 1 {
				t.Errorf("there are %d events of one run: %q", len(got), got)
			}
		})
	}
}

func TestFailedRuns(t *testing.T) {
	t.Parallel()
	waiting := func(reason, message string) corev1.PodStatus {
		return corev1.PodStatus{Phase: corev1.PodPending, ContainerStatuses: []corev1.ContainerStatus{{
			Name: "report", Image: "example.com/watchbill:1", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}},
		}}}
	}
	unscheduled := corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable, Message: `persistentvolumeclaim "reports" not found`,
	}}}
	oom := ended(corev1.PodFailed, 137, "")
	oom.ContainerStatuses[0].State.Terminated.Reason = "OOMKilled"
	tests := map[string]struct {
		pod    *corev1.PodStatus
		gone   bool // the Pod is deleted before the Job fails, as when it exceeds its deadline
		reason string
		want   string
	}{
		"it says why":         {pod: new(ended(corev1.PodFailed, 1, terminationMessage(t, reportjob.Result{Error: "the API answered 403"}))), reason: batchv1.JobReasonBackoffLimitExceeded, want: "the API answered 403"},
		"it says nothing":     {pod: new(ended(corev1.PodFailed, 1, "")), reason: batchv1.JobReasonBackoffLimitExceeded, want: "exit code 1"},
		"out of memory":       {pod: &oom, reason: batchv1.JobReasonBackoffLimitExceeded, want: "out of memory"},
		"no image":            {pod: new(waiting("ImagePullBackOff", "not found")), gone: true, reason: batchv1.JobReasonDeadlineExceeded, want: "example.com/watchbill:1 cannot be pulled"},
		"no volume":           {pod: &unscheduled, gone: true, reason: batchv1.JobReasonDeadlineExceeded, want: `"reports" not found`},
		"nothing is known":    {reason: batchv1.JobReasonDeadlineExceeded, want: "kubectl -n"},
		"it failed too often": {reason: batchv1.JobReasonBackoffLimitExceeded, want: "logs job/daily-report-"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := begin(t)
			mr := w.settledReport("daily")
			job := w.slotJob(mr, today())
			if tt.pod != nil {
				pod := w.pod(job, *tt.pod)
				if tt.gone {
					w.reconciled(mr)
					w.delete(pod)
					w.gone(pod)
				}
			}
			w.finish(job, tt.reason)
			run := w.ran(mr, job.Name)
			if run.Verdict != v1alpha1.VerdictError || !strings.Contains(run.Summary, tt.want) {
				t.Errorf("the run is %s: %q, want Error and %q in it", run.Verdict, run.Summary, tt.want)
			}
			w.wants(mr, v1alpha1.ConditionReportHealthy, metav1.ConditionFalse, v1alpha1.ReasonRunFailed)
			if got := w.event(mr, v1alpha1.ReasonRunFailed); !strings.Contains(got, tt.want) {
				t.Errorf("the event says %q", got)
			}
		})
	}
}

// reconciled waits until a report was reconciled after all changes so far. It sets an invalid run request, which is only
// echoed.
func (w *fixture) reconciled(mr *v1alpha1.MonitoringReport) {
	w.t.Helper()
	token := fmt.Sprint("token-", time.Now().UnixNano())
	change(w, mr, func(mr *v1alpha1.MonitoringReport) {
		mr.Annotations = map[string]string{v1alpha1.AnnotationRunRequestedAt: token}
	})
	w.eventually("the report is reconciled", func() error {
		if err := w.get(mr); err != nil {
			return err
		}
		return equal(mr.Status.LastHandledRunRequest, token)
	})
}

// The newest slot determines a report's state, whichever Job ends last and whichever Jobs are left.
func TestNewestSlotWins(t *testing.T) {
	t.Parallel()
	w := begin(t)
	mr := w.settledReport("daily")
	newer := w.slotJob(mr, today())
	w.pod(newer, ended(corev1.PodSucceeded, 0, terminationMessage(t, made(today(), report.Pass, "Pass: new"))))
	w.finish(newer, "")
	w.ran(mr, newer.Name)

	yesterday := today().Add(-24 * time.Hour)
	older := w.slotJob(mr, yesterday)
	w.pod(older, ended(corev1.PodSucceeded, 0, terminationMessage(t, made(yesterday, report.Fail, "old"))))
	w.finish(older, "")
	w.reconciled(mr)
	if got := mr.Status.LastRun.Job; got != newer.Name {
		t.Errorf("the last run is %s, want %s", got, newer.Name)
	}
	w.delete(newer)
	w.gone(newer)
	for range 5 { // watches deliver in no fixed order
		w.reconciled(mr)
	}
	if got := mr.Status.LastRun.Job; got != newer.Name {
		t.Errorf("with the newer Job gone the last run is %s, want %s", got, newer.Name)
	}
	if got := w.notes(mr, "ObjectivesMissed"); len(got) > 0 {
		t.Errorf("the older run is reported: %q", got)
	}
}

// Jobs of an earlier report of the name, not collected yet, do not count for the new one.
func TestJobsOfAnEarlierReport(t *testing.T) {
	t.Parallel()
	w := begin(t)
	mr := w.settledReport("daily")
	job := w.slotJob(mr, today())
	w.stop()
	w.delete(append(w.children(), mr)...) // as the garbage collector would
	w.gone(mr)
	w.finish(job, batchv1.JobReasonDeadlineExceeded)
	again := w.report("daily")
	w.create(again)
	w.start()
	w.settled(again)
	w.reconciled(again)
	if again.Status.LastRun != nil {
		t.Errorf("the last run is %+v, of another report", again.Status.LastRun)
	}
}

// kept is an API with one stored report.
type kept struct {
	slot  time.Time
	asked atomic.Int32
	err   error
}

func (k *kept) Find(_ context.Context, _, _ string, slot time.Time) (reportjob.Result, bool, error) {
	k.asked.Add(1)
	if k.err != nil {
		return reportjob.Result{}, false, k.err
	}
	return made(slot, report.Pass, "Pass: from the API"), slot.Equal(k.slot), nil
}

func TestVerdictFromTheAPI(t *testing.T) {
	t.Parallel()
	api := &kept{slot: today()}
	w := begin(t, func(o *controllers.ManagerOptions) { o.Reports = api })
	mr := w.settledReport("daily")
	yesterday := w.slotJob(mr, today().Add(-24*time.Hour))
	w.finish(yesterday, "")
	w.eventually("the API is asked", func() error { return equal(api.asked.Load() > 0, true) })
	w.reconciled(mr)
	if mr.Status.LastRun != nil {
		t.Errorf("the last run is %+v, of which nothing is known", mr.Status.LastRun)
	}
	job := w.slotJob(mr, today())
	w.finish(job, "")
	if run := w.ran(mr, job.Name); run.Verdict != v1alpha1.VerdictPass || run.Summary != "Pass: from the API" {
		t.Errorf("the run is %+v", run)
	}
}

func TestAPIOutageKeepsLastStatus(t *testing.T) {
	t.Parallel()
	api := &kept{err: errors.New("away")}
	w := begin(t, func(o *controllers.ManagerOptions) { o.Reports = api })
	mr := w.settledReport("daily")
	yesterday := w.slotJob(mr, today().Add(-24*time.Hour))
	w.pod(yesterday, ended(corev1.PodSucceeded, 0, terminationMessage(t, made(today().Add(-24*time.Hour), report.Pass, "Pass"))))
	w.finish(yesterday, "")
	w.ran(mr, yesterday.Name)
	w.finish(w.slotJob(mr, today()), "")
	w.eventually("the API is asked", func() error { return equal(api.asked.Load(), 1) })
	for range 3 {
		w.reconciled(mr)
	}
	if got := mr.Status.LastRun.Job; got != yesterday.Name {
		t.Errorf("the last run is %s, want %s", got, yesterday.Name)
	}
	if got := api.asked.Load(); got != 1 {
		t.Errorf("the API was asked %d times within moments", got)
	}
}
