package desired_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/watchbill/watchbill/internal/kube/desired"
	"github.com/watchbill/watchbill/internal/testkit/kubetest"
)

// TestAPIServerAcceptsObjects applies reports' objects to a real API server, which must accept them and change nothing
// when they are applied again: the controller would revert any difference forever.
func TestAPIServerAcceptsObjects(t *testing.T) {
	t.Parallel()
	cluster, err := kubetest.Start(kubetest.Options{CRDs: []string{"config/crd/bases"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	api, err := client.New(cluster.Config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	api = client.WithFieldValidation(api, metav1.FieldValidationStrict)
	fleet := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "fleet"}}
	if err := api.Create(t.Context(), fleet); err != nil {
		t.Fatal(err)
	}
	largest := largest(t)
	largest.Namespace = fleet.Name
	objects := []runtime.Object{
		desired.ServiceAccount("fleet"), desired.Role("fleet"), desired.RoleBinding("fleet"),
		desired.CronJob(desired.Resolve(largest), options()), desired.RunJob(desired.Resolve(largest), now, options()),
	}
	for _, name := range cases {
		mr := sample(t, name)
		standing := unstructured.Unstructured{Object: content(t, mr)}
		standing.SetUID("")
		if err := api.Create(t.Context(), &standing); err != nil {
			t.Errorf("the report of %s: %v", name, err)
		}
		objects = append(objects, desired.CronJob(desired.Resolve(mr), options()), desired.RunJob(desired.Resolve(mr), now, options()))
	}
	for _, object := range objects {
		apply := func() *unstructured.Unstructured {
			applied := &unstructured.Unstructured{Object: content(t, object)}
			wanted := client.ApplyConfigurationFromUnstructured(applied)
			if err := api.Apply(t.Context(), wanted, client.FieldOwner("watchbill"), client.ForceOwnership); err != nil {
				t.Errorf("%s %s: %v", applied.GetKind(), applied.GetName(), err)
			}
			return applied
		}
		first, second := apply(), apply()
		if rv := first.GetResourceVersion(); rv == "" || rv != second.GetResourceVersion() {
			t.Errorf("%s %s is another when it is applied again (-first +second):\n%s", first.GetKind(), first.GetName(), cmp.Diff(first.Object, second.Object))
		}
	}
}
