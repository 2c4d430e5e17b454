package controllers_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	batchv1 "k8s.io/api/batch/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/watchbill/watchbill/api/v1alpha1"
)

func TestReconcileRevertsDrift(t *testing.T) {
	t.Parallel()
	w := begin(t)
	w.settledReport("daily")

	cronJob := named(w, &batchv1.CronJob{}, "daily-report")
	change(w, cronJob, func(c *batchv1.CronJob) {
		c.Spec.Schedule = "5 5 * * *"
		c.Annotations["example.com/theirs"] = "kept"
	})
	w.eventually("the schedule is ours again", func() error {
		if err := w.get(cronJob); err != nil {
			return err
		}
		return equal(cronJob.Spec.Schedule, "0 0 * * *")
	})
	if got := cronJob.Annotations["example.com/theirs"]; got != "kept" {
		t.Errorf("another's annotation is %q now", got)
	}

	binding := named(w, &rbacv1.RoleBinding{}, "watchbill-report")
	change(w, binding, func(b *rbacv1.RoleBinding) {
		b.Subjects = append(b.Subjects, rbacv1.Subject{Kind: "ServiceAccount", Namespace: "default", Name: "intruder"})
	})
	w.eventually("the intruder is out", func() error {
		if err := w.get(binding); err != nil {
			return err
		}
		return equal(len(binding.Subjects), 1)
	})
}

// The cache has only the digest of rules, which must show every change by others.
func TestReconcileRevertsRuleDrift(t *testing.T) {
	t.Parallel()
	w := begin(t)
	mr := w.settledReport("daily")
	rule := named(w, &monitoringv1.PrometheusRule{}, "daily-report")
	w.exists(rule)
	want := byName(rule.Spec.DeepCopy().Groups)
	for what, tamper := range map[string]func(*monitoringv1.PrometheusRule){
		"a group less":       func(r *monitoringv1.PrometheusRule) { r.Spec.Groups = r.Spec.Groups[1:] },
		"a rule less":        func(r *monitoringv1.PrometheusRule) { r.Spec.Groups[0].Rules = r.Spec.Groups[0].Rules[1:] },
		"another expression": func(r *monitoringv1.PrometheusRule) { r.Spec.Groups[1].Rules[0].Expr = intstr.FromString("vector(0)") },
		"a label more":       func(r *monitoringv1.PrometheusRule) { r.Spec.Groups[1].Rules[0].Labels["severity"] = "none" },
	} {
		change(w, rule, tamper)
		w.eventually("the rules are ours again: "+what, func() error {
			if err := w.get(rule); err != nil {
				return err
			}
			return equal(cmp.Diff(want, byName(rule.Spec.Groups)), "")
		})
	}
	change(w, rule, func(r *monitoringv1.PrometheusRule) {
		r.Spec.Groups = append(r.Spec.Groups, monitoringv1.RuleGroup{Name: "theirs", Rules: []monitoringv1.Rule{{Record: "x", Expr: intstr.FromString("1")}}})
	})
	w.reconciled(mr)
	if err := w.get(rule); err != nil {
		t.Fatal(err)
	}
	if _, left := byName(rule.Spec.Groups)["theirs"]; !left {
		t.Error("another's group of rules is gone")
	}
}

// Objects are created without apply, but only apply removes fields that are no longer wanted.
func TestFieldsOfCreatedObjectsGo(t *testing.T) {
	t.Parallel()
	w := begin(t)
	mr := w.report("daily", func(mr *v1alpha1.MonitoringReport) {
		mr.Spec.Alerting.RuleLabels = map[string]v1alpha1.RuleLabelValue{"a": "b", "c": "d"}
		mr.Spec.Objectives = []v1alpha1.Objective{
			{Name: "errors", ErrorRate: &v1alpha1.ErrorRateObjective{Max: "0.01"}},
			{Name: "executions", SuccessRate: &v1alpha1.SuccessObjective{Min: "0.95"}},
		}
	})
	w.create(mr)
	w.settled(mr)
	rule := named(w, &monitoringv1.PrometheusRule{}, "daily-report")
	change(w, rule, func(r *monitoringv1.PrometheusRule) { r.Labels["theirs"] = "x" })
	change(w, mr, func(mr *v1alpha1.MonitoringReport) { delete(mr.Spec.Alerting.RuleLabels, "a") })
	w.eventually("the label is gone", func() error {
		if err := w.get(rule); err != nil {
			return err
		}
		_, left := rule.Labels["a"]
		return equal(left, false)
	})
	if rule.Labels["c"] != "d" || rule.Labels["theirs"] != "x" {
		t.Errorf("the labels are %v, want those that are wanted and another's", rule.Labels)
	}
	for _, entry := range rule.ManagedFields {
		if entry.Manager == "watchbill-controller" && entry.Operation != metav1.ManagedFieldsOperationApply {
			t.Errorf("fields are still ours by %s", entry.Operation)
		}
	}
	change(w, mr, func(mr *v1alpha1.MonitoringReport) { mr.Spec.Objectives = mr.Spec.Objectives[:1] })
	w.eventually("the other objectives' groups are gone", func() error {
		if err := w.get(rule); err != nil {
			return err
		}
		var left []string
		for name := range byName(rule.Spec.Groups) {
			if strings.Contains(name, ".objective:") {
				left = append(left, name)
			}
		}
		return equal(len(left), 1)
	})
}

func byName(groups []monitoringv1.RuleGroup) map[string]monitoringv1.RuleGroup {
	named := map[string]monitoringv1.RuleGroup{}
	for _, group := range groups {
		named[group.Name] = group
	}
	return named
}

// The role of a RoleBinding cannot be changed, so the binding is replaced.
func TestBindingOfAnotherRoleIsReplaced(t *testing.T) {
	t.Parallel()
	w := prepare(t, cluster.Config)
	binding := named(w, &rbacv1.RoleBinding{}, "watchbill-report")
	binding.Labels = map[string]string{"app.kubernetes.io/managed-by": "watchbill"}
	binding.RoleRef = rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "cluster-admin"}
	w.create(binding)
	w.start()
	w.settledReport("daily")
	w.eventually("the binding is of our Role", func() error {
		if err := w.get(binding); err != nil {
			return err
		}
		return equal(binding.RoleRef.Name, "watchbill-report")
	})
}

// Fields removed from a spec are removed from objects, although comparing wanted and current objects finds no difference.
func TestReconcileRemovesDroppedFields(t *testing.T) {
	t.Parallel()
	w := begin(t)
	mr := w.report("daily", func(mr *v1alpha1.MonitoringReport) {
		mr.Spec.Alerting.RuleLabels = map[string]v1alpha1.RuleLabelValue{"release": "one"}
	})
	w.create(mr)
	w.settled(mr)
	rule := named(w, &monitoringv1.PrometheusRule{}, "daily-report")
	w.exists(rule)
	if got := rule.Labels["release"]; got != "one" {
		t.Fatalf("the label is %q, want one", got)
	}
	change(w, mr, func(mr *v1alpha1.MonitoringReport) { mr.Spec.Alerting.RuleLabels = nil })
	w.eventually("the label is gone", func() error {
		if err := w.get(rule); err != nil {
			return err
		}
		return equal(rule.Labels["release"], "")
	})
}

// Repeated changes by others are reverted at a limited rate.
func TestReconcileDoesNotFightAnotherController(t *testing.T) {
	t.Parallel()
	w := begin(t)
	mr := w.settledReport("daily")
	w.writes.take()
	cronJob := named(w, &batchv1.CronJob{}, "daily-report")
	const rounds = 40
	for i := range rounds {
		change(w, cronJob, func(c *batchv1.CronJob) { c.Spec.Schedule = fmt.Sprintf("%d 3 * * *", i) })
	}
	w.settled(mr)
	var repairs int
	for _, write := range w.writes.take() {
		if strings.Contains(write, "/cronjobs/") {
			repairs++
		}
	}
	if repairs > 6 {
		t.Errorf("%d writes of another were undone %d times within moments", rounds, repairs)
	}
}
