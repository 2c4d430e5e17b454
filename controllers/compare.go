package controllers

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/watchbill/watchbill/api/v1alpha1"
)

// content returns an object as JSON values, without fields set by the API server and with digests in place of rules.
func content(object runtime.Object) (map[string]any, error) {
	if rule, ok := object.(*monitoringv1.PrometheusRule); ok {
		groups, err := digested(rule.Spec.Groups)
		if err != nil {
			return nil, err
		}
		short := *rule
		short.Spec.Groups = groups
		object = &short
	}
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return nil, fmt.Errorf("turn %T into JSON: %w", object, err)
	}
	delete(fields, "status")
	prune(fields)
	return fields, nil
}

// prune removes nulls, such as unset times.
func prune(value any) {
	switch value := value.(type) {
	case map[string]any:
		for key, one := range value {
			if one == nil {
				delete(value, key)
				continue
			}
			prune(one)
		}
	case []any:
		for _, one := range value {
			prune(one)
		}
	}
}

// sealed returns an object's content with its hash as an annotation. By the hash a later reconcile notices that a field is no
// longer wanted, which a comparison cannot: it might have been set by others.
func sealed(object runtime.Object) (*unstructured.Unstructured, error) {
	fields, err := content(object)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(fields) // sorts keys
	if err != nil {
		return nil, fmt.Errorf("hash a %T: %w", object, err)
	}
	sum := sha256.Sum256(text)
	sealed := &unstructured.Unstructured{Object: fields}
	annotations := sealed.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[v1alpha1.AnnotationAppliedHash] = hex.EncodeToString(sum[:16])
	sealed.SetAnnotations(annotations)
	return sealed, nil
}

// sharedLists are the lists that the API server merges by name, so that others may add entries. In other lists foreign
// entries are drift, for example a foreign subject of the RoleBinding.
var sharedLists = []string{"containers", "initContainers", "env", "volumes", "imagePullSecrets", "groups", "ownerReferences"}

// holds reports whether have contains want. Fields defaulted by the API server or owned by others are ignored.
func holds(have, want any) bool { return holdsAt("", have, want) }

func holdsAt(name string, have, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		have, ok := have.(map[string]any)
		if !ok {
			return len(want) == 0 && have == nil
		}
		for key, one := range want {
			if existing, ok := have[key]; !ok && !empty(one) || ok && !holdsAt(key, existing, one) {
				return false
			}
		}
		return true
	case []any:
		have, ok := have.([]any)
		if !ok {
			return len(want) == 0
		}
		if slices.Contains(sharedLists, name) {
			return holdsNamed(have, want)
		}
		return slices.EqualFunc(have, want, holds)
	default:
		return reflect.DeepEqual(have, want)
	}
}

// holdsNamed compares lists of objects by name, in any order.
func holdsNamed(have, want []any) bool {
	for _, one := range want {
		entry, ok := one.(map[string]any)
		if !ok {
			return false
		}
		i := slices.IndexFunc(have, func(other any) bool {
			existing, ok := other.(map[string]any)
			return ok && existing["name"] == entry["name"] && existing["uid"] == entry["uid"]
		})
		if i < 0 || !holds(have[i], one) {
			return false
		}
	}
	return true
}

// empty reports whether an API server omits a value: it stores neither empty lists nor most empty objects.
func empty(value any) bool {
	switch value := value.(type) {
	case map[string]any:
		return len(value) == 0
	case []any:
		return len(value) == 0
	}
	return false
}
