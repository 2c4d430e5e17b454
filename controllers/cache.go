package controllers

import (
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/kube/desired"
)

// scheme has the types that the controller reads and writes.
func scheme() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, monitoringv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(s); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// cacheOptions say what the cache has. It has nothing that is not named here or watched: reading anything else fails, so
// that no Secret gets in by accident. CronJobs and PrometheusRules are cached whoever made them, or one in our way would not
// be seen; but of those of others no more than their names.
func cacheOptions(s *runtime.Scheme, namespaces []string) cache.Options {
	ours := cache.ByObject{Label: labels.SelectorFromSet(labels.Set{labelManagedBy: managedBy})}
	shared := cache.ByObject{Field: fields.OneTermEqualSelector("metadata.name", desired.SharedName)}
	options := bareCacheOptions(s)
	// Kinds that a cluster may lack cannot be named here.
	options.ByObject = map[client.Object]cache.ByObject{
		&corev1.ServiceAccount{}: shared,
		&rbacv1.Role{}:           shared,
		&rbacv1.RoleBinding{}:    shared,
		&batchv1.Job{}:           ours,
		&corev1.Pod{}:            ours,
	}
	if len(namespaces) > 0 {
		options.DefaultNamespaces = map[string]cache.Config{}
		for _, namespace := range namespaces {
			options.DefaultNamespaces[namespace] = cache.Config{}
		}
	}
	return options
}

// bareCacheOptions are those of a cache that has only what is watched, and of that only what is looked at.
func bareCacheOptions(s *runtime.Scheme) cache.Options {
	return cache.Options{Scheme: s, ReaderFailOnMissingInformer: true, DefaultTransform: trimmed}
}

var _ toolscache.TransformFunc = trimmed

const kindReport = "MonitoringReport"

// trimmed takes out of an object what is never looked at: with a thousand reports that is most of the memory. What it has
// trimmed it leaves as it is, since client-go may hand an object to it twice.
func trimmed(in any) (any, error) {
	object, ok := in.(client.Object)
	if !ok {
		return in, nil
	}
	object.SetManagedFields(ownCreation(object.GetManagedFields()))
	owner := metav1.GetControllerOf(object)
	foreign := object.GetLabels()[labelManagedBy] != managedBy && (owner == nil || owner.Kind != kindReport)
	switch object := object.(type) {
	case *v1alpha1.MonitoringReport:
		delete(object.Annotations, corev1.LastAppliedConfigAnnotation) // the whole spec once more
	case *batchv1.CronJob:
		if foreign {
			object.Spec = batchv1.CronJobSpec{}
			object.Annotations = nil
		}
	case *monitoringv1.PrometheusRule:
		if foreign {
			object.Spec = monitoringv1.PrometheusRuleSpec{}
			object.Status = monitoringv1.ConfigResourceStatus{}
			object.Annotations = nil
			break
		}
		groups, err := digested(object.Spec.Groups)
		if err != nil {
			return nil, err
		}
		object.Spec.Groups = groups
	case *batchv1.Job:
		object.Spec.Template = corev1.PodTemplateSpec{}
		object.Annotations = nil
	case *corev1.Pod:
		object.Spec = corev1.PodSpec{}
		object.Annotations = nil
	case *corev1.Namespace:
		object.Annotations = nil
		object.Spec = corev1.NamespaceSpec{}
	case *unstructured.Unstructured:
		trimEvaluator(object)
	}
	return object, nil
}
