// Package v1alpha1 defines the custom resource of Watchbill: MonitoringReport, in the group monitoring.watchbill.dev.
// It has the types with their defaults and validation rules, which the generated CustomResourceDefinition enforces, and
// the names of conditions and reasons. The controller is in internal/kube/desired and controllers.
//
// The comments of fields are shown by kubectl explain. It keeps their line breaks and breaks again after 76 characters,
// so no line is longer.
//
// +kubebuilder:object:generate=true
// +groupName=monitoring.watchbill.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group and version of this package's types.
var GroupVersion = schema.GroupVersion{Group: "monitoring.watchbill.dev", Version: "v1alpha1"}

// AddToScheme adds the types to a scheme.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &MonitoringReport{}, &MonitoringReportList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
