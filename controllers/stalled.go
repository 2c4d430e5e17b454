package controllers

import (
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/watchbill/watchbill/api/v1alpha1"
)

// stalledAfter is how long the API server may reject an object before the report is stalled. Permissions and admission
// webhooks installed together with a report take a moment to work.
const stalledAfter = time.Minute

// refused reports whether the API server rejected a request as such, so that it will be rejected again until the spec or the
// cluster is changed.
func refused(err error) bool {
	return (apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) ||
		apierrors.IsMethodNotSupported(err) || apierrors.IsRequestEntityTooLargeError(err)) && !ending(err)
}

// stall sets the condition Stalled if only a change of the spec or the cluster helps, and removes it otherwise. The other
// conditions must have been set before.
func (o *outcome) stall(f *problem, now time.Time) {
	if f != nil {
		o.set(is(v1alpha1.ConditionStalled, metav1.ConditionTrue, f.reason, f.message), false)
		return
	}
	for _, condition := range []string{v1alpha1.ConditionScheduled, v1alpha1.ConditionRulesInstalled} {
		c := meta.FindStatusCondition(o.status.Conditions, condition)
		if c == nil || c.Status != metav1.ConditionFalse {
			continue
		}
		if c.Reason == v1alpha1.ReasonForeignObject || c.Reason == v1alpha1.ReasonRejected || o.refused[condition] && o.lasts(now) {
			o.set(is(v1alpha1.ConditionStalled, metav1.ConditionTrue, c.Reason, condition+": "+c.Message), false)
			return
		}
	}
	meta.RemoveStatusCondition(&o.status.Conditions, v1alpha1.ConditionStalled)
}

// lasts reports whether the report has not been ready for stalledAfter. If not, it schedules a reconcile for then.
func (o *outcome) lasts(now time.Time) bool {
	ready := meta.FindStatusCondition(o.status.Conditions, v1alpha1.ConditionReady)
	if ready == nil || ready.Status == metav1.ConditionTrue {
		return false
	}
	age := now.Sub(ready.LastTransitionTime.Time)
	if age >= stalledAfter {
		return true
	}
	o.after(min(stalledAfter-age, stalledAfter)) // the clock may have been set back
	return false
}
