package desired_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/execution"
	"github.com/watchbill/watchbill/internal/kube/desired"
	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report"
	reportjob "github.com/watchbill/watchbill/internal/report/job"
)

// environment returns the Pod's environment variables with fixed values.
func environment(mr *v1alpha1.MonitoringReport) map[string]string {
	set := map[string]string{}
	for _, variable := range desired.CronJob(desired.Resolve(mr), options()).Spec.JobTemplate.Spec.Template.Spec.Containers[0].Env {
		set[variable.Name] = variable.Value
	}
	return set
}

// decoded reads a spec as the Pod does.
func decoded(t interface {
	Helper()
	Fatal(args ...any)
}, written string,
) reportjob.Spec {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(written))
	decoder.DisallowUnknownFields()
	var spec reportjob.Spec
	if err := decoder.Decode(&spec); err != nil {
		t.Fatal(err)
	}
	return spec
}

func TestSpecOfAMinimalReport(t *testing.T) {
	t.Parallel()
	want := reportjob.Spec{
		Namespace: "fleet", Name: "daily", Schedule: "0 0 * * *", TimeZone: "Etc/UTC", CompareWith: report.ComparePrevious, Keep: 30,
	}
	if diff := cmp.Diff(want, decoded(t, environment(sample(t, "minimal"))["WATCHBILL_SPEC"])); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOutputsMatchVolumeMounts(t *testing.T) {
	t.Parallel()
	mr := sample(t, "everything")
	pod := desired.CronJob(desired.Resolve(mr), options()).Spec.JobTemplate.Spec.Template.Spec
	volumes := map[string]corev1.VolumeSource{}
	for _, v := range pod.Volumes {
		volumes[v.Name] = v.VolumeSource
	}
	mounted := map[string]corev1.VolumeSource{}
	for _, m := range pod.Containers[0].VolumeMounts {
		mounted[m.MountPath] = volumes[m.Name]
	}
	for i, output := range decoded(t, environment(mr)["WATCHBILL_SPEC"]).Outputs {
		wanted := mr.Spec.Outputs[i]
		switch {
		case output.File != nil:
			claim := mounted[output.File.Root].PersistentVolumeClaim
			if claim == nil || claim.ClaimName != wanted.PersistentVolumeClaim.ClaimName {
				t.Errorf("outputs[%d]: at %s is %v", i, output.File.Root, claim)
			}
		case output.S3 != nil:
			secret := mounted[output.S3.Credentials].Secret
			if secret == nil || secret.SecretName != wanted.S3.SecretRef.Name || secret.Optional == nil || !*secret.Optional {
				t.Errorf("outputs[%d]: at %s is %v", i, output.S3.Credentials, secret)
			}
		case output.Webhook != nil:
			folder, file, _ := strings.Cut(strings.TrimPrefix(output.Webhook.URLFile, "/secrets/"), "/")
			secret := mounted["/secrets/"+folder].Secret
			want := []corev1.KeyToPath{{Key: wanted.Webhook.URLSecretRef.Key, Path: file}}
			if secret == nil || secret.Optional == nil || !*secret.Optional || cmp.Diff(want, secret.Items) != "" {
				t.Errorf("outputs[%d]: at %s is %v", i, output.Webhook.URLFile, secret)
			}
		default:
			t.Errorf("outputs[%d] goes nowhere", i)
		}
	}
	claims := 0
	for _, v := range volumes {
		if v.PersistentVolumeClaim != nil {
			claims++
		}
	}
	if claims != 1 {
		t.Errorf("one claim is %d volumes", claims)
	}
}

// hostile are strings with a special meaning to a program that processes them.
var hostile = []string{
	`$(WATCHBILL_TOKEN_FILE)`, `$$(WATCHBILL_SERVER)`, `$`, `$$`, `$(`, `"`, `\`, `\"}`, `{{ $labels.x }}`, `{{ printf "%s" }}`,
	"`", "a\nb", "a\r\nWATCHBILL_SERVER=http://evil", "x\"} or vector(1) #", `.*`, `"; DROP TABLE`, "\u2028", "\u202e", "\x00", "é😀", "<script>&amp;", "${HOME}", "%s%d",
}

func TestSpecReachesThePodUnchanged(t *testing.T) {
	t.Parallel()
	text := rapid.OneOf(rapid.SampledFrom(hostile), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		route, agent, path := text.Draw(t, "route"), text.Draw(t, "agent"), text.Draw(t, "path")
		mr := &v1alpha1.MonitoringReport{Spec: v1alpha1.MonitoringReportSpec{
			Schedule: text.Draw(t, "schedule"),
			Objectives: []v1alpha1.Objective{
				{Name: "a", Latency: &v1alpha1.LatencyObjective{Route: v1alpha1.Route(route)}},
				{Name: "b", SuccessRate: &v1alpha1.SuccessObjective{Agent: agent}},
			},
			Outputs: []v1alpha1.Output{{PersistentVolumeClaim: &v1alpha1.VolumeOutput{Path: path}}},
		}}
		written := environment(mr)["WATCHBILL_SPEC"]
		// Without a dollar the kubelet expands nothing.
		if strings.ContainsAny(written, "$\n\x00") {
			t.Fatalf("the variable is %q", written)
		}
		got := decoded(t, written)
		want := []string{mr.Spec.Schedule, route, agent, path}
		if diff := cmp.Diff(want, []string{got.Schedule, got.Objectives[0].Latency.Route, got.Objectives[1].SuccessRate.Agent, got.Outputs[0].File.Path}); diff != "" {
			t.Fatalf("(-written in the spec +read by the Pod):\n%s", diff)
		}
	})
}

// largest returns the report with the largest environment variable that Check accepts. It has no alerts, since they have a
// lower size limit.
func largest(t *testing.T) *v1alpha1.MonitoringReport {
	t.Helper()
	mr := sample(t, "everything")
	mr.Namespace, mr.Name = strings.Repeat("n", 63), strings.Repeat("n", desired.MaxName)
	mr.Spec.Alerting.Mode, mr.Spec.Objectives = v1alpha1.AlertNone, nil
	for i := range objective.MaxCount {
		name := fmt.Sprintf("%s-%02d", strings.Repeat("n", 60), i)
		o := v1alpha1.Objective{Name: name, Latency: &v1alpha1.LatencyObjective{
			Route: v1alpha1.Route("/" + strings.Repeat("$", 255)), Method: "OPTIONS", Quantile: "0.999999999", Threshold: "200ms", // $ is six bytes
		}}
		if i%2 == 1 {
			o = v1alpha1.Objective{Name: name, SuccessRate: &v1alpha1.SuccessObjective{Min: "0.999999999", Agent: strings.Repeat("$", execution.MaxName)}}
		}
		mr.Spec.Objectives = append(mr.Spec.Objectives, o)
	}
	mr.Spec.Outputs = nil
	for i := range 8 {
		mr.Spec.Outputs = append(mr.Spec.Outputs, v1alpha1.Output{Format: v1alpha1.FormatMarkdown, S3: &v1alpha1.S3Output{
			Bucket: strings.Repeat("b", 63), Prefix: strings.Repeat("p", 255) + fmt.Sprint(i), Endpoint: "https://" + strings.Repeat("e", 240),
			Region: strings.Repeat("r", 64), SecretRef: v1alpha1.SecretReference{Name: strings.Repeat("s", 253)},
		}})
	}
	if err := desired.Check(desired.Resolve(mr), now); err != nil {
		t.Fatal(err)
	}
	return mr
}

func TestLargestSpecFits(t *testing.T) {
	t.Parallel()
	const limit = 128 << 10 // Linux's limit for a variable, including its name and the zero byte
	if size := len("WATCHBILL_SPEC=") + len(environment(largest(t))["WATCHBILL_SPEC"]) + 1; size >= limit {
		t.Errorf("WATCHBILL_SPEC has %d bytes, and Linux takes %d", size, limit)
	}
}

func TestObjectivesKeepEveryField(t *testing.T) {
	t.Parallel()
	mr := sample(t, "everything")
	if len(mr.Spec.Objectives) != 7 {
		t.Fatalf("there are %d objectives, want one of each kind", len(mr.Spec.Objectives))
	}
	want, err := json.MarshalIndent(mr.Spec.Objectives, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(desired.Objectives(mr), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got) { // both have the same field names
		t.Errorf("(-MonitoringReport's +report's):\n%s", cmp.Diff(string(want), string(got)))
	}
	if got := desired.Objectives(sample(t, "minimal")); got != nil {
		t.Errorf("a report that names none has %v, want nil: the default ones are internal/report's", got)
	}
}
