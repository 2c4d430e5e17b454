package controllers_test

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-logr/logr/funcr"
	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/controllers"
	"github.com/watchbill/watchbill/internal/testkit/kubetest"
)

// definitions returns the CustomResourceDefinitions of the Prometheus operator.
func definitions(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	var all []*unstructured.Unstructured
	for _, name := range []string{"prometheusrules.yaml", "prometheuses.yaml", "thanosrulers.yaml"} {
		text, err := os.ReadFile(filepath.Join("testdata", "monitoring", name))
		if err != nil {
			t.Fatal(err)
		}
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(text, &object.Object); err != nil {
			t.Fatal(err)
		}
		all = append(all, object)
	}
	return all
}

// The Prometheus operator may be installed after the controller, removed, and installed again.
func TestPrometheusOperatorInstalledAndRemoved(t *testing.T) {
	t.Parallel()
	bare, err := kubetest.Start(kubetest.Options{CRDs: []string{crdOfReports}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bare.Stop(); err != nil {
			t.Error(err)
		}
	})
	var faults atomic.Int32
	w := prepare(t, bare.Config, func(o *controllers.ManagerOptions) {
		o.WatchNamespaces = nil // all namespaces
		o.Log = funcr.New(func(_, text string) {
			if strings.Contains(text, `"error"=`) {
				faults.Add(1)
				t.Log(text)
			}
		}, funcr.Options{})
	})
	w.start()
	mr := w.report("daily")
	w.create(mr)
	got := w.wants(mr, v1alpha1.ConditionRulesInstalled, metav1.ConditionFalse, v1alpha1.ReasonPrometheusOperatorMissing)
	w.settled(mr)
	w.wants(mr, v1alpha1.ConditionScheduled, metav1.ConditionTrue, v1alpha1.ReasonScheduled)
	if !strings.Contains(got.Message, "Prometheus operator") {
		t.Errorf("the condition says %q", got.Message)
	}

	rule := named(w, &monitoringv1.PrometheusRule{}, "daily-report")
	for range 2 {
		w.create(clients(definitions(t))...)
		w.exists(rule)
		w.wants(mr, v1alpha1.ConditionRulesInstalled, metav1.ConditionUnknown, v1alpha1.ReasonSelectionUnknown)
		w.delete(rule)
		w.exists(rule)

		w.delete(clients(definitions(t))...)
		w.wants(mr, v1alpha1.ConditionRulesInstalled, metav1.ConditionFalse, v1alpha1.ReasonPrometheusOperatorMissing)
		w.settled(mr)
		for _, definition := range definitions(t) {
			w.gone(definition)
		}
	}
	if n := faults.Load(); n > 4 {
		t.Errorf("there are %d errors in the log", n)
	}
}

func clients(objects []*unstructured.Unstructured) []client.Object {
	all := make([]client.Object, len(objects))
	for i, object := range objects {
		all[i] = object
	}
	return all
}

func TestSelectedByAPrometheus(t *testing.T) {
	t.Parallel()
	w := begin(t)
	mr := w.settledReport("daily")

	prometheus := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "monitoring.coreos.com/v1", "kind": "Prometheus",
		"metadata": map[string]any{"namespace": w.namespace, "name": "main"},
		"spec": map[string]any{
			"ruleSelector": map[string]any{"matchLabels": map[string]any{"release": w.namespace}},
			"replicas":     int64(2),
		},
	}}
	w.create(prometheus)
	want := fmt.Sprintf("Prometheus %s/main does not select the rules: set the label release=%s in spec.alerting.ruleLabels", w.namespace, w.namespace)
	w.eventually("it is said what is missing", func() error {
		got := w.wants(mr, v1alpha1.ConditionRulesInstalled, metav1.ConditionFalse, v1alpha1.ReasonNotSelected)
		if !strings.Contains(got.Message, want) {
			return errors.New(got.Message)
		}
		return nil
	})
	w.settled(mr) // a report without a Prometheus that selects its rules is Ready
	change(w, mr, func(mr *v1alpha1.MonitoringReport) {
		mr.Spec.Alerting.RuleLabels = map[string]v1alpha1.RuleLabelValue{"release": v1alpha1.RuleLabelValue(w.namespace)}
	})
	w.wants(mr, v1alpha1.ConditionRulesInstalled, metav1.ConditionTrue, v1alpha1.ReasonInstalled)

	// The Prometheus then selects namespaces with a label, which this one gets.
	change(w, prometheus, func(p *unstructured.Unstructured) {
		err := unstructured.SetNestedStringMap(p.Object, map[string]string{"alerts": w.namespace}, "spec", "ruleNamespaceSelector", "matchLabels")
		if err != nil {
			t.Fatal(err)
		}
	})
	w.wants(mr, v1alpha1.ConditionRulesInstalled, metav1.ConditionFalse, v1alpha1.ReasonNotSelected)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}
	change(w, namespace, func(n *corev1.Namespace) { n.Labels["alerts"] = w.namespace })
	w.wants(mr, v1alpha1.ConditionRulesInstalled, metav1.ConditionTrue, v1alpha1.ReasonInstalled)
}

// evaluating returns a Prometheus or ThanosRuler that selects the rules of its namespace with the label release=<namespace>.
func evaluating(w *fixture, kind, name string, spec map[string]any) *unstructured.Unstructured {
	spec["ruleSelector"] = map[string]any{"matchLabels": map[string]any{"release": w.namespace}}
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "monitoring.coreos.com/v1", "kind": kind,
		"metadata": map[string]any{"namespace": w.namespace, "name": name},
		"spec":     spec,
	}}
}

func selectable(w *fixture) func(*v1alpha1.MonitoringReport) {
	return func(mr *v1alpha1.MonitoringReport) {
		mr.Spec.Alerting.RuleLabels = map[string]v1alpha1.RuleLabelValue{"release": v1alpha1.RuleLabelValue(w.namespace)}
	}
}

func TestSelectedByAThanosRuler(t *testing.T) {
	t.Parallel()
	w := begin(t)
	mr := w.report("daily", selectable(w))
	ruler := evaluating(w, "ThanosRuler", "ruler", map[string]any{"queryEndpoints": []any{"dns://query"}})
	w.create(ruler, mr)
	got := w.wants(mr, v1alpha1.ConditionRulesInstalled, metav1.ConditionTrue, v1alpha1.ReasonInstalled)
	if want := "ThanosRuler " + w.namespace + "/ruler selects it"; !strings.Contains(got.Message, want) {
		t.Errorf("%q does not say %q", got.Message, want)
	}
	change(w, ruler, func(r *unstructured.Unstructured) {
		if err := unstructured.SetNestedField(r.Object, int64(0), "spec", "replicas"); err != nil {
			t.Fatal(err)
		}
	})
	w.wants(mr, v1alpha1.ConditionRulesInstalled, metav1.ConditionFalse, v1alpha1.ReasonNotSelected)
}

// A Prometheus that limits rules to series of their own namespace does not see an API in another.
func TestEnforcedNamespace(t *testing.T) {
	t.Parallel()
	w := begin(t, func(o *controllers.ManagerOptions) {
		o.Desired.Rules.Selector = map[string]string{"job": "watchbill-api", "namespace": "watchbill"}
	})
	mr := w.report("daily", selectable(w))
	prometheus := evaluating(w, "Prometheus", "tenant", map[string]any{"enforcedNamespaceLabel": "namespace"})
	w.create(prometheus, mr)
	got := w.wants(mr, v1alpha1.ConditionRulesInstalled, metav1.ConditionFalse, v1alpha1.ReasonNamespaceEnforced)
	for _, want := range []string{"namespace=" + w.namespace, "watchbill", "excludedFromEnforcement"} {
		if !strings.Contains(got.Message, want) {
			t.Errorf("%q does not name %s", got.Message, want)
		}
	}
	w.settled(mr) // a report without a Prometheus that selects its rules is Ready
	change(w, prometheus, func(p *unstructured.Unstructured) {
		excluded := []any{map[string]any{"resource": "prometheusrules", "namespace": w.namespace, "name": "daily-report"}}
		if err := unstructured.SetNestedSlice(p.Object, excluded, "spec", "excludedFromEnforcement"); err != nil {
			t.Fatal(err)
		}
	})
	w.wants(mr, v1alpha1.ConditionRulesInstalled, metav1.ConditionTrue, v1alpha1.ReasonInstalled)
}

// The Prometheus operator's status of a rule is used, and causes no writes.
func TestStatusOfRules(t *testing.T) {
	t.Parallel()
	w := begin(t)
	mr := w.report("daily", selectable(w))
	w.create(evaluating(w, "Prometheus", "main", map[string]any{}), mr)
	w.wants(mr, v1alpha1.ConditionRulesInstalled, metav1.ConditionTrue, v1alpha1.ReasonInstalled)
	rule := named(w, &monitoringv1.PrometheusRule{}, "daily-report")
	bind := func(status monitoringv1.ConditionStatus, message string) {
		t.Helper()
		w.eventually("the rule has a status", func() error {
			if err := w.get(rule); err != nil {
				return err
			}
			rule.Status.Bindings = []monitoringv1.WorkloadBinding{{
				Group: "monitoring.coreos.com", Resource: "prometheuses", Namespace: w.namespace, Name: "main",
				Conditions: []monitoringv1.ConfigResourceCondition{{
					Type: monitoringv1.Accepted, Status: status, LastTransitionTime: metav1.Now(), Message: message, ObservedGeneration: rule.Generation,
				}},
			}}
			return w.client.Status().Update(t.Context(), rule)
		})
	}
	bind(monitoringv1.ConditionFalse, "invalid rule")
	got := w.wants(mr, v1alpha1.ConditionRulesInstalled, metav1.ConditionFalse, v1alpha1.ReasonRejected)
	if !strings.Contains(got.Message, "invalid rule") {
		t.Errorf("%q does not say why", got.Message)
	}
	w.wants(mr, v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonDegraded)
	w.writes.take()
	bind(monitoringv1.ConditionTrue, "")
	w.settled(mr)
	for _, write := range w.writes.take() {
		if !strings.HasSuffix(write, "/status") {
			t.Errorf("%s was written", write)
		}
	}
}

// refusing returns an error for requests to some paths, as an API server does; the default is 403.
type refusing struct {
	next   http.RoundTripper
	paths  func(*http.Request) bool
	code   int
	reason metav1.StatusReason
}

func (r *refusing) RoundTrip(request *http.Request) (*http.Response, error) {
	if !r.paths(request) {
		return r.next.RoundTrip(request)
	}
	code, reason := cmp.Or(r.code, http.StatusForbidden), cmp.Or(r.reason, metav1.StatusReasonForbidden)
	body := fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d,"message":"you may not"}`, reason, code)
	return &http.Response{
		StatusCode: code, Request: request, ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)),
	}, nil
}

func TestMissingRights(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		refused func(*http.Request) bool
		status  metav1.ConditionStatus
		reason  string
		ready   metav1.ConditionStatus
	}{
		"to list Prometheus objects": {
			func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/prometheuses") },
			metav1.ConditionUnknown, v1alpha1.ReasonSelectionUnknown, metav1.ConditionTrue,
		},
		"to list PrometheusRules": {
			func(r *http.Request) bool {
				return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/prometheusrules")
			},
			metav1.ConditionFalse, v1alpha1.ReasonApplyFailed, metav1.ConditionFalse,
		},
		"to write PrometheusRules": {
			func(r *http.Request) bool {
				return r.Method != http.MethodGet && strings.Contains(r.URL.Path, "/prometheusrules")
			},
			metav1.ConditionFalse, v1alpha1.ReasonApplyFailed, metav1.ConditionFalse,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var refuse atomic.Bool
			refuse.Store(true)
			w := prepare(t, cluster.Config, func(o *controllers.ManagerOptions) { o.Log = funcr.New(func(_, _ string) {}, funcr.Options{}) })
			config := rest.CopyConfig(w.config)
			config.Wrap(func(next http.RoundTripper) http.RoundTripper {
				return &refusing{next: next, paths: func(r *http.Request) bool { return refuse.Load() && tt.refused(r) }}
			})
			w.config = config
			w.start()
			mr := w.report("daily")
			w.create(mr)
			w.wants(mr, v1alpha1.ConditionRulesInstalled, tt.status, tt.reason)
			reason := v1alpha1.ReasonReconciled
			if tt.ready == metav1.ConditionFalse {
				reason = v1alpha1.ReasonDegraded
			}
			w.wants(mr, v1alpha1.ConditionReady, tt.ready, reason)
			w.wants(mr, v1alpha1.ConditionScheduled, metav1.ConditionTrue, v1alpha1.ReasonScheduled)
			if !strings.Contains(name, "write") {
				return // a permission granted later is noticed within a minute
			}
			refuse.Store(false)
			w.settled(mr)
		})
	}
}
