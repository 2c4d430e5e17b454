//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/test/e2e/visit"
)

const (
	mainNamespace  = "watchbill-e2e"
	otherNamespace = "watchbill-e2e-other"
	pendingRoute   = "/api/deployments/pending/{agent_id}"
)

// TestWatchbill tests the life of an installation as documented, with the chart's defaults except for the images and a
// second controller. Its chapters run in order.
func TestWatchbill(t *testing.T) {
	t.Parallel()
	t.Cleanup(func() {
		if cluster.keep {
			return
		}
		if _, err := tryKubectl(context.Background(), "", "delete", "crd", definition, "--ignore-not-found", "--timeout=60s"); err != nil {
			t.Error(err)
		}
	})
	r := install(t, mainNamespace, "--set", "controller.replicas=2")
	makeNamespace(t, otherNamespace)
	kubectl(t, claim("reports"), "-n", r.namespace, "apply", "-f", "-")
	v := r.invite(t, "reports")
	for _, chapter := range []struct {
		name string
		tell func(*testing.T, *release, visitor)
	}{
		{"Installed", testInstalled},
		{"Fleet", testFleet},
		{"Monitored", testMonitored},
		{"Reports", testReports},
		{"Alerts", testAlerts},
		{"Late", testLate},
		{"Resolved", testResolved},
		{"Uninstalled", testUninstalled},
	} {
		if !t.Run(chapter.name, func(t *testing.T) {
			began := time.Now()
			chapter.tell(t, r, v)
			t.Logf("%5.1f s for %s", time.Since(began).Seconds(), chapter.name)
		}) {
			return // the next ones depend on it
		}
	}
}

func claim(name string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: %s}\n"+
		"spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 100Mi}}}\n", name)
}

// testInstalled checks what the chart created, and runs Helm's tests.
func testInstalled(t *testing.T, r *release, _ visitor) {
	for _, want := range []struct {
		kind  string
		list  client.ObjectList
		names []string
	}{
		{"Deployments", &appsv1.DeploymentList{}, []string{"watchbill-api", "watchbill-controller"}},
		{"StatefulSets", &appsv1.StatefulSetList{}, []string{"watchbill-postgresql"}},
		{"PodDisruptionBudgets", &policyv1.PodDisruptionBudgetList{}, []string{"watchbill-api", "watchbill-controller"}},
		// This checks only that they exist; enforcing them is up to the network, and hack/cluster's does not.
		{"NetworkPolicies", &networkingv1.NetworkPolicyList{}, []string{"watchbill-api", "watchbill-controller", "watchbill-postgresql", "watchbill-test"}},
	} {
		if err := cluster.List(t.Context(), want.list, client.InNamespace(r.namespace)); err != nil {
			t.Fatal(err)
		}
		if got := namesOf(t, want.list); !slices.Equal(got, want.names) {
			t.Errorf("%s %v, want %v", want.kind, got, want.names)
		}
	}
	if n := len(r.replicas(t.Context(), t)); n != 2 {
		t.Errorf("%d replicas are ready, want 2", n)
	}
	for _, pod := range pods(t.Context(), t, r.namespace, "app.kubernetes.io/name=watchbill") {
		for _, c := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
			t.Logf("%s %s was started %d times", pod.Name, c.Name, 1+c.RestartCount)
		}
	}
	began := time.Now()
	if out := r.helm(t, "test", "--timeout", "2m"); !strings.Contains(out, "Phase:          Succeeded") {
		t.Errorf("helm test says:\n%s", out)
	}
	t.Logf("%5.1f s to helm test", time.Since(began).Seconds())
	var health openapi.Health
	r.api(t).must(t, "GET", "/api/health", nil, &health)
	if health.Status != openapi.HealthStatusOk || health.Version != "e2e" {
		t.Errorf("health is %s, version %s", health.Status, health.Version)
	}
}

func namesOf(t *testing.T, list client.ObjectList) (names []string) {
	t.Helper()
	objects, err := objectsOf(list)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		names = append(names, o.GetName())
	}
	slices.Sort(names)
	return names
}

// testFleet starts agents against the Service. They continue in the following chapters.
func testFleet(t *testing.T, r *release, v visitor) {
	v.send(t, r, visit.Fleet{Name: "edge", Agents: 20, DeployEveryMS: 1000, ExecuteEveryMS: 200})
	eventually(t, 30*time.Second, "both replicas are polled", func(ctx context.Context) error {
		replicas := r.replicas(ctx, t)
		if len(replicas) != 2 {
			return fmt.Errorf("%d replicas are ready", len(replicas))
		}
		for _, pod := range replicas {
			polls, err := metrics(ctx, r.namespace, pod.Name, "watchbill_http_requests_total", map[string]string{"route": pendingRoute})
			if err != nil {
				return err
			}
			if polls < 20 {
				return fmt.Errorf("%s was polled %.0f times", pod.Name, polls)
			}
		}
		return nil
	})
	eventually(t, 30*time.Second, "ten deployments are done", func(ctx context.Context) error {
		log, err := v.look(ctx)
		if err == nil && len(log.Runs) < 10 {
			err = fmt.Errorf("%d were run", len(log.Runs))
		}
		return err
	})
	log, err := v.look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if log.Failed > 0 {
		t.Errorf("%d requests failed: %v", log.Failed, log.Failures)
	}
	runOnce(t, log)
	var agents openapi.AgentList
	r.api(t).must(t, "GET", "/api/agents?state=online&label=fleet%3Dedge", nil, &agents)
	if len(agents.Agents) != 20 {
		t.Errorf("%d agents are online, want 20", len(agents.Agents))
	}
}

// runOnce checks that no deployment was run more than once.
func runOnce(t *testing.T, log visit.Log) {
	t.Helper()
	for id, runs := range log.Runs {
		if runs != 1 {
			t.Errorf("deployment %s was run %d times", id, runs)
		}
	}
}

// kept checks that every acknowledged execution is stored once, and that every acknowledged deployment was run once and
// succeeded. The fleet must be stopped.
func (r *release) kept(t *testing.T, log visit.Log, user string) {
	t.Helper()
	times := map[string]int{}
	for _, id := range r.sql(t, fmt.Sprintf("SELECT execution_id FROM agent_executions WHERE user_id = '%s'", user)) {
		times[id]++
	}
	for _, id := range log.Stored {
		if times[id] != 1 {
			t.Errorf("execution %s is stored %d times", id, times[id])
		}
	}
	states := map[string]string{}
	for _, line := range r.sql(t, "SELECT id || '|' || status || '|' || attempt FROM deployments") {
		id, state, _ := strings.Cut(line, "|")
		states[id] = state
	}
	for _, id := range log.Deployed {
		state, runs := states[id], log.Runs[id]
		if state != "succeeded|1" || runs != 1 {
			t.Errorf("deployment %s was run %d times and is %q", id, runs, state)
		}
	}
	t.Logf("%d requests: %v, %d broken connections; %d executions and %d deployments acknowledged",
		log.Requests, log.Statuses, log.Broken, len(log.Stored), len(log.Deployed))
}

// testUninstalled checks that what remains is what docs/install.md lists.
func testUninstalled(t *testing.T, r *release, v visitor) {
	stoppedSince(t, r)
	log := v.dismiss(t)
	runOnce(t, log)
	r.kept(t, log, "edge")
	r.helm(t, "uninstall", "--wait", "--timeout", "2m")
	for _, want := range []struct {
		what  string
		key   client.ObjectKey
		into  client.Object
		stays bool
	}{
		{"a MonitoringReport", client.ObjectKey{Namespace: r.namespace, Name: "minutely"}, &v1alpha1.MonitoringReport{}, true},
		{"its ServiceAccount", client.ObjectKey{Namespace: r.namespace, Name: "watchbill-report"}, &corev1.ServiceAccount{}, true},
		{"the database's volume", client.ObjectKey{Namespace: r.namespace, Name: "data-watchbill-postgresql-0"}, &corev1.PersistentVolumeClaim{}, true},
		{"the Secret that opens it", client.ObjectKey{Namespace: r.namespace, Name: "watchbill-postgresql"}, &corev1.Secret{}, true},
		{"the Secret with the tokens", client.ObjectKey{Namespace: r.namespace, Name: "watchbill-tokens"}, &corev1.Secret{}, false},
		{"the API", client.ObjectKey{Namespace: r.namespace, Name: "watchbill-api"}, &appsv1.Deployment{}, false},
		{"the controller", client.ObjectKey{Namespace: r.namespace, Name: "watchbill-controller"}, &appsv1.Deployment{}, false},
	} {
		err := cluster.Get(t.Context(), want.key, want.into)
		if err != nil && !apierrors.IsNotFound(err) {
			t.Fatal(err)
		}
		if stays := err == nil; stays != want.stays {
			t.Errorf("%s: stays %t, want %t", want.what, stays, want.stays)
		}
	}
	for _, kind := range []string{"clusterrole", "clusterrolebinding"} {
		if out := kubectl(t, "", "get", kind, "-o", "name"); strings.Contains(out, r.namespace+"-watchbill") {
			t.Errorf("there are still %ss of the release: %s", kind, out)
		}
	}
	// The reports' objects are deleted with the reports.
	kubectl(t, "", "-n", r.namespace, "delete", "mrep", "--all", "--timeout=30s")
	eventually(t, 30*time.Second, "the CronJobs are gone with their MonitoringReports", func(ctx context.Context) error {
		out, err := tryKubectl(ctx, "", "-n", r.namespace, "get", "cronjobs,prometheusrules", "-l", "app.kubernetes.io/name=watchbill-report", "-o", "name")
		if err == nil && out != "" {
			err = errors.New(out)
		}
		return err
	})
}
