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

// scheme returns the types that the controller reads and writes.
func scheme() (*runtime.Scheme, error) {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, monitoringv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(s); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// cacheOptions returns the options of the cache. It contains only the kinds listed here or watched: reading others fails, so
// that no Secret is cached by accident. CronJobs and PrometheusRules of others are cached too, by name only, so that name
// conflicts are noticed.
func cacheOptions(s *runtime.Scheme, namespaces []string) cache.Options {
	ours := cache.ByObject{Label: labels.SelectorFromSet(labels.Set{labelManagedBy: managedBy})}
	shared := cache.ByObject{Field: fields.OneTermEqualSelector("metadata.name", desired.SharedName)}
	options := bareCacheOptions(s)
	// Kinds that a cluster may lack cannot be listed here.
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

// bareCacheOptions returns the options of a cache of watched kinds only, trimmed to the fields used.
func bareCacheOptions(s *runtime.Scheme) cache.Options {
	return cache.Options{Scheme: s, ReaderFailOnMissingInformer: true, DefaultTransform: trimmed}
}

var _ toolscache.TransformFunc = trimmed

const kindReport = "MonitoringReport"

// trimmed removes the parts of an object that are never used: with a thousand reports they are most of the memory. It is
// idempotent, since client-go may call it twice for an object.
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
		delete(object.Annotations, corev1.LastAppliedConfigAnnotation) // a copy of the whole spec
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
