package controllers

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/watchbill/watchbill/api/v1alpha1"
)

// A plan is made again until all of it is applied, and then only when something changed. No plan is kept with its objects.
func TestAppliedPlansAreCached(t *testing.T) {
	t.Parallel()
	full := plan{
		cronJob: &batchv1.CronJob{},
		rule: &monitoringv1.PrometheusRule{
			ObjectMeta: metav1.ObjectMeta{Namespace: "fleet", Name: "x", Labels: map[string]string{"a": "b"}},
			Spec:       monitoringv1.PrometheusRuleSpec{Groups: []monitoringv1.RuleGroup{{Name: "g"}}},
		},
		notes: []string{"note"},
	}
	light := plan{rule: full.rule.DeepCopy(), notes: full.notes}
	light.rule.Spec = monitoringv1.PrometheusRuleSpec{}
	seen := func(generation int64, version string) *observed {
		cronJob := &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{ResourceVersion: version}}
		return &observed{
			report:  &v1alpha1.MonitoringReport{ObjectMeta: metav1.ObjectMeta{Generation: generation}},
			objects: map[objectKey]client.Object{keyOf(cronJob): cronJob},
		}
	}
	r := &reportState{}
	for i, step := range []struct {
		seen    *observed
		decided bool
		settle  bool
	}{
		{seen(1, "1"), true, false},
		{seen(1, "2"), true, true},
		{seen(1, "2"), false, false},
		{seen(1, "3"), true, false},
		{seen(1, "2"), true, true}, // it was forgotten, although nothing changed
		{seen(2, "2"), true, true},
		{seen(2, "2"), false, false},
	} {
		decided := false
		p, settled := r.planned(step.seen, func() plan { decided = true; return full })
		if decided != step.decided || settled == step.decided {
			t.Fatalf("step %d: decided %v, settled %v", i, decided, settled)
		}
		if want := map[bool]plan{true: full, false: light}[decided]; !cmp.Equal(want, p, cmp.AllowUnexported(plan{}, problem{})) {
			t.Errorf("step %d: the plan is %+v, want %+v", i, p, want)
		}
		if !decided && r.plan.cronJob != nil || decided && r.plan.rule != nil {
			t.Errorf("step %d: it keeps %+v", i, r.plan)
		}
		if step.settle {
			r.settle(step.seen, p)
		}
	}
}
