package controllers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// candidates reads from the cache the evaluators that may evaluate a namespace's rules.
func (k *kinds) candidates(ctx context.Context, namespace string) (candidates, error) {
	found := candidates{namespace: namespace}
	for _, one := range []*kind{k.prometheuses, k.rulers} {
		evaluators, unknown, err := k.evaluators(ctx, one)
		if err != nil {
			return found, err
		}
		found.evaluators = append(found.evaluators, evaluators...)
		found.unknown = cmp.Or(found.unknown, unknown)
	}
	if k.labels.is() != available {
		return found, nil
	}
	var uncached *cache.ErrResourceNotCached
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

// evaluators reads the evaluators of one kind, sorted by name. If they cannot be read, unknown is the reason.
func (k *kinds) evaluators(ctx context.Context, one *kind) (found []evaluator, unknown string, err error) {
	switch one.is() {
	case missing:
		return nil, "", nil
	case unreadable:
		return nil, fmt.Sprintf("the controller may not list %s objects, so it is unknown whether one selects the rules", one.gvk.Kind), nil
	case available:
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(one.gvk.GroupVersion().WithKind(one.gvk.Kind + "List"))
	var uncached *cache.ErrResourceNotCached
	if err := k.wide.List(ctx, list, client.UnsafeDisableDeepCopy); errors.As(err, &uncached) {
		return nil, fmt.Sprintf("the cluster no longer has the kind %s", one.gvk.Kind), nil
	} else if err != nil {
		return nil, "", fmt.Errorf("list %s objects: %w", one.gvk.Kind, err)
	}
	for i := range list.Items {
		e, err := evaluatorOf(one.gvk.Kind, &list.Items[i])
		if err != nil {
			return nil, "", err
		}
		found = append(found, e)
	}
	slices.SortFunc(found, func(a, b evaluator) int {
		return cmp.Or(strings.Compare(a.namespace, b.namespace), strings.Compare(a.name, b.name))
	})
	return found, "", nil
}

// evaluatorSpec are the fields used of Prometheus and ThanosRuler objects.
type evaluatorSpec struct {
	RuleSelector          *metav1.LabelSelector `json:"ruleSelector,omitempty"`
	RuleNamespaceSelector *metav1.LabelSelector `json:"ruleNamespaceSelector,omitempty"`

	EnforcedNamespaceLabel             string                                     `json:"enforcedNamespaceLabel,omitempty"`
	ExcludedFromEnforcement            []monitoringv1.ObjectReference             `json:"excludedFromEnforcement,omitempty"`
	PrometheusRulesExcludedFromEnforce []monitoringv1.PrometheusRuleExcludeConfig `json:"prometheusRulesExcludedFromEnforce,omitempty"`

	Paused   bool   `json:"paused,omitempty"`
	Replicas *int64 `json:"replicas,omitempty"`
}

// trimEvaluator removes the unused parts of a Prometheus or ThanosRuler. It keeps of the replicas only whether there are any,
// so that autoscaling is not a change.
func trimEvaluator(object *unstructured.Unstructured) {
	spec := map[string]any{}
	kind := reflect.TypeFor[evaluatorSpec]()
	for i := range kind.NumField() {
		name, _, _ := strings.Cut(kind.Field(i).Tag.Get("json"), ",")
		value, ok, err := unstructured.NestedFieldNoCopy(object.Object, "spec", name)
		if name == "replicas" && value != int64(0) {
			continue
		}
		if err == nil && ok {
			spec[name] = value
		}
	}
	object.SetAnnotations(nil)
	object.SetLabels(nil)
	object.Object["spec"] = spec
	delete(object.Object, "status")
}

func evaluatorOf(kind string, item *unstructured.Unstructured) (evaluator, error) {
	e := evaluator{kind: kind, namespace: item.GetNamespace(), name: item.GetName()}
	var spec evaluatorSpec
	fields, ok := item.Object["spec"].(map[string]any)
	if !ok {
		return e, nil
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(fields, &spec); err != nil {
		return evaluator{}, fmt.Errorf("read %s: %w", e, err)
	}
	e.rules, e.namespaces = spec.RuleSelector, spec.RuleNamespaceSelector
	e.enforced = spec.EnforcedNamespaceLabel
	for _, r := range spec.ExcludedFromEnforcement {
		if r.Resource == monitoringv1.PrometheusRuleName {
			e.excluded = append(e.excluded, ruleReference{r.Namespace, r.Name})
		}
	}
	for _, r := range spec.PrometheusRulesExcludedFromEnforce {
		e.excluded = append(e.excluded, ruleReference{r.RuleNamespace, r.RuleName})
	}
	e.paused = spec.Paused
	e.idle = spec.Replicas != nil && *spec.Replicas == 0
	return e, nil
}

// bindingsOf returns the Prometheus operator's status of the current generation of a rule. The operator writes it only with
// its feature gate StatusForConfigurationResources.
func bindingsOf(rule *monitoringv1.PrometheusRule) []binding {
	kinds := map[string]string{monitoringv1.PrometheusName: gvkPrometheus.Kind, monitoringv1.ThanosRulerName: gvkThanosRuler.Kind}
	var all []binding
	for _, b := range rule.Status.Bindings {
		kind, ok := kinds[b.Resource]
		if !ok {
			continue
		}
		for _, c := range b.Conditions {
			if c.Type == monitoringv1.Accepted && c.ObservedGeneration == rule.Generation {
				message := cmp.Or(c.Message, c.Reason)
				all = append(all, binding{kind, b.Namespace, b.Name, c.Status == monitoringv1.ConditionTrue, message})
			}
		}
	}
	return all
}

// ruleOf returns a wanted rule with its observed state; live is nil if it is not in the cache yet.
func (r *Reconciler) ruleOf(rule *monitoringv1.PrometheusRule, live client.Object) ruleSeen {
	seen := ruleSeen{name: rule.Name, labels: labels.Set(rule.Labels), api: r.opts.Desired.Rules.Selector["namespace"]}
	if live != nil {
		seen.labels = labels.Merge(live.GetLabels(), rule.Labels) // labels set by others count too
	}
	if existing, ok := live.(*monitoringv1.PrometheusRule); ok {
		seen.bindings = bindingsOf(existing)
	}
	return seen
}

func sameSpecs(before, after client.Object) bool {
	old, ok := before.(*unstructured.Unstructured)
	updated, both := after.(*unstructured.Unstructured)
	return ok && both && reflect.DeepEqual(old.Object["spec"], updated.Object["spec"]) // after trimEvaluator
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
