package docs_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/kube/desired"
)

// TestExamples checks that the guide's examples are valid.
func TestExamples(t *testing.T) {
	t.Parallel()
	examples := blocks(read(t, "docs/monitoringreport.md"), "yaml")
	if len(examples) < 5 {
		t.Fatalf("found %d examples, want all", len(examples))
	}
	for _, example := range examples {
		mr := v1alpha1.MonitoringReport{ObjectMeta: metav1.ObjectMeta{Name: "daily", Namespace: "watchbill"}}
		if err := yaml.UnmarshalStrict([]byte(example), &mr); err != nil {
			t.Errorf("%v in\n%s", err, example)
			continue
		}
		if err := desired.Check(desired.Resolve(&mr), time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)); err != nil {
			t.Errorf("%v in\n%s", err, example)
		}
	}
}

var reason = regexp.MustCompile(`(?:Condition|Reason)\w+ += "(\w+)"`)

// TestReasons checks that the guide explains every condition and reason.
func TestReasons(t *testing.T) {
	t.Parallel()
	guide := read(t, "docs/monitoringreport.md")
	reasons := reason.FindAllStringSubmatch(read(t, "api/v1alpha1/conditions.go"), -1)
	if len(reasons) < 20 {
		t.Fatalf("found %d conditions and reasons, want all", len(reasons))
	}
	for _, match := range reasons {
		if !strings.Contains(guide, "| `"+match[1]+"` |") {
			t.Errorf("the guide does not say what %s means", match[1])
		}
	}
}
