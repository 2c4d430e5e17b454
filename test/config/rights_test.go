package config_test

import (
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/kube/desired"
)

// TestControllerMayMakeReports checks that the controller may apply a report's objects, including the roles that it
// grants, in namespaces for reports and not in others.
func TestControllerMayMakeReports(t *testing.T) {
	applied(t, "default")
	as := rest.CopyConfig(cluster.Config)
	as.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:" + namespace + ":watchbill-controller",
		Groups:   []string{"system:serviceaccounts", "system:authenticated"},
	}
	controller, err := client.New(as, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	apply := func(object *unstructured.Unstructured) error {
		return controller.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("watchbill"))
	}
	for _, object := range children(t, "default") {
		if err := apply(object); !apierrors.IsForbidden(err) {
			t.Errorf("%s in default: got %v, want it forbidden", object.GetKind(), err)
		}
	}
	made := children(t, namespace)
	for _, object := range made {
		if err := apply(object); err != nil {
			t.Errorf("%s: %v", object.GetKind(), err)
		}
	}
	for _, object := range made {
		if err := controller.Delete(t.Context(), object); err != nil {
			t.Errorf("delete the %s: %v", object.GetKind(), err)
		}
	}
}

// children returns an object of each kind that the controller creates for a report.
func children(t *testing.T, namespace string) []*unstructured.Unstructured {
	t.Helper()
	mr := &v1alpha1.MonitoringReport{
		ObjectMeta: metav1.ObjectMeta{Name: "daily", Namespace: namespace, UID: "2b1f6d7e-0000-4000-8000-000000000000"},
		Spec:       v1alpha1.MonitoringReportSpec{Schedule: "0 0 * * *"},
	}
	opts := desired.Options{Image: "watchbill/watchbill:latest", ImagePullPolicy: corev1.PullIfNotPresent, Server: "http://watchbill-api:8080"}
	rule, _, err := desired.PrometheusRule(desired.Resolve(mr), opts)
	if err != nil {
		t.Fatal(err)
	}
	var all []*unstructured.Unstructured
	for _, object := range []runtime.Object{
		desired.ServiceAccount(namespace), desired.Role(namespace), desired.RoleBinding(namespace),
		desired.CronJob(desired.Resolve(mr), opts), desired.RunJob(desired.Resolve(mr), time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), opts), rule,
	} {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
		if err != nil {
			t.Fatal(err)
		}
		delete(content, "status")
		all = append(all, &unstructured.Unstructured{Object: content})
	}
	return all
}

func TestRights(t *testing.T) {
	applied(t, "default")
	admin, err := client.New(cluster.Config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const api, controller = "watchbill-api", "watchbill-controller"
	tests := []struct {
		who, verb, group, resource, subresource, name, in string // in: empty for all or no namespace
		allowed                                           bool
	}{
		{api, "create", "authentication.k8s.io", "tokenreviews", "", "", "", true},
		{api, "create", "authorization.k8s.io", "subjectaccessreviews", "", "", "", true},
		{api, "get", "monitoring.watchbill.dev", "monitoringreports", "", "", namespace, false},
		{api, "get", "", "secrets", "", "", namespace, false},
		{controller, "list", "monitoring.watchbill.dev", "monitoringreports", "", "", "", true},
		{controller, "patch", "monitoring.watchbill.dev", "monitoringreports", "status", "daily", "", true},
		{controller, "patch", "monitoring.watchbill.dev", "monitoringreports", "", "daily", namespace, false},
		{controller, "create", "monitoring.watchbill.dev", "monitoringreports", "run", "", namespace, true},
		{controller, "create", "monitoring.watchbill.dev", "monitoringreports", "run", "", "default", false},
		{controller, "watch", "", "pods", "", "", "", true},
		{controller, "delete", "", "pods", "", "", namespace, false},
		{controller, "watch", "monitoring.coreos.com", "prometheuses", "", "", "", true},
		{controller, "patch", "monitoring.coreos.com", "prometheuses", "", "", namespace, false},
		{controller, "create", "coordination.k8s.io", "leases", "", "", namespace, true},
		{controller, "create", "coordination.k8s.io", "leases", "", "", "kube-system", false},
		{controller, "list", "", "serviceaccounts", "", "watchbill-report", "", true},
		{controller, "list", "", "serviceaccounts", "", "", "", false},
		{controller, "create", "rbac.authorization.k8s.io", "roles", "", "other", namespace, false},
		{controller, "delete", "batch", "cronjobs", "", "", namespace, true},
		{controller, "delete", "batch", "cronjobs", "", "", "default", false},
		{controller, "get", "", "secrets", "", "", namespace, false},
	}
	for _, tt := range tests {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User:   "system:serviceaccount:" + namespace + ":" + tt.who,
			Groups: []string{"system:serviceaccounts", "system:authenticated"},
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Verb: tt.verb, Group: tt.group, Resource: tt.resource, Subresource: tt.subresource, Name: tt.name, Namespace: tt.in,
			},
		}}
		if err := admin.Create(t.Context(), review); err != nil {
			t.Fatal(err)
		}
		if review.Status.Allowed != tt.allowed {
			t.Errorf("%+v: got %t", tt, review.Status.Allowed)
		}
	}
}
