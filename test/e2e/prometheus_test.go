//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"k8s.io/apimachinery/pkg/util/validation"
)

// operated locates the Prometheus and the Alertmanager of the Prometheus operator.
var operated = struct{ namespace, prometheus, alertmanager string }{
	namespace: envOr("WATCHBILL_E2E_MONITORING", "monitoring"), prometheus: "prometheus-operated", alertmanager: "alertmanager-operated",
}

func envOr(name, otherwise string) string {
	if value := os.Getenv(name); value != "" && len(validation.IsDNS1123Label(value)) == 0 {
		return value
	}
	return otherwise
}

// needMonitoring skips a test if the cluster has no monitoring.
func needMonitoring(t *testing.T) {
	t.Helper()
	if _, err := fromPrometheus(t.Context(), "/api/v1/status/buildinfo", nil); err != nil {
		t.Skipf("no Prometheus in the namespace %s (WATCHBILL_E2E_MONITORING names another): %v", operated.namespace, err)
	}
}

func fromPrometheus(ctx context.Context, path string, params map[string]string) ([]byte, error) {
	return cluster.CoreV1().Services(operated.namespace).ProxyGet("http", operated.prometheus, "9090", path, params).DoRaw(ctx)
}

// query queries Prometheus at a time or now. It returns a vector, or a matrix for a range query.
func query[T model.Vector | model.Matrix](ctx context.Context, promQL string, at time.Time) (result T, err error) {
	params := map[string]string{"query": promQL}
	if !at.IsZero() {
		params["time"] = at.UTC().Format(time.RFC3339Nano)
	}
	out, err := fromPrometheus(ctx, "/api/v1/query", params)
	if err != nil {
		return nil, fmt.Errorf("query %s: %w: %s", promQL, err, out)
	}
	var answer struct {
		Data struct {
			Result T `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		return nil, fmt.Errorf("query %s: %w", promQL, err)
	}
	return answer.Data.Result, nil
}

// number returns the single number of a query's result.
func number(ctx context.Context, promQL string) (float64, error) {
	vector, err := query[model.Vector](ctx, promQL, time.Time{})
	if err != nil {
		return 0, err
	}
	if len(vector) != 1 {
		return 0, fmt.Errorf("%s has %d samples", promQL, len(vector))
	}
	return float64(vector[0].Value), nil
}

// selects returns a selector of a metric of the release's API.
func (r *release) selects(metric string, more ...string) string {
	return metric + "{" + strings.Join(append(more, fmt.Sprintf("namespace=%q", r.namespace), fmt.Sprintf("job=%q", releaseName+"-api")), ",") + "}"
}

type alert struct {
	Labels      model.LabelSet `json:"labels"`
	Annotations model.LabelSet `json:"annotations"`
	State       string         `json:"state"`
	ActiveAt    time.Time      `json:"activeAt"`
}

// alerts returns the pending and firing alerts of a name and namespace. Alerts about reports have the namespace as
// report_namespace.
func alerts(ctx context.Context, name, namespace string) (found []alert, err error) {
	out, err := fromPrometheus(ctx, "/api/v1/alerts", nil)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data struct {
			Alerts []alert `json:"alerts"`
		} `json:"data"`
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		return nil, err
	}
	for _, a := range answer.Data.Alerts {
		if string(a.Labels["alertname"]) == name && (string(a.Labels["namespace"]) == namespace || string(a.Labels["report_namespace"]) == namespace) {
			found = append(found, a)
		}
	}
	return found, nil
}

// rules returns the names of the alerts and records that Prometheus evaluates for a PrometheusRule, and an error if any
// fails.
func rules(ctx context.Context, namespace, name string) (names []string, err error) {
	out, err := fromPrometheus(ctx, "/api/v1/rules", nil)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data struct {
			Groups []struct {
				File  string `json:"file"`
				Rules []struct {
					Name      string `json:"name"`
					Health    string `json:"health"`
					LastError string `json:"lastError"`
				} `json:"rules"`
			} `json:"groups"`
		} `json:"data"`
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		return nil, err
	}
	for _, group := range answer.Data.Groups {
		if !strings.Contains(group.File, namespace+"-"+name+"-") {
			continue
		}
		for _, rule := range group.Rules {
			names = append(names, rule.Name)
			if rule.LastError != "" {
				return names, fmt.Errorf("rule %s: %s", rule.Name, rule.LastError)
			}
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no rules of %s/%s", namespace, name)
	}
	return names, nil
}

// notice is what Alertmanager sends to a webhook.
type notice struct {
	Status string `json:"status"`
	Alerts []struct {
		Status      string            `json:"status"`
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
		StartsAt    time.Time         `json:"startsAt"`
		EndsAt      time.Time         `json:"endsAt"`
	} `json:"alerts"`
}

// noticed checks that Alertmanager sent a notification of an alert in a state.
func (v visitor) noticed(ctx context.Context, name, status string) error {
	deliveries, err := v.deliveries(ctx, "alerts")
	if err != nil {
		return err
	}
	for _, delivery := range deliveries {
		var n notice
		if err := json.Unmarshal([]byte(delivery.Body), &n); err != nil {
			return fmt.Errorf("what Alertmanager sent: %w", err)
		}
		for _, a := range n.Alerts {
			if a.Status != status || a.Labels["alertname"] != name {
				continue
			}
			for _, annotation := range []string{"summary", "description", "runbook_url"} {
				if a.Annotations[annotation] == "" {
					return fmt.Errorf("%s was sent without its %s", name, annotation)
				}
			}
			return nil
		}
	}
	return fmt.Errorf("%d deliveries, none about %s %s", len(deliveries), name, status)
}
