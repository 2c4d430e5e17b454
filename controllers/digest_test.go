package controllers

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/watchbill/watchbill/api/v1alpha1"
)

// ruleObject returns a PrometheusRule of the controller with one group of one rule, modified by change.
func ruleObject(change func(*monitoringv1.RuleGroup)) *monitoringv1.PrometheusRule {
	group := monitoringv1.RuleGroup{
		Name: "g", Interval: new(monitoringv1.Duration("1m")),
		Rules: []monitoringv1.Rule{{Alert: "A", Expr: intstr.FromString("up == 0"), Labels: map[string]string{"severity": "critical"}}},
	}
	change(&group)
	return &monitoringv1.PrometheusRule{
		ObjectMeta: metav1.ObjectMeta{Name: "x", Labels: map[string]string{labelManagedBy: managedBy}},
		Spec:       monitoringv1.PrometheusRuleSpec{Groups: []monitoringv1.RuleGroup{group}},
	}
}

// overTheWire returns an object as received from the API server.
func overTheWire[T client.Object](t *testing.T, object T, into T) T {
	t.Helper()
	text, err := json.Marshal(object)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		t.Fatal(err)
	}
	return into
}

// The digests in the cache differ for every relevant change of rules, and for no other.
func TestRuleDigestsDiffer(t *testing.T) {
	t.Parallel()
	plain := ruleObject(func(*monitoringv1.RuleGroup) {})
	want, err := content(plain)
	if err != nil {
		t.Fatal(err)
	}
	if got := plain.Spec.Groups[0].Rules[0].Alert; got != "A" {
		t.Errorf("the object that is compared has changed: its rule is %q", got)
	}
	digests, err := digested(plain.Spec.Groups)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		change func(*monitoringv1.RuleGroup)
		holds  bool
	}{
		"the same":                  {func(*monitoringv1.RuleGroup) {}, true},
		"another's field beside":    {func(g *monitoringv1.RuleGroup) { g.Limit = new(7) }, true},
		"another expression":        {func(g *monitoringv1.RuleGroup) { g.Rules[0].Expr = intstr.FromString("up == 1") }, false},
		"a label more":              {func(g *monitoringv1.RuleGroup) { g.Rules[0].Labels["a"] = "b" }, false},
		"a rule more":               {func(g *monitoringv1.RuleGroup) { g.Rules = append(g.Rules, g.Rules[0]) }, false},
		"no rule":                   {func(g *monitoringv1.RuleGroup) { g.Rules = nil }, false},
		"another interval":          {func(g *monitoringv1.RuleGroup) { g.Interval = new(monitoringv1.Duration("2m")) }, false},
		"another name":              {func(g *monitoringv1.RuleGroup) { g.Name = "h" }, false},
		"a digest instead of rules": {func(g *monitoringv1.RuleGroup) { g.Rules = digests[0].Rules }, false},
	} {
		live := overTheWire(t, ruleObject(tt.change), &monitoringv1.PrometheusRule{})
		if _, err := trimmed(live); err != nil {
			t.Fatal(err)
		}
		have, err := content(live)
		if err != nil {
			t.Fatal(err)
		}
		if got := holds(have, want); got != tt.holds {
			t.Errorf("%s: it holds: %v", name, got)
		}
	}
}

// client-go passes some objects twice.
func TestTrimIsIdempotent(t *testing.T) {
	t.Parallel()
	for _, object := range []client.Object{
		ruleObject(func(*monitoringv1.RuleGroup) {}),
		&batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"a": "b"}}, Spec: batchv1.CronJobSpec{Schedule: "0 0 * * *"}},
		&corev1.Pod{Spec: corev1.PodSpec{NodeName: "x"}},
		&v1alpha1.MonitoringReport{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{corev1.LastAppliedConfigAnnotation: "{}", "a": "b"}}},
	} {
		object.SetManagedFields([]metav1.ManagedFieldsEntry{{Manager: "x"}})
		if _, err := trimmed(object); err != nil {
			t.Fatal(err)
		}
		once := object.DeepCopyObject()
		if _, err := trimmed(object); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(once, object); diff != "" {
			t.Errorf("%T (-once +twice):\n%s", object, diff)
		}
	}
}
