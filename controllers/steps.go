package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/watchbill/watchbill/api/v1alpha1"
)

// prune deletes unwanted objects. In a namespace whose reports are no longer allowed the permission may be missing too: that
// is left to its administrator and retried from time to time.
func (r *Reconciler) prune(ctx context.Context, unwanted []client.Object, o *outcome) {
	for _, object := range unwanted {
		err := r.remove(ctx, object)
		if apierrors.IsForbidden(err) {
			log.FromContext(ctx).Info("may not delete an object that is no longer wanted", "error", err.Error())
			err = &waitError{lookAgain, "the permission to delete it is missing"}
		}
		o.fail(err)
	}
}

// applySchedule applies the objects that run reports and reports whether all were as wanted before. It stops at the first
// failure, since the following objects depend on it.
func (r *Reconciler) applySchedule(ctx context.Context, seen *observed, p plan, o *outcome) (existed bool) {
	o.cronJob = seen.cronJob()
	existed = true
	for _, want := range append(slices.Clone(p.shared), p.cronJob) {
		wrote, err := r.apply(ctx, seen, want, seen.live(want))
		o.fail(err)
		o.failed(v1alpha1.ConditionScheduled, err)
		if err != nil {
			return false
		}
		existed = existed && !wrote
	}
	o.cronJob = p.cronJob
	o.set(scheduled(p.cronJob), false)
	return existed
}

// applyRule applies the alerts, if wanted and supported by the cluster, and reports whether they were as wanted before.
func (r *Reconciler) applyRule(ctx context.Context, seen *observed, p plan, o *outcome) (existed bool) {
	if c, cannot := withoutRule(seen, p); cannot {
		o.without(c)
		return true
	}
	live := seen.live(p.rule)
	wrote, err := r.apply(ctx, seen, p.rule, live)
	if apierrors.IsNotFound(err) { // the kind was removed, which its watch will notice
		err = &waitError{time.Second, "the cluster no longer has the kind PrometheusRule"}
	}
	o.fail(err)
	o.failed(v1alpha1.ConditionRulesInstalled, err)
	if err != nil {
		return false
	}
	o.set(installed(r.ruleOf(p.rule, live), seen.candidates, p.notes), false)
	return !wrote
}

// applyRun creates the Job of a requested run, once.
func (r *Reconciler) applyRun(ctx context.Context, seen *observed, o *outcome) {
	request := decideRun(seen, r.opts.Desired, r.now())
	if request.value == "" {
		return
	}
	if request.problem != "" {
		o.event(note{corev1.EventTypeWarning, eventRunRequestRefused, "RequestRun", request.problem})
	} else if request.job != nil {
		var foreign *foreignError
		switch err := r.create(ctx, seen, request.job); {
		case errors.As(err, &foreign):
			o.event(note{corev1.EventTypeWarning, v1alpha1.ReasonForeignObject, "RequestRun", err.Error()})
		case err != nil:
			o.fail(err)
			return
		default:
			o.event(note{corev1.EventTypeNormal, eventRunRequested, "RequestRun", "made the Job " + request.job.Name})
		}
	}
	o.status.LastHandledRunRequest = request.value
}

// create creates a Job unless one of its name exists. It asks the server, since the cache has only the controller's Jobs.
func (r *Reconciler) create(ctx context.Context, seen *observed, job *batchv1.Job) error {
	standing := metadataOf(batchv1.SchemeGroupVersion.WithKind("Job"))
	err := r.server.Get(ctx, client.ObjectKeyFromObject(job), standing)
	switch {
	case apierrors.IsNotFound(err):
		_, err = r.apply(ctx, seen, job, nil)
		return err
	case err != nil:
		return fmt.Errorf("read Job %s/%s: %w", job.Namespace, job.Name, err)
	}
	switch whoseIs(seen.report, standing) {
	case foreign:
		return &foreignError{objectKey{"Job", job.Namespace, job.Name}, ownerOf(standing)}
	case earlier:
		return &waitError{lookAgain, "the Job of an earlier report of this name is still there"}
	}
	return nil
}
