package controllers

import (
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/watchbill/watchbill/api/v1alpha1"
)

// TestTaken uses the rule report of the namespace fleet, with the label app=x.
func TestTaken(t *testing.T) {
	t.Parallel()
	all := &metav1.LabelSelector{}
	with := func(name, value string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchLabels: map[string]string{name: value}}
	}
	prom := func(namespace, name string, rules, namespaces *metav1.LabelSelector, change ...func(*evaluator)) evaluator {
		e := evaluator{kind: "Prometheus", namespace: namespace, name: name, rules: rules, namespaces: namespaces}
		for _, change := range change {
			change(&e)
		}
		return e
	}
	ruler := func(e *evaluator) { e.kind = "ThanosRuler" }
	enforcing := func(e *evaluator) { e.enforced = "namespace" }
	excluding := func(namespace, name string) func(*evaluator) {
		return func(e *evaluator) { e.excluded = append(e.excluded, ruleReference{namespace, name}) }
	}
	idle := func(e *evaluator) { e.idle = true }
	paused := func(e *evaluator) { e.paused = true }
	bindings := func(name string, accepted bool) []binding {
		return []binding{{"Prometheus", "m", name, accepted, "InvalidConfiguration"}}
	}
	team := map[string]string{"team": "a"}
	const (
		not, unknown = v1alpha1.ReasonNotSelected, v1alpha1.ReasonSelectionUnknown
		enforced     = v1alpha1.ReasonNamespaceEnforced
	)
	tests := map[string]struct {
		evaluators []evaluator
		namespace  map[string]string
		bindings   []binding
		api        string // the namespace of its series
		unseen     string // what cannot be read
		by         string
		reason     string
		why        string
	}{
		"none":                      {namespace: team, reason: unknown, why: "no Prometheus or ThanosRuler object"},
		"all of everywhere":         {evaluators: []evaluator{prom("m", "p", all, all)}, namespace: team, by: "Prometheus m/p"},
		"no selector, its own":      {evaluators: []evaluator{prom("fleet", "p", all, nil)}, namespace: team, by: "Prometheus fleet/p"},
		"no selector, another's":    {evaluators: []evaluator{prom("m", "p", all, nil)}, namespace: team, reason: not, why: "Prometheus m/p does not select the rules: it selects only rules in its own namespace"},
		"no rules":                  {evaluators: []evaluator{prom("m", "p", nil, all)}, namespace: team, reason: not, why: "set its spec.ruleSelector"},
		"a label is missing":        {evaluators: []evaluator{prom("m", "p", with("release", "kps"), all)}, namespace: team, reason: not, why: "set the label release=kps in spec.alerting.ruleLabels"},
		"a label is there":          {evaluators: []evaluator{prom("m", "p", with("app", "x"), all)}, namespace: team, by: "Prometheus m/p"},
		"the namespace has it":      {evaluators: []evaluator{prom("m", "p", all, with("team", "a"))}, namespace: team, by: "Prometheus m/p"},
		"the namespace lacks it":    {evaluators: []evaluator{prom("m", "p", all, with("team", "b"))}, namespace: team, reason: not, why: "set the label team=b on the namespace fleet"},
		"namespaces are unreadable": {evaluators: []evaluator{prom("m", "p", all, with("team", "a"))}, reason: unknown, why: "may not read"},
		"unreadable, but no matter": {evaluators: []evaluator{prom("m", "p", with("release", "kps"), with("team", "a"))}, reason: not, why: "release=kps"},
		"unreadable, but another":   {evaluators: []evaluator{prom("m", "p", all, with("team", "a")), prom("m", "q", all, all)}, by: "Prometheus m/q"},
		"the second takes it":       {evaluators: []evaluator{prom("m", "p", with("x", "y"), all), prom("m", "q", all, all)}, namespace: team, by: "Prometheus m/q"},
		"the nearest is named": {
			evaluators: []evaluator{prom("m", "p", all, nil), prom("m", "q", with("x", "y"), all)}, namespace: team,
			reason: not, why: "Prometheus m/q does not select the rules: set the label x=y in spec.alerting.ruleLabels (1 more do not either)",
		},
		"by expression": {evaluators: []evaluator{prom("m", "p", &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: "role", Operator: metav1.LabelSelectorOpIn, Values: []string{"a", "b"}},
		}}, all)}, namespace: team, reason: not, why: "role in (a,b)"},
		"a ThanosRuler":              {evaluators: []evaluator{prom("m", "p", nil, nil), prom("m", "r", all, all, ruler)}, namespace: team, by: "ThanosRuler m/r"},
		"a ThanosRuler lacks less":   {evaluators: []evaluator{prom("m", "p", nil, nil), prom("m", "r", with("x", "y"), all, ruler)}, namespace: team, reason: not, why: "ThanosRuler m/r does not select the rules: set the label x=y"},
		"ThanosRulers are unseen":    {evaluators: []evaluator{prom("m", "p", with("x", "y"), all)}, namespace: team, unseen: "may not list ThanosRuler objects", reason: unknown, why: "may not list ThanosRuler objects; Prometheus m/p does not select the rules: set the label x=y"},
		"unseen, but no matter":      {evaluators: []evaluator{prom("m", "p", all, all)}, namespace: team, unseen: "may not list ThanosRuler objects", by: "Prometheus m/p"},
		"without replicas":           {evaluators: []evaluator{prom("m", "p", all, all, idle)}, namespace: team, reason: not, why: "it has no replicas"},
		"paused":                     {evaluators: []evaluator{prom("m", "p", all, all, paused)}, namespace: team, reason: unknown, why: "it is paused"},
		"paused, but given before":   {evaluators: []evaluator{prom("m", "p", all, all, paused)}, namespace: team, bindings: bindings("p", true), by: "Prometheus m/p"},
		"enforced, elsewhere":        {evaluators: []evaluator{prom("m", "p", all, all, enforcing)}, namespace: team, api: "watchbill", reason: enforced, why: "restricts them to series with namespace=fleet, by its spec.enforcedNamespaceLabel. The API's series are of the namespace watchbill: create the MonitoringReport there, or name the PrometheusRule fleet/report in the Prometheus's spec.excludedFromEnforcement"},
		"enforced, with the API":     {evaluators: []evaluator{prom("m", "p", all, all, enforcing)}, namespace: team, api: "fleet", by: "Prometheus m/p"},
		"enforced, API unknown":      {evaluators: []evaluator{prom("m", "p", all, all, enforcing)}, namespace: team, reason: unknown, why: "names no namespace"},
		"enforced, but not this":     {evaluators: []evaluator{prom("m", "p", all, all, enforcing, excluding("fleet", "report"))}, namespace: team, api: "watchbill", by: "Prometheus m/p"},
		"enforced, but no rules":     {evaluators: []evaluator{prom("m", "p", all, all, enforcing, excluding("fleet", ""))}, namespace: team, api: "watchbill", by: "Prometheus m/p"},
		"enforced, others not":       {evaluators: []evaluator{prom("m", "p", all, all, enforcing, excluding("fleet", "x"), excluding("y", ""))}, namespace: team, api: "watchbill", reason: enforced},
		"enforced, but another":      {evaluators: []evaluator{prom("m", "p", all, all, enforcing), prom("m", "q", all, all)}, namespace: team, api: "watchbill", by: "Prometheus m/q"},
		"enforced, and not selected": {evaluators: []evaluator{prom("m", "p", with("x", "y"), all, enforcing)}, namespace: team, api: "watchbill", reason: not},
		"enforced by a ThanosRuler":  {evaluators: []evaluator{prom("m", "p", all, all, ruler, enforcing)}, namespace: team, api: "watchbill", reason: enforced, why: "ThanosRuler m/p selects"},
		"the operator gave it":       {evaluators: []evaluator{prom("m", "p", with("x", "y"), all)}, bindings: bindings("p", true), by: "Prometheus m/p"},
		"given, and enforced":        {evaluators: []evaluator{prom("m", "p", all, all, enforcing)}, bindings: bindings("p", true), api: "watchbill", reason: enforced},
		"the operator refuses it":    {evaluators: []evaluator{prom("m", "p", all, all)}, bindings: bindings("p", false), reason: v1alpha1.ReasonRejected, why: "does not give the rules to Prometheus m/p: InvalidConfiguration"},
		"refused, but not another":   {evaluators: []evaluator{prom("m", "p", all, all), prom("m", "q", all, all)}, bindings: bindings("p", false), by: "Prometheus m/q"},
		"given to one deleted":       {evaluators: []evaluator{prom("m", "p", with("x", "y"), all)}, bindings: bindings("q", true), namespace: team, reason: not},
		"given to one unseen":        {bindings: bindings("q", true), unseen: "may not list Prometheus objects", by: "Prometheus m/q"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := candidates{evaluators: tt.evaluators, namespace: "fleet", labels: tt.namespace, unknown: tt.unseen}
			got := c.taken(ruleSeen{name: "report", labels: map[string]string{"app": "x"}, bindings: tt.bindings, api: tt.api})
			if got.reason != tt.reason || !strings.HasPrefix(got.by, tt.by) || (got.by == "") != (tt.by == "") || !strings.Contains(got.why, tt.why) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// The operator's status for an earlier generation of a rule, or for a kind that evaluates no rules, is ignored.
func TestBindingsOf(t *testing.T) {
	t.Parallel()
	rule := &monitoringv1.PrometheusRule{ObjectMeta: metav1.ObjectMeta{Generation: 3}}
	bind := func(resource, name string, status monitoringv1.ConditionStatus, generation int64) {
		rule.Status.Bindings = append(rule.Status.Bindings, monitoringv1.WorkloadBinding{
			Group: "monitoring.coreos.com", Resource: resource, Namespace: "m", Name: name,
			Conditions: []monitoringv1.ConfigResourceCondition{{Type: monitoringv1.Accepted, Status: status, ObservedGeneration: generation, Reason: "R"}},
		})
	}
	bind("prometheuses", "p", monitoringv1.ConditionTrue, 3)
	bind("prometheuses", "old", monitoringv1.ConditionTrue, 2)
	bind("thanosrulers", "r", monitoringv1.ConditionFalse, 3)
	bind("alertmanagers", "a", monitoringv1.ConditionTrue, 3)
	want := []binding{{"Prometheus", "m", "p", true, "R"}, {"ThanosRuler", "m", "r", false, "R"}}
	got := bindingsOf(rule)
	if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// Only the used fields of a Prometheus are left, with whether it has replicas but not how many.
func TestTrimEvaluator(t *testing.T) {
	t.Parallel()
	trim := func(spec map[string]any) evaluator {
		object := &unstructured.Unstructured{Object: map[string]any{"spec": spec, "status": map[string]any{"x": "y"}}}
		object.SetName("p")
		trimEvaluator(object)
		trimEvaluator(object) // client-go may call it twice
		if _, ok := object.Object["status"]; ok {
			t.Error("the status is kept")
		}
		if _, ok, _ := unstructured.NestedFieldNoCopy(object.Object, "spec", "image"); ok {
			t.Error("the image is kept")
		}
		e, err := evaluatorOf("Prometheus", object)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	e := trim(map[string]any{
		"image": "x", "replicas": int64(0), "paused": true, "enforcedNamespaceLabel": "ns",
		"ruleSelector":                       map[string]any{"matchLabels": map[string]any{"a": "b"}},
		"excludedFromEnforcement":            []any{map[string]any{"resource": "prometheusrules", "namespace": "n", "name": "r"}, map[string]any{"resource": "servicemonitors", "namespace": "n"}},
		"prometheusRulesExcludedFromEnforce": []any{map[string]any{"ruleNamespace": "o", "ruleName": "s"}},
	})
	if !e.idle || !e.paused || e.enforced != "ns" || e.rules.MatchLabels["a"] != "b" || e.namespaces != nil {
		t.Errorf("got %+v", e)
	}
	if len(e.excluded) != 2 || e.excluded[0] != (ruleReference{"n", "r"}) || e.excluded[1] != (ruleReference{"o", "s"}) {
		t.Errorf("excluded are %+v", e.excluded)
	}
	if e := trim(map[string]any{"replicas": int64(2)}); e.idle || e.rules != nil {
		t.Errorf("got %+v", e)
	}
}
