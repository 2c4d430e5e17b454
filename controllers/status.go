package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/text"
)

const (
	// lookAgain is when an obstacle is checked again if its change triggers no reconcile.
	lookAgain = 5 * time.Minute
	// longestWait is the maximum delay of a reconcile, since timers use the monotonic clock.
	longestWait = time.Hour
)

// outcome is the result of a reconcile: the status to write, events, errors, and when to reconcile again.
type outcome struct {
	status  v1alpha1.MonitoringReportStatus
	cronJob *batchv1.CronJob // runs the reports; nil if there is none
	events  []note
	wait    time.Duration // until the next reconcile; 0: until something changes
	errs    []error
	refused map[string]bool // conditions of objects that the API server rejects permanently
}

// note is an event. Events are emitted after the status is written; they report only what changed.
type note struct{ kind, reason, action, text string }

func newOutcome(report *v1alpha1.MonitoringReport) *outcome {
	o := &outcome{status: *report.Status.DeepCopy(), refused: map[string]bool{}}
	o.status.ObservedGeneration = report.Generation
	return o
}

// after schedules a reconcile after wait or earlier; 0 means none.
func (o *outcome) after(wait time.Duration) {
	if wait > 0 && (o.wait == 0 || wait < o.wait) {
		o.wait = wait
	}
}

func (o *outcome) event(e note) { o.events = append(o.events, e) }

// fail records an error to return, unless it is a waitError.
func (o *outcome) fail(err error) {
	var wait *waitError
	var foreign *foreignError
	switch {
	case err == nil, ending(err):
	case errors.As(err, &wait):
		o.after(wait.after)
	case errors.As(err, &foreign):
		o.after(lookAgain)
	case stale(err):
		o.after(time.Second)
	default:
		o.errs = append(o.errs, err)
	}
}

// result returns the result of the reconcile.
func (o *outcome) result() (reconcile.Result, error) {
	switch err := errors.Join(o.errs...); {
	case errors.Is(err, context.Canceled): // shutting down; the next leader does it again
		return reconcile.Result{}, nil
	case err != nil:
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: min(o.wait, longestWait)}, nil
}

// set sets a condition and emits an event if emit is true and the condition is new.
func (o *outcome) set(c metav1.Condition, tell bool) {
	c.ObservedGeneration = o.status.ObservedGeneration
	c.Message = text.Clip(c.Message, 2*maxSummary)
	old := meta.FindStatusCondition(o.status.Conditions, c.Type)
	news := old == nil || old.Reason != c.Reason || old.Message != c.Message
	meta.SetStatusCondition(&o.status.Conditions, c)
	if tell && news && c.Status == metav1.ConditionFalse {
		o.event(note{corev1.EventTypeWarning, c.Reason, "Reconcile", c.Message})
	}
}

// writeStatus writes the status if it changed, and then emits the events. A conflict is not an error. It updates the status,
// which costs the API server less than patching it.
func (r *Reconciler) writeStatus(ctx context.Context, report *v1alpha1.MonitoringReport, o *outcome) {
	if !equality.Semantic.DeepEqual(report.Status, o.status) {
		written := report.DeepCopy()
		written.Status = o.status
		err := r.client.Status().Update(ctx, written, client.FieldOwner(fieldManager), unvalidated)
		switch {
		case apierrors.IsNotFound(err):
			return // it was deleted
		case apierrors.IsConflict(err):
			o.after(time.Second)
			return
		case err != nil:
			o.errs = append(o.errs, fmt.Errorf("write the status of %s/%s: %w", report.Namespace, report.Name, err))
			return
		}
		r.memory.wrote(keyOf(written), written, r.now())
	}
	for _, e := range o.events {
		r.events.Eventf(report, nil, e.kind, e.reason, e.action, "%s", text.Clip(e.text, 2*maxSummary))
	}
}
