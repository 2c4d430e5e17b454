package controllers

import (
	"fmt"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/watchbill/watchbill/internal/text"
)

// maxSummary is the maximum length of a summary of a run or an object in bytes.
const maxSummary = 500

// failureReason returns why a Job has created no report, and what to look at. stuck is why its Pod could not start, if that
// was observed while the Pod existed.
func failureReason(run *finished, pods []corev1.Pod, stuck string) string {
	job := run.job
	logs := fmt.Sprintf("kubectl -n %s logs job/%s", job.Namespace, job.Name)
	describe := fmt.Sprintf("kubectl -n %s describe job %s", job.Namespace, job.Name)
	now := stuckReason(pods)
	if now == "" && run.failed.Reason == batchv1.JobReasonDeadlineExceeded {
		now = stuck
	}
	ended := endReason(pods)
	switch {
	case now != "":
		return now
	case ended != "":
		return fmt.Sprintf("%s; see: %s", ended, logs)
	case run.failed.Reason == batchv1.JobReasonDeadlineExceeded:
		return fmt.Sprintf("the run did not finish in time; see: %s", describe)
	case run.failed.Reason == batchv1.JobReasonBackoffLimitExceeded:
		return fmt.Sprintf("every attempt of the run failed; see: %s", logs)
	}
	return text.Clip(fmt.Sprintf("the run failed (%s: %s); see: %s", run.failed.Reason, text.Clip(run.failed.Message, 200), describe), maxSummary)
}

// stuckReason returns why the newest Pod cannot start; "" if it can or that is not known yet.
func stuckReason(pods []corev1.Pod) string {
	if len(pods) == 0 || pods[0].Status.Phase != corev1.PodPending {
		return ""
	}
	pod := pods[0]
	for _, container := range pod.Status.ContainerStatuses {
		waiting := container.State.Waiting
		if waiting == nil {
			continue
		}
		message := text.Clip(strings.TrimSpace(waiting.Message), 200)
		switch waiting.Reason {
		case "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull":
			return fmt.Sprintf("the Pod could not start: its image %s cannot be pulled (%s: %s); check the operator's image and pull secrets", container.Image, waiting.Reason, message)
		case "CreateContainerConfigError", "CreateContainerError", "RunContainerError":
			return fmt.Sprintf("the Pod could not start (%s: %s); see: kubectl -n %s describe pod %s", waiting.Reason, message, pod.Namespace, pod.Name)
		}
	}
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse && condition.Reason == corev1.PodReasonUnschedulable {
			return fmt.Sprintf("the Pod cannot be scheduled: %s; check the outputs' PersistentVolumeClaims and the nodes' capacity", text.Clip(condition.Message, 200))
		}
		if condition.Type == corev1.PodReadyToStartContainers && condition.Status == corev1.ConditionFalse {
			return fmt.Sprintf("the Pod's volumes or network were not ready; check the outputs' PersistentVolumeClaims, and see: kubectl -n %s describe pod %s", pod.Namespace, pod.Name)
		}
	}
	return ""
}

// endReason returns how the newest finished Pod ended, if it left no result.
func endReason(pods []corev1.Pod) string {
	for _, pod := range pods {
		if pod.Status.Reason == "Evicted" {
			return "the Pod was evicted: " + text.Clip(pod.Status.Message, 200)
		}
		for _, container := range pod.Status.ContainerStatuses {
			ended := container.State.Terminated
			switch {
			case ended == nil:
			case ended.Reason == "OOMKilled":
				return "the Pod ran out of memory; raise the operator's memory limit for reports"
			case ended.Signal != 0:
				return fmt.Sprintf("the Pod was killed by signal %d", ended.Signal)
			default:
				return fmt.Sprintf("the Pod ended with exit code %d", ended.ExitCode)
			}
		}
	}
	return ""
}
