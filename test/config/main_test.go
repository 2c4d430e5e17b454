// Package config_test applies the kustomizations of config to a real API server.
package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/watchbill/watchbill/internal/testkit/kubetest"
	"github.com/watchbill/watchbill/internal/testkit/tree"
)

var cluster *kubetest.Cluster

func TestMain(m *testing.M) {
	os.Exit(kubetest.Main(m, &cluster, kubetest.Options{CRDs: []string{"config/crd/bases"}, PrometheusOperator: true}))
}

// namespace is the namespace of config/default.
const namespace = "watchbill-system"

// rendered returns the output of kustomize for a folder of config.
func rendered(t *testing.T, folder string) string {
	t.Helper()
	out, err := cluster.Kubectl(t, "", "kustomize", filepath.Join(tree.Root(), "config", folder))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// objects returns the objects of a rendered folder.
func objects(t *testing.T, folder string) []unstructured.Unstructured {
	t.Helper()
	var all []unstructured.Unstructured
	for document := range strings.SplitSeq(rendered(t, folder), "\n---\n") {
		var object map[string]any
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			t.Fatal(err)
		}
		all = append(all, unstructured.Unstructured{Object: object})
	}
	return all
}

// decoded returns the objects of one kind in a rendered folder.
func decoded[T any](t *testing.T, folder, kind string) []T {
	t.Helper()
	var all []T
	for _, object := range objects(t, folder) {
		if object.GetKind() != kind {
			continue
		}
		text, err := yaml.Marshal(object.Object)
		if err != nil {
			t.Fatal(err)
		}
		var one T
		if err := yaml.UnmarshalStrict(text, &one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	if len(all) == 0 {
		t.Fatalf("config/%s makes no %s", folder, kind)
	}
	return all
}
