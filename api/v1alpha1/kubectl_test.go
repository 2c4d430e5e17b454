package v1alpha1_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// The status of a report after a run.
const lastStatus = `
lastScheduleTime: 2026-01-02T00:00:00Z
nextScheduleTime: 2026-01-03T00:00:00Z
lastRun: {verdict: Fail, summary: "2 of 8 objectives were missed", job: columns-report-1}
conditions:
- {type: Ready, status: "True", reason: Reconciled, message: All stands as it should, lastTransitionTime: 2026-01-02T00:00:00Z}
`

func TestColumns(t *testing.T) {
	t.Parallel()
	client := reports(t)
	made, err := client.Create(t.Context(), patched(t, "metadata: {name: columns}"), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var status map[string]any
	if err := yaml.Unmarshal([]byte(lastStatus), &status); err != nil {
		t.Fatal(err)
	}
	made.Object["status"] = status
	if _, err := client.UpdateStatus(t.Context(), made, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		args []string
		want []string // patterns of the lines
	}{
		{"short name", []string{"get", "mrep", "columns"}, []string{
			`^NAME +SCHEDULE +SUSPENDED +READY +VERDICT +LAST +NEXT +AGE$`,
			`^columns +0 0 \* \* \* +false +True +Fail +\d+d +2026-01-03T00:00:00Z +\d+s$`,
		}},
		{"wide", []string{"get", "monitoringreports", "columns", "-o", "wide"}, []string{
			`^NAME +SCHEDULE +SUSPENDED +READY +VERDICT +LAST +NEXT +AGE +MESSAGE$`,
			`^columns +0 0 \* \* \* +false +True +Fail +\d+d +2026-01-03T00:00:00Z +\d+s +All stands as it should$`,
		}},
		{"among all", []string{"get", "all", "--no-headers", "-o", "name"}, []string{`monitoringreport.monitoring.watchbill.dev/columns`}},
		{"among what monitors", []string{"get", "monitoring", "--no-headers", "-o", "name"}, []string{`monitoringreport.monitoring.watchbill.dev/columns`}},
	}
	for _, tt := range tests {
		out, err := cluster.Kubectl(t, "", tt.args...)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		for _, want := range tt.want {
			if !regexp.MustCompile("(?m)" + want).MatchString(out) {
				t.Errorf("%s: got\n%s\nwant a line like %s", tt.name, out, want)
			}
		}
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	out, err := cluster.Kubectl(t, "", "explain", "mrep.spec.timeZone")
	if err != nil {
		t.Fatal(err)
	}
	if want := "Default: Etc/UTC"; !strings.Contains(out, want) {
		t.Errorf("got\n%s\nwant it to say %q", out, want)
	}
	// The description of each field explains it and its default, in lines that kubectl does not break again.
	const width = 80 - len("    ")
	walk(t, "", schemaOf(t), func(field string, s apiextensionsv1.JSONSchemaProps) {
		if s.Description == "" && !strings.HasSuffix(field, "]") && field != "" {
			t.Errorf("%s has no description", field)
		}
		for line := range strings.Lines(s.Description) {
			if line = strings.TrimSpace(line); len(line) > width && !strings.HasPrefix(field, "status.conditions") { // Kubernetes' own
				t.Errorf("%s: the line %q is longer than %d characters", field, line, width)
			}
		}
		if s.Default == nil || s.Type == "object" || s.Type == "boolean" {
			return
		}
		var value any
		if err := json.Unmarshal(s.Default.Raw, &value); err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("Default: %v", value); !strings.Contains(strings.ReplaceAll(s.Description, "\n", " "), want) {
			t.Errorf("%s: want %q in\n%s", field, want, s.Description)
		}
	})
}
