package controllers_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/report"
)

func TestRunNow(t *testing.T) {
	t.Parallel()
	w := begin(t)
	mr := w.report("daily", func(mr *v1alpha1.MonitoringReport) { mr.Spec.Suspend = true })
	w.create(mr)
	w.settled(mr)
	at := time.Now().UTC().Add(-90 * time.Minute)
	ask := func(value string) {
		t.Helper()
		change(w, mr, func(mr *v1alpha1.MonitoringReport) {
			mr.Annotations = map[string]string{v1alpha1.AnnotationRunRequestedAt: value}
		})
		w.eventually("the request is handled", func() error {
			if err := w.get(mr); err != nil {
				return err
			}
			return equal(mr.Status.LastHandledRunRequest, value)
		})
	}
	jobs := func() int {
		t.Helper()
		var list batchv1.JobList
		if err := w.client.List(context.Background(), &list, inNamespace(w)); err != nil {
			t.Fatal(err)
		}
		return len(list.Items)
	}
	ask(at.Format(time.RFC3339))
	job := named(w, &batchv1.Job{}, fmt.Sprintf("daily-report-now-%d", at.Unix()/60))
	w.exists(job)
	if got := job.Labels[v1alpha1.LabelReport]; got != "daily" {
		t.Errorf("the Job's report is %q", got)
	}
	ask(at.Format(time.RFC3339Nano)) // the same minute
	ask(at.In(time.FixedZone("", 3600)).Format(time.RFC3339))
	w.reconciled(mr)
	if got := jobs(); got != 1 {
		t.Errorf("one minute was asked for, and %d Jobs were made", got)
	}
	for value, want := range map[string]string{
		"now": "must be a time", "2026-13-01T00:00:00Z": "must be a time",
		time.Now().Add(2 * time.Minute).Format(time.RFC3339): "in the future",
		time.Now().AddDate(0, 0, -367).Format(time.RFC3339):  "366 days",
	} {
		ask(value)
		w.eventually("it is said what is wrong with "+value, func() error {
			for _, text := range w.notes(mr, "RunRequestRefused") {
				if strings.Contains(text, value) && strings.Contains(text, want) {
					return nil
				}
			}
			return errors.New("it is not")
		})
	}
	ask(time.Now().Add(50 * time.Second).Format(time.RFC3339)) // the requester's clock is ahead
	if got := jobs(); got != 2 {
		t.Errorf("there are %d Jobs, want 2", got)
	}

	w.pod(job, ended(corev1.PodSucceeded, 0, terminationMessage(t, made(at, report.Pass, "Pass: asked for"))))
	w.finish(job, "")
	if run := w.ran(mr, job.Name); run.Summary != "Pass: asked for" {
		t.Errorf("the run is %+v", run)
	}
}

// A Job of the name that the controller did not create is not a report.
func TestRunNowNameConflict(t *testing.T) {
	t.Parallel()
	w := begin(t)
	mr := w.settledReport("daily")
	at := time.Now().UTC().Add(-time.Hour)
	job := named(w, &batchv1.Job{}, fmt.Sprintf("daily-report-now-%d", at.Unix()/60))
	job.Spec.Template.Spec = corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "theirs", Image: "theirs"}}}
	w.create(job)
	before := job.ResourceVersion
	change(w, mr, func(mr *v1alpha1.MonitoringReport) {
		mr.Annotations = map[string]string{v1alpha1.AnnotationRunRequestedAt: at.Format(time.RFC3339)}
	})
	w.event(mr, v1alpha1.ReasonForeignObject)
	if err := w.get(job); err != nil || job.ResourceVersion != before {
		t.Errorf("the Job was touched: %v", err)
	}
}
