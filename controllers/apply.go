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

// fieldManager is the controller's name in objects' managedFields.
const fieldManager = "watchbill-controller"

const (
	labelManagedBy = "app.kubernetes.io/managed-by"
	managedBy      = "watchbill"
)

// waitError is returned when something is to be done later, without being a failure.
type waitError struct {
	after time.Duration
	why   string
}

func (e *waitError) Error() string { return e.why }

// apply brings an object to the wanted state. It is the only place that writes objects. live is the current object or nil.
// It sends no request if nothing differs.
func (r *Reconciler) apply(ctx context.Context, seen *observed, want, live client.Object) (wrote bool, err error) {
	key := keyOf(want)
	whose := whoseIs(seen.report, live)
	switch {
	case whose == foreign:
		return false, &foreignError{key, ownerOf(live)}
	case live != nil && !live.GetDeletionTimestamp().IsZero():
		return false, &waitError{lookAgain, "it is being deleted"} // its deletion triggers a reconcile
	case r.memory.behind(key, live, r.now()):
		return false, &waitError{time.Second, "the cache does not have the last write yet"}
	case whose == earlier: // before the garbage collector does
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
		done, err := r.matches(seen.report, wanted.Object, live)
		if done || err != nil {
			return false, err
		}
		if replace(want, live) {
			return true, r.remove(ctx, live)
		}
		wanted.SetUID(live.GetUID()) // fails if the object was replaced since
	}
	if err := r.send(ctx, seen, want, wanted, live); err != nil {
		return false, fmt.Errorf("apply %s %s/%s: %w", key.kind, key.namespace, key.name, err)
	}
	return true, nil
}

// unvalidated turns off the API server's check for unknown fields, for which it decodes a patch a second time. Objects are
// of the API's types, so unknown fields occur only in older clusters, which drop them.
const unvalidated = client.FieldValidation(metav1.FieldValidationIgnore)

// errReplaced is returned when an object was replaced by another of its name.
var errReplaced = errors.New("another object has taken its name")

// send creates an object, or applies it if live is not nil, and requests only its metadata in the response; the rest is as
// sent. Creating an object that the cache does not show yet is a conflict.
func (r *Reconciler) send(ctx context.Context, seen *observed, want client.Object, wanted *unstructured.Unstructured, live client.Object) error {
	if rule, ok := want.(*monitoringv1.PrometheusRule); ok { // its rules are digests in wanted
		if slices.ContainsFunc(rule.Spec.Groups, isDigest) {
			made, err := makeRules(seen.resolve(), r.opts)
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

// matches reports whether the live object matches the wanted one. Reverting changes of others is rate-limited, so that a
// fight with another controller or a mutating webhook is slow.
func (r *Reconciler) matches(report *v1alpha1.MonitoringReport, wanted map[string]any, live client.Object) (bool, error) {
	have, err := content(live)
	if err != nil {
		return false, err
	}
	have["apiVersion"], have["kind"] = wanted["apiVersion"], wanted["kind"] // missing in typed objects of the cache
	if holds(have, wanted) {
		return true, nil
	}
	metadata, _ := wanted["metadata"].(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	changed := live.GetAnnotations()[v1alpha1.AnnotationAppliedHash] != annotations[v1alpha1.AnnotationAppliedHash]
	if !changed && !r.memory.of(report).mayRepair(r.now()) {
		return false, &waitError{repairEvery, "another client keeps changing the report's objects"}
	}
	return false, nil
}

// replace reports whether an object must be deleted and created again: a RoleBinding's role cannot be changed.
func replace(want, live client.Object) bool {
	binding, ok := want.(*rbacv1.RoleBinding)
	existing, both := live.(*rbacv1.RoleBinding)
	return ok && both && binding.RoleRef != existing.RoleRef
}

// remove deletes an object unless it was replaced. Its deletion triggers a reconcile.
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

// passing reports whether an error is temporary and has nothing to do with the report.
func passing(err error) bool {
	var wait *waitError
	return errors.As(err, &wait) || stale(err) || ending(err)
}

// stale reports whether a request failed because the cache is behind: the newer version will arrive.
func stale(err error) bool { return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) }

// ending reports whether a request failed because its namespace is being deleted.
func ending(err error) bool { return apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) }
