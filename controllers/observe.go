package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/kube/desired"
)

// observed is a report and its objects in the cluster.
type observed struct {
	report  *v1alpha1.MonitoringReport // nil if deleted
	objects map[objectKey]client.Object
	jobs    []batchv1.Job // the report's own
	pods    []corev1.Pod  // of those Jobs

	rules      availability // whether the cluster has PrometheusRules
	candidates candidates   // the evaluators that may evaluate them

	resolved *desired.Resolved // see resolve
}

// resolve returns the report with its spec resolved, which it does once.
func (o *observed) resolve() desired.Resolved {
	if o.resolved == nil {
		resolved := desired.Resolve(o.report)
		o.resolved = &resolved
	}
	return *o.resolved
}

// live returns the current state of a wanted object, or nil.
func (o *observed) live(want client.Object) client.Object { return o.objects[keyOf(want)] }

// own returns the report's object of a kind and name, nil if there is none or another owner has it.
func (o *observed) own(kind, name string) client.Object {
	object, ok := o.objects[objectKey{kind, o.report.Namespace, name}]
	if !ok || !owns(o.report, object) {
		return nil
	}
	return object
}

func (o *observed) cronJob() *batchv1.CronJob {
	cronJob, _ := o.own("CronJob", desired.CronJobName(o.report.Name)).(*batchv1.CronJob)
	return cronJob
}

// versions identifies the state of all planned objects.
func (o *observed) versions() string {
	var all []string
	for key, object := range o.objects {
		all = append(all, fmt.Sprint(key.kind, "=", object.GetUID(), "/", object.GetResourceVersion()))
	}
	slices.Sort(all)
	return fmt.Sprint(o.rules, " ", all)
}

// observe reads from the cache all that a report's reconcile needs.
func (r *Reconciler) observe(ctx context.Context, key types.NamespacedName) (*observed, error) {
	seen := &observed{objects: map[objectKey]client.Object{}}
	report := &v1alpha1.MonitoringReport{}
	if err := r.client.Get(ctx, key, report); apierrors.IsNotFound(err) {
		return seen, nil
	} else if err != nil {
		return nil, fmt.Errorf("read MonitoringReport %s: %w", key, err)
	}
	seen.report = report
	seen.rules = r.kinds.rules.is()
	objects := append(sharedObjects(key.Namespace), named(&batchv1.CronJob{}, key.Namespace, desired.CronJobName(key.Name)))
	if seen.rules == available {
		objects = append(objects, named(&monitoringv1.PrometheusRule{}, key.Namespace, desired.PrometheusRuleName(key.Name)))
	}
	for _, object := range objects {
		if err := r.look(ctx, seen, object); err != nil {
			return nil, err
		}
	}
	if err := r.observeRuns(ctx, seen); err != nil {
		return nil, err
	}
	if seen.rules != available {
		return seen, nil
	}
	var err error
	seen.candidates, err = r.kinds.candidates(ctx, key.Namespace)
	return seen, err
}

// look reads an object and adds it to seen if it exists.
func (r *Reconciler) look(ctx context.Context, seen *observed, object client.Object) error {
	key := keyOf(object)
	err := r.client.Get(ctx, client.ObjectKeyFromObject(object), object)
	var uncached *cache.ErrResourceNotCached
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case errors.As(err, &uncached): // the kind has just been removed
		seen.rules = missing
		return nil
	case err != nil:
		return fmt.Errorf("read %s %s/%s: %w", key.kind, key.namespace, key.name, err)
	}
	seen.objects[key] = object
	return nil
}

// observeRuns reads the report's Jobs and their Pods, without Jobs of an earlier report of the same name.
func (r *Reconciler) observeRuns(ctx context.Context, seen *observed) error {
	report := seen.report
	owners := map[types.UID]bool{report.UID: true}
	if cronJob := seen.cronJob(); cronJob != nil {
		owners[cronJob.UID] = true
	}
	of := []client.ListOption{client.InNamespace(report.Namespace), client.MatchingFields{indexReport: report.Name}}
	var jobs batchv1.JobList
	if err := r.client.List(ctx, &jobs, of...); err != nil {
		return fmt.Errorf("list Jobs of %s/%s: %w", report.Namespace, report.Name, err)
	}
	own := map[types.UID]bool{}
	for _, job := range jobs.Items {
		for _, owner := range job.OwnerReferences {
			if owners[owner.UID] {
				seen.jobs = append(seen.jobs, job)
				own[job.UID] = true
				break
			}
		}
	}
	if len(seen.jobs) == 0 {
		return nil
	}
	var pods corev1.PodList
	if err := r.client.List(ctx, &pods, of...); err != nil {
		return fmt.Errorf("list Pods of %s/%s: %w", report.Namespace, report.Name, err)
	}
	for _, pod := range pods.Items {
		for _, owner := range pod.OwnerReferences {
			if own[owner.UID] {
				seen.pods = append(seen.pods, pod)
				break
			}
		}
	}
	return nil
}

// sharedObjects returns the objects that a namespace's reports share, with their names only.
func sharedObjects(namespace string) []client.Object {
	return []client.Object{
		named(&corev1.ServiceAccount{}, namespace, desired.SharedName),
		named(&rbacv1.Role{}, namespace, desired.SharedName),
		named(&rbacv1.RoleBinding{}, namespace, desired.SharedName),
	}
}

func named[T client.Object](object T, namespace, name string) T {
	object.SetNamespace(namespace)
	object.SetName(name)
	return object
}
