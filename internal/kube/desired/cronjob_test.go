package desired_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/kube/desired"
	"github.com/watchbill/watchbill/internal/report/schedule"
)

func TestRunJobBelongsToItsSlot(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	mr := sample(t, "suspended")
	for _, at := range []time.Time{now, now.In(berlin), now.Truncate(time.Minute), now.Truncate(time.Minute).Add(time.Minute - 1)} {
		job := desired.RunJob(desired.Resolve(mr), at, options())
		want := time.Date(2026, 8, 20, 12, 34, 0, 0, time.UTC)
		if slot, ok := schedule.SlotOf(job.Name); !ok || !slot.Equal(want) {
			t.Errorf("at %s: the Job %s is of the slot %s, want %s", at, job.Name, slot, want)
		}
		if got := job.Annotations[v1alpha1.AnnotationRunRequestedAt]; got != "2026-08-20T12:34:00Z" {
			t.Errorf("at %s: the Job says it was asked for at %q", at, got)
		}
	}
}

func TestRunJobMatchesCronJob(t *testing.T) {
	t.Parallel()
	mr := sample(t, "everything")
	job, scheduled := desired.RunJob(desired.Resolve(mr), now, options()).Spec, desired.CronJob(desired.Resolve(mr), options()).Spec.JobTemplate.Spec
	if scheduled.TTLSecondsAfterFinished != nil {
		t.Error("the CronJob's Jobs go by themselves, and its history limits count fewer than there should be")
	}
	if ttl := job.TTLSecondsAfterFinished; ttl == nil || *ttl != 7*24*60*60 {
		t.Errorf("a Job that was asked for goes after %v seconds, want seven days", ttl)
	}
	job.TTLSecondsAfterFinished = nil
	if diff := cmp.Diff(scheduled, job); diff != "" {
		t.Errorf("(-CronJob's +asked for):\n%s", diff)
	}
}

func TestObjectsAreDeterministic(t *testing.T) {
	t.Parallel()
	built := func(mr *v1alpha1.MonitoringReport) string {
		rule, _, err := desired.PrometheusRule(desired.Resolve(mr), options())
		if err != nil {
			t.Fatal(err)
		}
		written, err := json.Marshal([]any{desired.CronJob(desired.Resolve(mr), options()), desired.RunJob(desired.Resolve(mr), now, options()), rule})
		if err != nil {
			t.Fatal(err)
		}
		return string(written)
	}
	mr := sample(t, "everything")
	before := mr.DeepCopy()
	want := built(mr)
	for range 10 { // the order of maps varies
		if diff := cmp.Diff(want, built(mr.DeepCopy())); diff != "" {
			t.Fatalf("(-first +another):\n%s", diff)
		}
	}
	if diff := cmp.Diff(before, mr); diff != "" {
		t.Errorf("building changed the report (-before +after):\n%s", diff)
	}
}

func TestObjectsDoNotAlias(t *testing.T) {
	t.Parallel()
	mr, opts := sample(t, "everything"), options()
	want := desired.CronJob(desired.Resolve(sample(t, "everything")), options())
	scribbled := desired.CronJob(desired.Resolve(mr), opts)
	scribbled.Labels["x"], scribbled.Spec.JobTemplate.Labels["y"] = "x", "y"
	pod := &scribbled.Spec.JobTemplate.Spec.Template
	pod.Labels["z"] = "z"
	clear(pod.Spec.Containers[0].Resources.Requests)
	*scribbled.Spec.StartingDeadlineSeconds = 1
	pod.Spec.ImagePullSecrets[0].Name = "other"
	if diff := cmp.Diff(want, desired.CronJob(desired.Resolve(mr), opts)); diff != "" {
		t.Errorf("writing in one CronJob changed the next (-want +got):\n%s", diff)
	}
	if _, leaked := pod.Labels["x"]; leaked {
		t.Error("the Pod's labels are the CronJob's")
	}
}
