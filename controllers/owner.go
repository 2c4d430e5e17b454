package controllers

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/watchbill/watchbill/api/v1alpha1"
)

// ownership is the relation of a report to an object with the name of one of the report's objects.
type ownership int

const (
	own     ownership = iota // owned by the report; for shared objects, by Watchbill
	orphan                   // left by a deleted report of this name
	earlier                  // owned by an earlier report of this name and deleted with it
	foreign                  // owned by someone else
)

// whoseIs returns the ownership of an object. A missing object counts as the report's own.
func whoseIs(report *v1alpha1.MonitoringReport, object client.Object) ownership {
	if object == nil {
		return own
	}
	managed := object.GetLabels()[labelManagedBy] == managedBy
	if shared(object) {
		if managed {
			return own
		}
		return foreign
	}
	switch owner := metav1.GetControllerOf(object); {
	case owner == nil && managed && object.GetLabels()[v1alpha1.LabelReport] == report.Name && object.GetAnnotations()[v1alpha1.AnnotationAppliedHash] != "":
		return orphan
	case owner == nil:
		return foreign
	case owner.UID == report.UID:
		return own
	case owner.Kind == kindReport && owner.Name == report.Name && groupOf(owner.APIVersion) == v1alpha1.GroupVersion.Group:
		return earlier
	}
	return foreign
}

func groupOf(apiVersion string) string {
	object := metav1.TypeMeta{APIVersion: apiVersion}
	return object.GroupVersionKind().Group
}

// owns reports whether an object is the report's own or, for a shared object, Watchbill's.
func owns(report *v1alpha1.MonitoringReport, object client.Object) bool {
	return whoseIs(report, object) == own
}

// shared reports whether an object is of a kind that a namespace's reports share.
func shared(object client.Object) bool {
	switch object.(type) {
	case *corev1.ServiceAccount, *rbacv1.Role, *rbacv1.RoleBinding:
		return true
	}
	return false
}

// foreignError is the error for an object of someone else with a name that a report needs.
type foreignError struct {
	key   objectKey
	owner string
}

func (e *foreignError) Error() string {
	return fmt.Sprintf("there is a %s %s/%s that Watchbill did not make%s; it is left alone: delete or rename it", e.key.kind, e.key.namespace, e.key.name, e.owner)
}

// ownerOf returns the owner of a foreign object as far as its metadata says.
func ownerOf(object client.Object) string {
	labels := object.GetLabels()
	if owner := metav1.GetControllerOf(object); owner != nil {
		return fmt.Sprintf(" (it belongs to the %s %s)", owner.Kind, owner.Name)
	}
	if by := labels[labelManagedBy]; by != "" && by != managedBy {
		return fmt.Sprintf(" (it is managed by %s)", by)
	}
	if report := labels[v1alpha1.LabelReport]; report != "" {
		return fmt.Sprintf(" (it has the label %s=%s, but no other mark of an object of Watchbill)", v1alpha1.LabelReport, report)
	}
	return ""
}
