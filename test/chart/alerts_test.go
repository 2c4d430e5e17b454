package chart

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	monitoringv1 "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// alertsOf renders the rules with a permutation's values.
func alertsOf(t *testing.T, values string) *monitoringv1.PrometheusRule {
	t.Helper()
	all := objects(t, render(t, "--show-only", "templates/prometheusrule.yaml", "--api-versions", "monitoring.coreos.com/v1", "--values", chartFile("ci", values+"-values.yaml")))
	if len(all) != 1 {
		t.Fatalf("%d objects", len(all))
	}
	rule := &monitoringv1.PrometheusRule{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(all[0].Object, rule, true); err != nil {
		t.Fatal(err)
	}
	return rule
}

// ruleFile writes the rules as a file for Prometheus.
func ruleFile(t *testing.T, rule *monitoringv1.PrometheusRule) (folder string) {
	t.Helper()
	text, err := yaml.Marshal(rule.Spec)
	if err != nil {
		t.Fatal(err)
	}
	folder = t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "rules.yaml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

// TestAlertsFire has promtool evaluate the rules with the series and expected alerts of testdata/alerts.yaml.
func TestAlertsFire(t *testing.T) {
	t.Parallel()
	promtool := tool(t, "promtool")
	folder := ruleFile(t, alertsOf(t, "default"))
	if out, err := run(t, promtool, "check", "rules", "--lint=all", "--lint-fatal", filepath.Join(folder, "rules.yaml")); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	tests := filepath.Join(folder, "tests.yaml")
	if err := os.WriteFile(tests, []byte(readFile(t, filepath.Join("testdata", "alerts.yaml"))), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, promtool, "test", "rules", tests); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestAlerts(t *testing.T) {
	t.Parallel()
	want := []string{
		"WatchbillDown", "WatchbillControllerDown", "WatchbillLedgerQueueFilling", "WatchbillSpoolFilling", "WatchbillCommitsFailing",
		"WatchbillRollupsDropped", "WatchbillAgentsOffline", "WatchbillWorkFailing", "WatchbillOldTransaction",
		"WatchbillNamesNearLimit", "WatchbillLogLinesDropped", "WatchbillUsageUnknown",
	}
	known := knownSeries(t)
	tests := readFile(t, filepath.Join("testdata", "alerts.yaml"))
	var got []string
	for _, rule := range alertsOf(t, "default").Spec.Groups[0].Rules {
		got = append(got, rule.Alert)
		checkExpression(t, rule.Alert, rule.Expr.String(), known)
		if rule.For == nil || *rule.For == "" {
			t.Errorf("%s fires at once", rule.Alert)
		}
		if severity := rule.Labels["severity"]; severity != "critical" && severity != "warning" {
			t.Errorf("%s has the severity %q", rule.Alert, severity)
		}
		for _, annotation := range []string{"summary", "description", "runbook_url"} {
			if rule.Annotations[annotation] == "" {
				t.Errorf("%s has no %s", rule.Alert, annotation)
			}
		}
		runbook, ok := strings.CutPrefix(rule.Annotations["runbook_url"], "https://github.com/watchbill/watchbill/blob/main/")
		if _, err := os.Stat(inTree(runbook)); !ok || err != nil {
			t.Errorf("%s: there is no runbook %s: %v", rule.Alert, runbook, err)
		}
		if !strings.Contains(tests, "alertname: "+rule.Alert) {
			t.Errorf("testdata/alerts.yaml has no test of %s", rule.Alert)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestAlertsOfValues checks that values affect the alerts.
func TestAlertsOfValues(t *testing.T) {
	t.Parallel()
	rule := alertsOf(t, "namespaces")
	if rule.Labels["release"] != "monitoring" {
		t.Errorf("labels %v", rule.Labels)
	}
	offline, unknown := false, false
	for _, r := range rule.Spec.Groups[0].Rules {
		if r.Alert == "WatchbillRollupsDropped" {
			t.Error("a disabled alert is there")
		}
		if r.Labels["team"] != "fleet" || !strings.HasPrefix(r.Annotations["runbook_url"], "https://runbooks.example/watchbill/"+r.Alert) {
			t.Errorf("%s: labels %v, runbook %s", r.Alert, r.Labels, r.Annotations["runbook_url"])
		}
		unknown = unknown || r.Alert == "WatchbillUsageUnknown" && strings.HasSuffix(r.Expr.String(), "> 0.5")
		offline = offline || r.Alert == "WatchbillAgentsOffline" && strings.HasSuffix(r.Expr.String(), "> 0.25")
	}
	if !offline {
		t.Error("agentsOfflineRatio does not reach its alert")
	}
	if !unknown {
		t.Error("unknownUsageRatio does not reach its alert")
	}
}
