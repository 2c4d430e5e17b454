package controllers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/kube/desired"
)

// fieldManager is who we are in objects' managedFields.
const fieldManager = "watchbill-controller"

const (
	labelManagedBy = "app.kubernetes.io/managed-by"
	managedBy      = "watchbill"
)

// waitError says that something is to be done later, and that this is no fault.
type waitError struct {
	after time.Duration
	why   string
}

func (e *waitError) Error() string { return e.why }

// apply makes an object what it is wanted to be, and is the only place that writes one. live is what stands, nil if nothing
// does. No request is made where all is as it should be.
func (r *Reconciler) apply(ctx context.Context, report *v1alpha1.MonitoringReport, want, live client.Object) (wrote bool, err error) {
	key := keyOf(want)
	whose := whoseIs(report, live)
	switch {
	case whose == foreign:
		return false, &foreignError{key, ownerOf(live)}
	case live != nil && !live.GetDeletionTimestamp().IsZero():
		return false, &waitError{lookAgain, "it is being deleted"} // its end brings us back
	case r.memory.behind(key, live, r.now()):
		return false, &waitError{time.Second, "what was written is not seen yet"}
	case whose == earlier: // as the garbage collector is about to
		if err := r.remove(ctx, live); err != nil {
			return false, err
		}
		return false, &waitError{lookAgain, fmt.Sprintf("the %s of an earlier report of this name is being removed", key.kind)}
	}
	wanted, err := sealed(want)
	if err != nil {
		return false, err
	}
	if live != nil {
		done, err := r.stands(report, wanted.Object, live)
		if done || err != nil {
			return false, err
		}
		if replace(want, live) {
			return true, r.remove(ctx, live)
		}
		wanted.SetUID(live.GetUID()) // if another took its place since, it is left alone
	}
	if err := r.send(ctx, report, want, wanted, live); err != nil {
		return false, fmt.Errorf("apply %s %s/%s: %w", key.kind, key.namespace, key.name, err)
	}
	return true, nil
}

// unvalidated has the API server not look for unknown fields, for which it would decode a patch a second time. What is written
// is of the API's own types, so there is none unless the cluster knows an older one; then it is left out, as with a warning.
const unvalidated = client.FieldValidation(metav1.FieldValidationIgnore)

// errReplaced says that an object is another by now.
var errReplaced = errors.New("another object has taken its name")

// send has the API server create an object, or apply it to the one that is live, if any, and wants no more back than its metadata: the
// rest is as it was sent. One that the cache does not show yet is a conflict.
func (r *Reconciler) send(ctx context.Context, report *v1alpha1.MonitoringReport, want client.Object, wanted *unstructured.Unstructured, live client.Object) error {
	if rule, ok := want.(*monitoringv1.PrometheusRule); ok { // whose rules are digests in wanted
		if slices.ContainsFunc(rule.Spec.Groups, isDigest) {
			made, err := makeRules(report, r.opts)
			if err != nil {
				return err
			}
			rule = made.rule
		}
		wanted.Object["spec"] = rule.Spec
	}
	text, err := json.Marshal(wanted.Object)
	if err != nil {
		return err
	}
	gvk := wanted.GroupVersionKind()
	var written *metav1.PartialObjectMetadata
	if live == nil && want.GetName() != desired.SharedName {
		written, err = r.creator.create(ctx, gvk, want.GetNamespace(), text)
	} else if err = r.adopt(ctx, gvk, live); err == nil {
		written = metadataOf(gvk)
		written.SetNamespace(want.GetNamespace())
		written.SetName(want.GetName())
		err = r.client.Patch(ctx, written, client.RawPatch(types.ApplyPatchType, text), client.FieldOwner(fieldManager), client.ForceOwnership, unvalidated)
	}
	if err != nil {
		return err
	}
	r.memory.wrote(keyOf(want), written, r.now())
	return nil
}

// stands says whether the live object is as it is wanted. Undoing what others do to our fields is limited in its rate, so
// that a fight with another controller, or with a webhook that changes what we apply, is slow.
func (r *Reconciler) stands(report *v1alpha1.MonitoringReport, wanted map[string]any, live client.Object) (bool, error) {
	have, err := content(live)
	if err != nil {
		return false, err
	}
	have["apiVersion"], have["kind"] = wanted["apiVersion"], wanted["kind"] // typed objects from the cache lack them
	if holds(have, wanted) {
		return true, nil
	}
	metadata, _ := wanted["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	changed := live.GetAnnotations()[v1alpha1.AnnotationAppliedHash] != annotations[v1alpha1.AnnotationAppliedHash]
	if !changed && !r.memory.of(report).mayRepair(r.now()) {
		return false, &waitError{repairEvery, "something else keeps changing our objects"}
	}
	return false, nil
}

// replace says whether an object must be deleted to become what it should be: to what a RoleBinding binds cannot be changed.
func replace(want, live client.Object) bool {
	binding, ok := want.(*rbacv1.RoleBinding)
	standing, both := live.(*rbacv1.RoleBinding)
	return ok && both && binding.RoleRef != standing.RoleRef
}

// remove deletes an object that stands, unless another took its place. Its end brings us back.
func (r *Reconciler) remove(ctx context.Context, live client.Object) error {
	if live == nil || !live.GetDeletionTimestamp().IsZero() {
		return nil
	}
	uid := live.GetUID()
	err := r.client.Delete(ctx, live, client.Preconditions{UID: &uid}, client.PropagationPolicy(metav1.DeletePropagationBackground))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete %s %s/%s: %w", kindOf(live), live.GetNamespace(), live.GetName(), err)
	}
	return nil
}

// passing says whether an error says nothing about the report: its retry will find things changed.
func passing(err error) bool {
	var wait *waitError
	return errors.As(err, &wait) || stale(err) || ending(err)
}

// stale says whether something failed because the cache is behind: what is newer will come.
func stale(err error) bool { return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) }

// ending says whether something failed because its namespace is being deleted.
func ending(err error) bool { return apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) }
