package desired

import (
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/watchbill/watchbill/api/v1alpha1"
)

const (
	retries         = int32(2)
	deadlineSeconds = int64(900) // deadline of a run including its retries
	// keepSeconds is how long a manually requested run is kept: seven days. Runs of the CronJob are subject to its history
	// limits instead, which would be undercut if Jobs were also deleted by age.
	keepSeconds = int32(7 * 24 * 60 * 60)
	badUsage    = int32(2) // exit code for an invalid spec or flags
)

// CronJob returns the CronJob that runs a report by its schedule.
func CronJob(r Resolved, opts Options) *batchv1.CronJob {
	return &batchv1.CronJob{
		TypeMeta:   typed(batchv1.SchemeGroupVersion, "CronJob"),
		ObjectMeta: owned(r.MonitoringReport, CronJobName(r.Name)),
		Spec: batchv1.CronJobSpec{
			Schedule:                   r.Spec.Schedule,
			TimeZone:                   new(r.Spec.TimeZone),
			Suspend:                    new(r.Spec.Suspend),
			ConcurrencyPolicy:          batchv1.ConcurrencyPolicy(r.Spec.ConcurrencyPolicy),
			StartingDeadlineSeconds:    new(r.Spec.StartingDeadlineSeconds),
			SuccessfulJobsHistoryLimit: new(r.Spec.Retention.SuccessfulRuns),
			FailedJobsHistoryLimit:     new(r.Spec.Retention.FailedRuns),
			JobTemplate: batchv1.JobTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: Labels(r.Name)},
				Spec:       jobTemplate(r, opts),
			},
		},
	}
}

// RunJob returns a manually requested run of the slot of at. It runs regardless of the schedule and suspend.
func RunJob(r Resolved, at time.Time, opts Options) *batchv1.Job {
	slot := at.UTC().Truncate(time.Minute)
	meta := owned(r.MonitoringReport, RunJobName(r.Name, slot))
	meta.Annotations = map[string]string{
		"cronjob.kubernetes.io/instantiate": "manual", // as kubectl create job --from sets it
		v1alpha1.AnnotationRunRequestedAt:   slot.Format(time.RFC3339),
	}
	job := jobTemplate(r, opts)
	job.TTLSecondsAfterFinished = new(keepSeconds)
	return &batchv1.Job{TypeMeta: typed(batchv1.SchemeGroupVersion, "Job"), ObjectMeta: meta, Spec: job}
}

func jobTemplate(r Resolved, opts Options) batchv1.JobSpec {
	return batchv1.JobSpec{
		BackoffLimit:          new(retries),
		ActiveDeadlineSeconds: new(deadlineSeconds),
		PodFailurePolicy: &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{
			{ // a drained node is not a failure of the run
				Action: batchv1.PodFailurePolicyActionIgnore,
				OnPodConditions: []batchv1.PodFailurePolicyOnPodConditionsPattern{
					{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue},
				},
			},
			{ // retries do not fix an invalid spec
				Action: batchv1.PodFailurePolicyActionFailJob,
				OnExitCodes: &batchv1.PodFailurePolicyOnExitCodesRequirement{
					ContainerName: new(containerName),
					Operator:      batchv1.PodFailurePolicyOnExitCodesOpIn,
					Values:        []int32{badUsage},
				},
			},
		}},
		Template: podTemplate(r, opts),
	}
}
