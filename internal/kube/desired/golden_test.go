package desired_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	podsecurity "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/kube/desired"
	"github.com/watchbill/watchbill/internal/report/rules"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

// cases are the folders of testdata, each with a report and its objects.
var cases = []string{"minimal", "everything", "suspended", "alerting-none", "threshold"}

var now = time.Date(2026, 8, 20, 12, 34, 56, 0, time.UTC)

func options() desired.Options {
	return desired.Options{
		Image:            "ghcr.io/watchbill/watchbill:1.2.3",
		ImagePullPolicy:  corev1.PullIfNotPresent,
		ImagePullSecrets: []string{"registry"},
		Server:           "http://watchbill.watchbill.svc:8080",
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m"), corev1.ResourceMemory: resource.MustParse("64Mi")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("256Mi")},
		},
		Rules: rules.Options{
			Selector:           map[string]string{"namespace": "watchbill", "job": "watchbill"},
			ControllerSelector: map[string]string{"namespace": "watchbill", "job": "watchbill-controller"},
		},
	}
}

// sample reads the report of a case.
func sample(t *testing.T, name string) *v1alpha1.MonitoringReport {
	t.Helper()
	written, err := os.ReadFile(filepath.Join("testdata", name, "report.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var mr v1alpha1.MonitoringReport
	if err := yaml.UnmarshalStrict(written, &mr); err != nil {
		t.Fatal(err)
	}
	return &mr
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for _, name := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mr := sample(t, name)
			if err := desired.Check(desired.Resolve(mr), now); err != nil {
				t.Fatal(err)
			}
			compare(t, name+"/cronjob.yaml", desired.CronJob(desired.Resolve(mr), options()))
			compare(t, name+"/job.yaml", desired.RunJob(desired.Resolve(mr), now, options()))
			rule, notes, err := desired.PrometheusRule(desired.Resolve(mr), options())
			switch {
			case err != nil:
				t.Error(err)
			case rule == nil:
				if len(notes) > 0 || mr.Spec.Alerting.Mode != v1alpha1.AlertNone {
					t.Errorf("no PrometheusRule for the mode %s, notes %v", mr.Spec.Alerting.Mode, notes)
				}
			default:
				compare(t, name+"/prometheusrule.yaml", rule)
			}
		})
	}
	t.Run("shared", func(t *testing.T) {
		t.Parallel()
		compare(t, "shared.yaml", desired.ServiceAccount("fleet"), desired.Role("fleet"), desired.RoleBinding("fleet"))
	})
}

// compare compares objects with a golden file.
func compare(t *testing.T, name string, objects ...runtime.Object) {
	t.Helper()
	documents := make([]string, len(objects))
	for i, object := range objects {
		written, err := yaml.Marshal(content(t, object))
		if err != nil {
			t.Fatal(err)
		}
		documents[i] = string(written)
	}
	got := strings.Join(documents, "---\n")
	golden := filepath.Join("testdata", filepath.FromSlash(name))
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got), -update rewrites it:\n%s", golden, diff)
	}
}

// content returns the applied part of an object: all but the status.
func content(t *testing.T, object runtime.Object) map[string]any {
	t.Helper()
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		t.Fatal(err)
	}
	delete(fields, "status")
	return fields
}

func TestPodsMeetRestrictedPodSecurity(t *testing.T) {
	t.Parallel()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := podsecurity.LevelVersion{Level: podsecurity.LevelRestricted, Version: podsecurity.LatestVersion()}
	for _, name := range cases {
		mr := sample(t, name)
		pods := map[string]corev1.PodTemplateSpec{
			"CronJob": desired.CronJob(desired.Resolve(mr), options()).Spec.JobTemplate.Spec.Template,
			"Job":     desired.RunJob(desired.Resolve(mr), now, options()).Spec.Template,
		}
		for kind, pod := range pods {
			for _, result := range evaluator.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec) {
				if !result.Allowed {
					t.Errorf("the %s's Pod of %s: %s: %s", kind, name, result.ForbiddenReason, result.ForbiddenDetail)
				}
			}
		}
	}
	// The standard does reject a Pod that does not meet it.
	pod := desired.CronJob(desired.Resolve(sample(t, "minimal")), options()).Spec.JobTemplate.Spec.Template
	pod.Spec.SecurityContext = nil
	if policy.AggregateCheckResults(evaluator.EvaluatePod(restricted, &pod.ObjectMeta, &pod.Spec)).Allowed {
		t.Error("a Pod without a security context is allowed")
	}
}
