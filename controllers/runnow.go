package controllers

import (
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/kube/desired"
	"github.com/watchbill/watchbill/internal/text"
)

const (
	maxAhead  = time.Minute // how far the requester's clock may be ahead
	maxBehind = 366 * 24 * time.Hour
)

// runRequest is a run requested by the annotation.
type runRequest struct {
	value   string       // the annotation's value; empty if there is no new request
	job     *batchv1.Job // nil if it exists already or there is a problem
	problem string
}

// decideRun decides about a request. The Job's name contains the requested minute, so that a request yields one Job.
func decideRun(seen *observed, opts desired.Options, now time.Time) runRequest {
	value := seen.report.Annotations[v1alpha1.AnnotationRunRequestedAt]
	if value == "" || value == seen.report.Status.LastHandledRunRequest {
		return runRequest{}
	}
	request := runRequest{value: value}
	at, err := time.Parse(time.RFC3339, value)
	switch {
	case err != nil:
		request.problem = fmt.Sprintf("%s must be a time such as %s, not %q", v1alpha1.AnnotationRunRequestedAt, now.UTC().Format(time.RFC3339), text.Clip(value, 60))
	case at.After(now.Add(maxAhead)):
		request.problem = fmt.Sprintf("%s is %s, which is in the future; it is %s now", v1alpha1.AnnotationRunRequestedAt, value, now.UTC().Format(time.RFC3339))
	case at.Before(now.Add(-maxBehind)):
		request.problem = fmt.Sprintf("%s is %s, more than 366 days ago", v1alpha1.AnnotationRunRequestedAt, value)
	}
	if request.problem != "" {
		return request
	}
	request.job = desired.RunJob(seen.resolve(), at, opts)
	for _, job := range seen.jobs {
		if job.Name == request.job.Name {
			request.job = nil
			return request
		}
	}
	return request
}
