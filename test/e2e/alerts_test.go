//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/watchbill/watchbill/api/v1alpha1"
)

// firesWithin limits the time until a burn-rate alert fires if all writes fail: two evaluations, one a minute, the two
// minutes for which it must hold, and the time for Prometheus and its operator to load the rules.
const firesWithin = 6 * time.Minute

// testMonitored checks that Prometheus scrapes all targets and loads the chart's rules, and that metrics change.
func testMonitored(t *testing.T, r *release, _ visitor) {
	needMonitoring(t)
	eventually(t, 90*time.Second, "Prometheus scrapes two replicas and two controllers", func(ctx context.Context) error {
		for job, want := range map[string]float64{"watchbill-api": 2, "watchbill-controller": 2} {
			if got, err := number(ctx, fmt.Sprintf("sum(last_over_time(up{namespace=%q,job=%q}[12s]))", r.namespace, job)); err != nil || got != want {
				return fmt.Errorf("%s: %.0f are up, want %.0f, %w", job, got, want, errOrNil(err))
			}
		}
		return nil
	})
	eventually(t, 60*time.Second, "requests a second and the pool have figures", func(ctx context.Context) error {
		rate, err := number(ctx, "sum(rate("+r.selects("watchbill_http_requests_total")+"[20s]))")
		if err != nil || rate < 5 {
			return fmt.Errorf("%.1f requests a second, %w", rate, errOrNil(err))
		}
		taken, err := number(ctx, "sum(rate("+r.selects("watchbill_db_pool_acquires_total")+"[20s]))")
		if err != nil || taken == 0 {
			return fmt.Errorf("%.1f times a second a connection is taken from the pool, %w", taken, errOrNil(err))
		}
		seen, err := number(ctx, "max("+r.selects("watchbill_agents", `state="online"`)+")")
		if err != nil || seen != 20 {
			return fmt.Errorf("%.0f agents are online, %w", seen, errOrNil(err))
		}
		return nil
	})
	eventually(t, 60*time.Second, "Prometheus evaluates the chart's rules", func(ctx context.Context) error {
		names, err := rules(ctx, r.namespace, "watchbill")
		if err == nil && !slices.Contains(names, "WatchbillDown") {
			err = fmt.Errorf("there are %v", names)
		}
		return err
	})
}

// errOrNil returns an error that can be wrapped, also for nil.
func errOrNil(err error) error {
	if err == nil {
		return errNothing
	}
	return err
}

// accepted returns nil if the Prometheus operator reports that a Prometheus accepts the current generation of a rule.
func accepted(ctx context.Context, key client.ObjectKey) error {
	rule := &unstructured.Unstructured{}
	rule.SetAPIVersion("monitoring.coreos.com/v1")
	rule.SetKind("PrometheusRule")
	if err := cluster.Get(ctx, key, rule); err != nil {
		return err
	}
	bindings, _, err := unstructured.NestedSlice(rule.Object, "status", "bindings")
	if err != nil {
		return err
	}
	for _, b := range bindings {
		conditions, _, _ := unstructured.NestedSlice(b.(map[string]any), "conditions")
		for _, c := range conditions {
			if c := c.(map[string]any); c["type"] == "Accepted" && c["status"] == "True" && c["observedGeneration"] == rule.GetGeneration() {
				return nil
			}
		}
	}
	return fmt.Errorf("generation %d has the bindings %v", rule.GetGeneration(), bindings)
}

var errNothing = fmt.Errorf("no error")

// strictName differs in each run, since Prometheus still has the recorded series of the previous one.
var strictName = "strict-" + strconv.FormatInt(time.Now().Unix(), 36)

func applyStrict(t *testing.T, r *release) {
	t.Helper()
	applied(t, "strict.yaml", r.namespace, "@NAME@", strictName)
}

// testAlerts stops the database until an objective's alert fires.
func testAlerts(t *testing.T, r *release, v visitor) {
	needMonitoring(t)
	applyStrict(t, r)
	applied(t, "route.yaml", r.namespace, "@LABEL@", "team")
	conditionIs(t, 30*time.Second, r.namespace, strictName, v1alpha1.ConditionRulesInstalled, "True", v1alpha1.ReasonInstalled)
	if cluster.ours { // other operators may not report it
		eventually(t, 30*time.Second, "the operator says that Prometheus takes the rules", func(ctx context.Context) error {
			return accepted(ctx, client.ObjectKey{Namespace: r.namespace, Name: strictName + "-report"})
		})
	}
	eventually(t, 90*time.Second, "Prometheus evaluates the report's rules", func(ctx context.Context) error {
		if _, err := rules(ctx, r.namespace, strictName+"-report"); err != nil {
			return err
		}
		// The usual value, before the fault.
		events, err := number(ctx, fmt.Sprintf("watchbill:objective_events:increase5m{report=%q,report_namespace=%q}", strictName, r.namespace))
		if err == nil && events == 0 {
			err = fmt.Errorf("%.0f events", events)
		}
		return err
	})
	if found, err := alerts(t.Context(), "WatchbillErrorRateHigh", r.namespace); err != nil || len(found) > 0 {
		t.Fatalf("before anything happens: %v, %v", found, err)
	}
	before, err := v.look(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	applied(t, "punctual.yaml", r.namespace)
	kubectl(t, "", "-n", r.namespace, "scale", "statefulset/watchbill-postgresql", "--replicas=0")
	began, due := time.Now(), nextSlot()
	eventually(t, time.Minute, "executions are refused while the database is unavailable", func(ctx context.Context) error {
		log, err := v.look(ctx)
		if err == nil && log.Statuses[503] <= before.Statuses[503] {
			err = fmt.Errorf("statuses %v", log.Statuses)
		}
		return err
	})
	pollsGoOn(t, v)
	eventually(t, firesWithin, "WatchbillErrorRateHigh fires", func(ctx context.Context) error {
		found, err := alerts(ctx, "WatchbillErrorRateHigh", r.namespace)
		if err != nil {
			return err
		}
		for _, a := range found {
			if a.State == "firing" && a.Labels["objective"] == "errors" && a.Labels["severity"] == "critical" {
				t.Logf("%s", a.Annotations["description"])
				return nil
			}
		}
		return fmt.Errorf("there are %v", found)
	})
	eventually(t, 30*time.Second, "Alertmanager has told somebody", func(ctx context.Context) error {
		return v.noticed(ctx, "WatchbillErrorRateHigh", "firing")
	})
	t.Logf("%5.1f s from the fault to the notice", time.Since(began).Seconds())

	kubectl(t, "", "-n", r.namespace, "scale", "statefulset/watchbill-postgresql", "--replicas=1")
	kubectl(t, "", "-n", r.namespace, "rollout", "status", "statefulset/watchbill-postgresql", "--timeout=90s")
	eventually(t, time.Minute, "executions are stored again", func(ctx context.Context) error {
		log, err := v.look(ctx)
		if err == nil && len(log.Stored) <= len(before.Stored)+10 {
			err = fmt.Errorf("%d are stored", len(log.Stored))
		}
		return err
	})
	// Its Pod has retried.
	r.madeLate(t, due)
}

// resolvesWithin limits the time until a burn-rate alert resolves after its fault: the errors must leave the window of
// five minutes, and the alert is kept for ten. The rest is for evaluation and notification.
const resolvesWithin = 18 * time.Minute

// testResolved waits until the alert of testAlerts resolves.
func testResolved(t *testing.T, _ *release, v visitor) {
	if testing.Short() {
		t.Skip("an alert by burn rate takes a quarter of an hour to resolve")
	}
	needMonitoring(t)
	eventually(t, resolvesWithin, "WatchbillErrorRateHigh resolves and the receiver is notified", func(ctx context.Context) error {
		return v.noticed(ctx, "WatchbillErrorRateHigh", "resolved")
	})
}

// pollsGoOn checks that polls are served from memory, except those of agents whose deployments changed just before the
// database stopped.
func pollsGoOn(t *testing.T, v visitor) {
	t.Helper()
	before, err := v.look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, "agents polled 100 times without the database", func(ctx context.Context) error {
		log, err := v.look(ctx)
		if err == nil && log.Statuses[304] < before.Statuses[304]+100 {
			err = fmt.Errorf("statuses %v", log.Statuses)
		}
		return err
	})
	log, err := v.look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	refused := map[string]bool{}
	for _, failure := range log.Failures {
		if strings.HasPrefix(failure.Request, "GET ") {
			refused[failure.Request] = true
		}
	}
	t.Logf("%d of 20 agents' polls failed", len(refused))
	if len(refused) > 4 {
		t.Errorf("the polls of %d of 20 agents failed: %v", len(refused), refused)
	}
}
