package chart

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// permutation is a set of values to render the chart with: a file of charts/watchbill/ci, which `helm lint` and other
// tools use too.
type permutation struct {
	name      string
	plain     bool // a cluster without the Prometheus operator
	manifests string
}

var (
	rendering sync.Mutex
	rendered  []permutation
)

// permutations returns all of them, rendered once, in the namespace fleet, as the release watchbill.
func permutations(t *testing.T) []permutation {
	t.Helper()
	rendering.Lock()
	defer rendering.Unlock()
	if rendered == nil {
		rendered = renderAll(t)
	}
	return rendered
}

func renderAll(t *testing.T) []permutation {
	t.Helper()
	files, err := filepath.Glob(chartFile("ci", "*-values.yaml"))
	if err != nil || len(files) < 6 {
		t.Fatalf("found %v, %v", files, err)
	}
	var all []permutation
	for _, file := range files {
		p := permutation{name: strings.TrimSuffix(filepath.Base(file), "-values.yaml")}
		p.manifests = render(t, "--values", file, "--api-versions", "monitoring.coreos.com/v1")
		all = append(all, p)
	}
	return append(all, permutation{name: "plain", plain: true, manifests: render(t)})
}

func (p permutation) values() string {
	if p.plain {
		return chartFile("ci", "default-values.yaml")
	}
	return chartFile("ci", p.name+"-values.yaml")
}

func render(t *testing.T, args ...string) string {
	t.Helper()
	return mustHelm(t, append([]string{"template", "watchbill", chartFile(), "--namespace", "fleet", "--kube-version", kubeVersion}, args...)...)
}

// documents returns the texts of a stream of YAML.
func documents(t *testing.T, manifests string) []string {
	t.Helper()
	var texts []string
	reader := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(manifests)))
	for {
		text, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return texts
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(bytes.TrimSpace(text)) > 0 {
			texts = append(texts, string(text))
		}
	}
}

// objects returns the objects of manifests. Duplicate keys in YAML are errors.
func objects(t *testing.T, manifests string) []*unstructured.Unstructured {
	t.Helper()
	var all []*unstructured.Unstructured
	for _, text := range documents(t, manifests) {
		object := &unstructured.Unstructured{}
		if err := yaml.UnmarshalStrict([]byte(text), &object.Object); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if object.Object != nil {
			all = append(all, object)
		}
	}
	return all
}

// find returns the object of a kind and name.
func find(t *testing.T, all []*unstructured.Unstructured, kind, name string) *unstructured.Unstructured {
	t.Helper()
	for _, object := range all {
		if object.GetKind() == kind && object.GetName() == name {
			return object
		}
	}
	t.Fatalf("there is no %s %s", kind, name)
	return nil
}

// random matches what differs in each rendering: tokens and passwords.
var random = regexp.MustCompile(`(?m)^(  (?:[a-z]+-)?(?:password|token|url): )[A-Za-z0-9+/]{40,}={0,2}$`)

// TestGolden compares the chart's output with files; `go test ./test/chart -update` rewrites them. The custom resource
// and the dashboards are compared with their sources elsewhere.
func TestGolden(t *testing.T) {
	t.Parallel()
	for _, p := range permutations(t) {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			var got strings.Builder
			for _, text := range documents(t, p.manifests) {
				if !strings.Contains(text, "# Source: watchbill/templates/crds.yaml") && !strings.Contains(text, "# Source: watchbill/templates/dashboards.yaml") {
					fmt.Fprintf(&got, "---\n%s", random.ReplaceAllString(text, "${1}<random>"))
				}
			}
			compare(t, filepath.Join("testdata", p.name+".yaml"), got.String())
		})
	}
}

func compare(t *testing.T, golden, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(readFile(t, golden), got); diff != "" {
		t.Errorf("%s: want (-), got (+); -update takes it:\n%s", golden, diff)
	}
}

func TestLint(t *testing.T) {
	t.Parallel()
	for _, p := range permutations(t) {
		if _, err := helm(t, "lint", "--strict", "--kube-version", kubeVersion, "--values", p.values(), chartFile()); err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
	}
}

// TestRendersAlike checks that two renderings are the same except for random secrets. Otherwise each upgrade would
// restart unchanged Pods.
func TestRendersAlike(t *testing.T) {
	t.Parallel()
	first, second := render(t), render(t)
	if first == second {
		t.Error("two renderings have the same tokens, which should be random")
	}
	if diff := cmp.Diff(random.ReplaceAllString(first, "$1"), random.ReplaceAllString(second, "$1")); diff != "" {
		t.Error(diff)
	}
}

func TestDocumentation(t *testing.T) {
	t.Parallel()
	got, err := run(t, tool(t, "helm-docs"), "--chart-search-root", chartFile(), "--dry-run", "--log-level", "error")
	if err != nil {
		t.Fatalf("%v: %s", err, got)
	}
	want := readFile(t, chartFile("README.md"))
	if diff := cmp.Diff(strings.TrimSpace(want), strings.TrimSpace(got)); diff != "" {
		t.Errorf("README.md is out of date, run hack/tool helm-docs --chart-search-root charts (-README.md +values.yaml):\n%s", diff)
	}
}

// TestCustomResource checks that the chart's copy is the generated one.
func TestCustomResource(t *testing.T) {
	t.Parallel()
	sources, err := filepath.Glob(inTree("config", "crd", "bases", "*.yaml"))
	if err != nil || len(sources) == 0 {
		t.Fatalf("found %v, %v", sources, err)
	}
	copies, err := filepath.Glob(chartFile("files", "crds", "*.yaml"))
	if err != nil || len(copies) != len(sources) {
		t.Fatalf("there are %d, the chart has %v, %v", len(sources), copies, err)
	}
	for _, source := range sources {
		if want, got := readFile(t, source), readFile(t, chartFile("files", "crds", filepath.Base(source))); got != want {
			t.Errorf("%s differs: run cp config/crd/bases/*.yaml charts/watchbill/files/crds/", filepath.Base(source))
		}
	}

	for _, keep := range []bool{true, false} {
		made := objects(t, render(t, "--show-only", "templates/crds.yaml", "--set", fmt.Sprintf("crds.keep=%t", keep)))
		for i, source := range sources {
			got, want := made[i], objects(t, readFile(t, source))[0]
			if policy := got.GetAnnotations()["helm.sh/resource-policy"]; (policy == "keep") != keep {
				t.Errorf("crds.keep %t: helm.sh/resource-policy is %q", keep, policy)
			}
			got.SetLabels(nil)
			annotations := got.GetAnnotations()
			delete(annotations, "helm.sh/resource-policy")
			got.SetAnnotations(annotations)
			if diff := cmp.Diff(want.Object, got.Object); diff != "" {
				t.Errorf("crds.keep %t, %s: want (-), got (+)\n%s", keep, filepath.Base(source), diff)
			}
		}
	}
	if text := render(t, "--set", "crds.enabled=false"); strings.Contains(text, "kind: CustomResourceDefinition") {
		t.Error("crds.enabled false: there is one all the same")
	}
}
