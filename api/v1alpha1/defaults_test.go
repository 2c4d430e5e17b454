package v1alpha1_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// defaults is the minimal spec after defaulting by the API server.
const defaults = `
schedule: 0 0 * * *
timeZone: Etc/UTC
suspend: false
concurrencyPolicy: Forbid
startingDeadlineSeconds: 3600
compareWith: Previous
alerting: {mode: BurnRate, period: 30d, interval: 1m, minEvents: 50}
retention: {successfulRuns: 10, failedRuns: 3, reports: 30}
`

func TestDefaults(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, patch, want string }{
		{"the least", `{}`, defaults},
		{"null is left out", `spec: {timeZone: null, retention: null}`, defaults},
		{"inside what is there", `spec: {alerting: {mode: None}, retention: {reports: 1}}`, `
schedule: 0 0 * * *
timeZone: Etc/UTC
suspend: false
concurrencyPolicy: Forbid
startingDeadlineSeconds: 3600
compareWith: Previous
alerting: {mode: None, period: 30d, interval: 1m, minEvents: 50}
retention: {successfulRuns: 10, failedRuns: 3, reports: 1}
`},
		{
			"in lists",
			`spec: {objectives: [{name: a, cost: {maxUSD: "1"}}], outputs: [{format: JSON, webhook: {urlSecretRef: {name: a, key: b}}}]}`,
			defaults + `
objectives: [{name: a, cost: {maxUSD: "1", period: Day}}]
outputs: [{format: JSON, webhook: {style: Generic, urlSecretRef: {name: a, key: b}}}]
`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := create(t, tt.patch)
			if err != nil {
				t.Fatal(err)
			}
			wantSpec(t, got.Object["spec"], tt.want)
		})
	}
}

func wantSpec(t *testing.T, got any, want string) {
	t.Helper()
	var spec any
	if err := yaml.Unmarshal([]byte(want), &spec); err != nil {
		t.Fatal(err)
	}
	var same any // as read from YAML, whose numbers have other types
	text, err := yaml.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &same); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(spec, same); diff != "" {
		t.Errorf("the spec differs (-want +got):\n%s", diff)
	}
}

// An object applied server-side shows its defaults, and the manager does not own them.
func TestServerSideApply(t *testing.T) {
	t.Parallel()
	out, err := cluster.Kubectl(t, base, "apply", "--server-side", "--field-manager=me", "--dry-run=server", "--show-managed-fields", "--validate=strict", "-o", "yaml", "-f", "-")
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Metadata metav1.ObjectMeta
		Spec     any
	}
	if err := yaml.Unmarshal([]byte(out), &got); err != nil {
		t.Fatal(err)
	}
	wantSpec(t, got.Spec, defaults)
	if len(got.Metadata.ManagedFields) != 1 {
		t.Fatalf("got the managers %+v, want one", got.Metadata.ManagedFields)
	}
	if owned, want := got.Metadata.ManagedFields[0].FieldsV1.GetRawString(), `{"f:spec":{"f:schedule":{}}}`; owned != want {
		t.Errorf("the one who applied owns %s, want %s", owned, want)
	}
}
