package controllers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// candidates reads, from the cache, what can take the rules of a namespace.
func (k *kinds) candidates(ctx context.Context, namespace string) (candidates, error) {
	found := candidates{namespace: namespace}
	switch k.prometheuses.is() {
	case missing:
		found.unknown = "the cluster has no Prometheus objects that would say whether one takes the rules"
		return found, nil
	case unreadable:
		found.unknown = "the controller may not list Prometheus objects, so whether one takes the rules cannot be seen"
		return found, nil
	case available:
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(gvkPrometheus.GroupVersion().WithKind("PrometheusList"))
	var uncached *cache.ErrResourceNotCached
	if err := k.wide.List(ctx, list); errors.As(err, &uncached) {
		found.unknown = "the cluster's Prometheus objects went away a moment ago"
		return found, nil
	} else if err != nil {
		return found, fmt.Errorf("list Prometheus objects: %w", err)
	}
	for _, item := range list.Items {
		p, err := prometheusOf(item)
		if err != nil {
			return found, err
		}
		found.prometheuses = append(found.prometheuses, p)
	}
	slices.SortFunc(found.prometheuses, func(a, b prometheusObject) int {
		return cmp.Or(strings.Compare(a.namespace, b.namespace), strings.Compare(a.name, b.name))
	})
	if k.labels.is() != available {
		return found, nil
	}
	object := &corev1.Namespace{}
	err := k.wide.Get(ctx, client.ObjectKey{Name: namespace}, object)
	switch {
	case apierrors.IsNotFound(err), errors.As(err, &uncached):
	case err != nil:
		return found, fmt.Errorf("read Namespace %s: %w", namespace, err)
	default:
		if found.labels = object.Labels; found.labels == nil {
			found.labels = map[string]string{}
		}
	}
	return found, nil
}

func prometheusOf(item unstructured.Unstructured) (prometheusObject, error) {
	var spec struct {
		RuleSelector          *metav1.LabelSelector `json:"ruleSelector"`
		RuleNamespaceSelector *metav1.LabelSelector `json:"ruleNamespaceSelector"`
	}
	fields, _, err := unstructured.NestedMap(item.Object, "spec")
	if err == nil {
		err = runtime.DefaultUnstructuredConverter.FromUnstructured(fields, &spec)
	}
	if err != nil {
		return prometheusObject{}, fmt.Errorf("read Prometheus %s/%s: %w", item.GetNamespace(), item.GetName(), err)
	}
	return prometheusObject{item.GetNamespace(), item.GetName(), spec.RuleSelector, spec.RuleNamespaceSelector}, nil
}

func sameSelectors(before, after client.Object) bool {
	old, ok := before.(*unstructured.Unstructured)
	young, both := after.(*unstructured.Unstructured)
	return ok && both && reflect.DeepEqual(old.Object["spec"], young.Object["spec"]) // of which the cache has no more than these
}

func sameLabels(before, after client.Object) bool {
	return reflect.DeepEqual(before.GetLabels(), after.GetLabels())
}

func unstructuredOf(gvk schema.GroupVersionKind) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(gvk)
	return object
}

func metadataOf(gvk schema.GroupVersionKind) *metav1.PartialObjectMetadata {
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(gvk)
	return object
}
