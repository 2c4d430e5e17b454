// Package v1alpha1 is the custom resource of Watchbill: MonitoringReport, of the group monitoring.watchbill.dev. It holds
// types, their defaults and rules (the generated CustomResourceDefinition enforces them), and the names of conditions and
// reasons. What the controller makes of them lives in internal/kube/desired and controllers.
//
// The comments of fields are what kubectl explain shows. It keeps their line breaks and breaks again after 76 characters,
// so none of their lines is longer.
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

// AddToScheme makes a scheme know the types.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &MonitoringReport{}, &MonitoringReportList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
