package v1alpha1_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const otherKind = "an objective cannot become one of another kind; give the new one another name"

// testUpdates changes objectives and returns the faults found.
func testUpdates(t *testing.T) []violation {
	kinds := map[string]string{
		"latency":         `{route: /, quantile: "0.95", threshold: 200ms}`,
		"errorRate":       `{max: "0.01"}`,
		"poolUtilization": `{max: "0.8"}`,
		"queryTime":       `{quantile: "0.99", threshold: 100ms}`,
		"pollRate":        `{perAgent: "0.1", tolerance: "0.5"}`,
		"successRate":     `{min: "0.95"}`,
		"cost":            `{maxUSD: "50"}`,
	}
	one := func(name, kind string) string { return "{name: " + name + ", " + kind + ": " + kinds[kind] + "}" }
	spec := func(objectives string) string {
		return "metadata: {name: updates}\nspec: {objectives: [" + objectives + "]}"
	}
	client := reports(t)
	was, err := client.Create(t.Context(), patched(t, spec(one("b", "cost"))), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	update := func(t *testing.T, patch string, dryRun ...string) (*unstructured.Unstructured, error) {
		t.Helper()
		next := patched(t, patch)
		next.SetResourceVersion(was.GetResourceVersion())
		return client.Update(t.Context(), next, metav1.UpdateOptions{DryRun: dryRun})
	}
	var found []violation
	for _, kind := range keys(kinds) {
		if was, err = update(t, spec(one("a", kind)+", "+one("b", "cost"))); err != nil {
			t.Fatalf("%s: a new objective: %v", kind, err)
		}
		for _, other := range keys(kinds) {
			_, err := update(t, spec(one("b", "cost")+", "+one("a", other)), metav1.DryRunAll) // also at another position
			if other != kind {
				found = append(found, wantFault(t, err, "spec.objectives[1]", otherKind)...)
			} else if err != nil {
				t.Errorf("%s in another place: %v", kind, err)
			}
		}
		if was, err = update(t, spec(one("b", "cost"))); err != nil {
			t.Fatalf("%s: taken away, so that its name is free: %v", kind, err)
		}
	}
	if _, err := update(t, `
metadata: {name: updates}
spec: {objectives: [{name: b, cost: {maxUSD: "60", period: Window}}]}`, metav1.DryRunAll); err != nil {
		t.Errorf("another limit: %v", err)
	}
	return found
}
