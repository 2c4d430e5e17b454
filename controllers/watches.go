package controllers

import (
	"context"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/kube/desired"
)

const (
	// workers is the number of concurrent reconciles.
	workers = 8
	// indexReport is the index of Jobs and Pods by their report.
	indexReport = "report"
)

// watch registers the reconciler with the manager and its watches.
func (r *Reconciler) watch(ctx context.Context, mgr manager.Manager) error {
	for _, object := range []client.Object{&batchv1.Job{}, &corev1.Pod{}} {
		if err := mgr.GetFieldIndexer().IndexField(ctx, object, indexReport, reportLabel); err != nil {
			return err
		}
	}
	if err := mgr.Add(r.kinds); err != nil {
		return err
	}
	byName := handler.EnqueueRequestsFromMapFunc(func(_ context.Context, object client.Object) []reconcile.Request { return reportNamedBy(object) })
	byLabel := handler.EnqueueRequestsFromMapFunc(func(_ context.Context, object client.Object) []reconcile.Request { return reportLabelled(object) })
	ofNamespace := handler.EnqueueRequestsFromMapFunc(r.reportsOfNamespace)
	return builder.ControllerManagedBy(mgr).
		Named("monitoringreport").
		For(&v1alpha1.MonitoringReport{}, builder.WithPredicates(predicate.Funcs{UpdateFunc: asked})).
		Watches(&batchv1.CronJob{}, byName).
		Watches(&batchv1.Job{}, byLabel).
		Watches(&corev1.Pod{}, byLabel).
		Watches(&corev1.ServiceAccount{}, ofNamespace).
		Watches(&rbacv1.Role{}, ofNamespace).
		Watches(&rbacv1.RoleBinding{}, ofNamespace).
		WatchesRawSource(r.kinds.source()).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: workers,
			SkipNameValidation:      new(true), // tests run several managers in one process
		}).
		Complete(r)
}

// asked reports whether an update of a report requires a reconcile. Updates of its status do not.
func asked(e event.UpdateEvent) bool {
	return e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() ||
		e.ObjectOld.GetAnnotations()[v1alpha1.AnnotationRunRequestedAt] != e.ObjectNew.GetAnnotations()[v1alpha1.AnnotationRunRequestedAt] ||
		e.ObjectOld.GetUID() != e.ObjectNew.GetUID() ||
		e.ObjectOld.GetResourceVersion() == e.ObjectNew.GetResourceVersion() // the cache's resync
}

// reportNamedBy returns the report that an object's name is derived from. It need not exist or own the object: foreign
// objects with such a name matter too.
func reportNamedBy(object client.Object) []reconcile.Request {
	name, ok := strings.CutSuffix(object.GetName(), desired.CronJobName(""))
	if !ok || name == "" || len(name) > desired.MaxName {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: object.GetNamespace(), Name: name}}}
}

// reportLabelled returns the report in an object's label.
func reportLabelled(object client.Object) []reconcile.Request {
	name := object.GetLabels()[v1alpha1.LabelReport]
	if name == "" || len(name) > desired.MaxName {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: object.GetNamespace(), Name: name}}}
}

func reportLabel(object client.Object) []string {
	if name := object.GetLabels()[v1alpha1.LabelReport]; name != "" {
		return []string{name}
	}
	return nil
}

// reportsOfNamespace returns the reports that share an object. If there are none it returns a request for a missing report,
// for which the reconciler deletes the shared objects, also when the controller starts.
func (r *Reconciler) reportsOfNamespace(ctx context.Context, object client.Object) []reconcile.Request {
	requests := r.reports(ctx, client.InNamespace(object.GetNamespace()))
	if len(requests) == 0 {
		return []reconcile.Request{{NamespacedName: client.ObjectKeyFromObject(object)}}
	}
	return requests
}

// reports returns all reports, or those selected by the options.
func (r *Reconciler) reports(ctx context.Context, opts ...client.ListOption) []reconcile.Request {
	var all v1alpha1.MonitoringReportList
	if err := r.client.List(ctx, &all, append(opts, client.UnsafeDisableDeepCopy)...); err != nil {
		return nil // shutting down; otherwise the cache would return them
	}
	requests := make([]reconcile.Request, len(all.Items))
	for i := range all.Items {
		requests[i].NamespacedName = client.ObjectKeyFromObject(&all.Items[i])
	}
	return requests
}
