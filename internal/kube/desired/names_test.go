package desired_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"pgregory.net/rapid"

	"github.com/watchbill/watchbill/internal/kube/desired"
	"github.com/watchbill/watchbill/internal/report/schedule"
)

func TestChildrenAreOwnedByTheReport(t *testing.T) {
	t.Parallel()
	mr := sample(t, "everything")
	rule, _, err := desired.PrometheusRule(desired.Resolve(mr), options())
	if err != nil {
		t.Fatal(err)
	}
	cronJob, job := desired.CronJob(desired.Resolve(mr), options()), desired.RunJob(desired.Resolve(mr), now, options())
	labels := map[string]string{
		"app.kubernetes.io/name":          "watchbill-report",
		"app.kubernetes.io/managed-by":    "watchbill",
		"monitoring.watchbill.dev/report": "everything",
	}
	ruleLabels := map[string]string{"release": "kube-prometheus-stack", "example.com/tier": "gold"}
	for name, value := range labels {
		ruleLabels[name] = value
	}
	owner := []metav1.OwnerReference{{
		APIVersion: "monitoring.watchbill.dev/v1alpha1", Kind: "MonitoringReport", Name: "everything", UID: mr.UID,
		Controller: new(true), BlockOwnerDeletion: new(true),
	}}
	tests := []struct {
		kind                  string
		typed                 metav1.TypeMeta
		meta                  metav1.ObjectMeta
		apiVersion, name      string
		labels                map[string]string
		template, podTemplate map[string]string // labels; nil if there is no such template
	}{
		{
			"CronJob", cronJob.TypeMeta, cronJob.ObjectMeta, "batch/v1", "everything-report", labels,
			cronJob.Spec.JobTemplate.Labels, cronJob.Spec.JobTemplate.Spec.Template.Labels,
		},
		{
			"Job", job.TypeMeta, job.ObjectMeta, "batch/v1", "everything-report-now-29787154", labels,
			nil, job.Spec.Template.Labels,
		},
		{
			"PrometheusRule", rule.TypeMeta, rule.ObjectMeta, "monitoring.coreos.com/v1", "everything-report", ruleLabels,
			nil, nil,
		},
	}
	for _, tt := range tests {
		t.Run(tt.kind, func(t *testing.T) {
			if got, want := tt.typed, (metav1.TypeMeta{APIVersion: tt.apiVersion, Kind: tt.kind}); got != want {
				t.Errorf("is a %v, want %v", got, want)
			}
			if tt.meta.Namespace != "fleet" || tt.meta.Name != tt.name {
				t.Errorf("is %s/%s, want fleet/%s", tt.meta.Namespace, tt.meta.Name, tt.name)
			}
			if diff := cmp.Diff(tt.labels, tt.meta.Labels); diff != "" {
				t.Errorf("labels (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(owner, tt.meta.OwnerReferences); diff != "" {
				t.Errorf("owner (-want +got):\n%s", diff)
			}
			for _, template := range []map[string]string{tt.template, tt.podTemplate} {
				if diff := cmp.Diff(labels, template); template != nil && diff != "" {
					t.Errorf("labels of what it makes (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestSharedObjectsHaveNoOwner(t *testing.T) {
	t.Parallel()
	objects := map[string]metav1.Object{
		"ServiceAccount": desired.ServiceAccount("fleet"), "Role": desired.Role("fleet"), "RoleBinding": desired.RoleBinding("fleet"),
	}
	want := map[string]string{"app.kubernetes.io/name": "watchbill-report", "app.kubernetes.io/managed-by": "watchbill"}
	for kind, object := range objects {
		if object.GetNamespace() != "fleet" || object.GetName() != "watchbill-report" || len(object.GetOwnerReferences()) > 0 {
			t.Errorf("the %s is %s/%s, owned by %v", kind, object.GetNamespace(), object.GetName(), object.GetOwnerReferences())
		}
		if diff := cmp.Diff(want, object.GetLabels()); diff != "" {
			t.Errorf("the %s's labels (-want +got):\n%s", kind, diff)
		}
	}
}

// reportName draws valid names of MonitoringReports, frequently with "now" and "report".
func reportName() *rapid.Generator[string] {
	part := rapid.OneOf(rapid.SampledFrom([]string{"a", "now", "report", "29787154"}), rapid.StringMatching(`[a-z0-9]{1,4}`))
	return rapid.Custom(func(t *rapid.T) string {
		parts := rapid.SliceOfN(part, 1, 5).Draw(t, "parts")
		return strings.Join(parts, rapid.SampledFrom([]string{"-", "."}).Draw(t, "separator"))
	})
}

func TestReportsHaveDistinctChildren(t *testing.T) {
	t.Parallel()
	minute := rapid.Int64Range(20_000_000, 99_999_999)
	rapid.Check(t, func(t *rapid.T) {
		one := reportName().Draw(t, "one")
		other := rapid.OneOf(rapid.Just(one), reportName()).Draw(t, "other")
		at := time.Unix(minute.Draw(t, "at")*60, 0)
		then := rapid.OneOf(rapid.Just(at), rapid.Just(time.Unix(minute.Draw(t, "then")*60, 0))).Draw(t, "which")
		if one != other {
			for kind, names := range map[string][2]string{
				"CronJob":        {desired.CronJobName(one), desired.CronJobName(other)},
				"PrometheusRule": {desired.PrometheusRuleName(one), desired.PrometheusRuleName(other)},
				"Job":            {desired.RunJobName(one, at), desired.RunJobName(other, then)},
			} {
				if names[0] == names[1] {
					t.Errorf("both have the %s %s", kind, names[0])
				}
			}
		}
		// A requested run is not a run of any schedule, not even of the same report's.
		if run := desired.RunJobName(one, at); run == schedule.JobName(desired.CronJobName(other), then) {
			t.Errorf("%s is a run of %s, and of the schedule of %s", run, one, other)
		}
	})
}

func TestNamesFit(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("n", desired.MaxName)
	last := time.Unix(999_999_999*60, 0) // in 3871
	if name := desired.CronJobName(longest); len(name) > 52 {
		t.Errorf("a CronJob's name has %d characters, and Kubernetes adds 11 to its Jobs'", len(name))
	}
	for _, name := range []string{desired.RunJobName(longest, last), schedule.JobName(desired.CronJobName(longest), last)} {
		if faults := validation.IsValidLabelValue(name); len(faults) > 0 {
			t.Errorf("the name of the Job %s is a label of its Pods: %v", name, faults)
		}
	}
}
