package v1alpha1_test

import (
	"errors"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/testkit/kubetest"
)

var cluster *kubetest.Cluster

func TestMain(m *testing.M) {
	os.Exit(kubetest.Main(m, &cluster, kubetest.Options{CRDs: []string{"config/crd/bases"}}))
}

// base is a minimal MonitoringReport.
const base = `
apiVersion: monitoring.watchbill.dev/v1alpha1
kind: MonitoringReport
metadata: {name: daily, namespace: default}
spec: {schedule: "0 0 * * *"}
`

// reports returns a client for the MonitoringReports of the namespace default.
func reports(t *testing.T) dynamic.ResourceInterface {
	t.Helper()
	client, err := dynamic.NewForConfig(cluster.Config)
	if err != nil {
		t.Fatal(err)
	}
	return client.Resource(v1alpha1.GroupVersion.WithResource("monitoringreports")).Namespace("default")
}

// patched returns the base with a merge patch in YAML.
func patched(t *testing.T, patch string) *unstructured.Unstructured {
	t.Helper()
	var object, change map[string]any
	for _, y := range []struct {
		text string
		into *map[string]any
	}{{base, &object}, {patch, &change}} {
		if err := yaml.Unmarshal([]byte(y.text), y.into); err != nil {
			t.Fatalf("%v in %s", err, y.text)
		}
	}
	merge(object, change)
	return &unstructured.Unstructured{Object: object}
}

// merge applies a merge patch (RFC 7396).
func merge(object, change map[string]any) {
	for key, value := range change {
		inner, isMap := object[key].(map[string]any)
		innerChange, changesMap := value.(map[string]any)
		switch {
		case value == nil:
			delete(object, key)
		case isMap && changesMap:
			merge(inner, innerChange)
		default:
			object[key] = value
		}
	}
}

// create creates an object as a dry run with strict validation.
func create(t *testing.T, patch string) (*unstructured.Unstructured, error) {
	t.Helper()
	return reports(t).Create(t.Context(), patched(t, patch), metav1.CreateOptions{
		DryRun: []string{metav1.DryRunAll}, FieldValidation: metav1.FieldValidationStrict,
	})
}

// fault is a reason why an object was rejected.
type violation struct{ field, message string }

// member matches a map's member as CEL writes it, other than the schema.
var member = regexp.MustCompile(`\[([a-z]\w*)\]`)

// faults returns all reasons in an error of the API server.
func faults(t *testing.T, err error) []violation {
	t.Helper()
	var status *apierrors.StatusError
	if !errors.As(err, &status) {
		t.Fatalf("got the error %v, want one of the API server", err)
	}
	if status.ErrStatus.Details == nil || len(status.ErrStatus.Details.Causes) == 0 {
		return []violation{{"", status.ErrStatus.Message}} // strict decoding has no causes
	}
	var all []violation
	for _, cause := range status.ErrStatus.Details.Causes {
		// Added if the schema finds faults, since CEL does not run then.
		if !strings.Contains(cause.Message, "some validation rules were not checked") {
			all = append(all, violation{member.ReplaceAllString(cause.Field, ".$1"), cause.Message})
		}
	}
	return all
}

// wantFault checks that an object was rejected only because of a field or its elements, with the right message.
func wantFault(t *testing.T, err error, field, message string) []violation {
	t.Helper()
	if err == nil {
		t.Errorf("accepted; want it refused: %s: … %s", field, message)
		return nil
	}
	got := faults(t, err)
	found := false
	for _, f := range got {
		if f.field != field && !strings.HasPrefix(f.field, field+"[") {
			t.Errorf("refused for %+v, want nothing but %s", f, field)
		}
		found = found || strings.Contains(f.message, message)
	}
	if !found {
		t.Errorf("refused for %+v, want %q", got, message)
	}
	return got
}

// keys returns the sorted keys of a map.
func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
