package config_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/kube/desired"
	"github.com/watchbill/watchbill/internal/testkit/tree"
)

// applied applies a folder of config to the cluster, or only validates it if args include a dry run.
func applied(t *testing.T, folder string, args ...string) {
	t.Helper()
	args = append([]string{"apply", "--server-side", "--validate=strict", "-f", "-"}, args...)
	if _, err := cluster.Kubectl(t, rendered(t, folder), args...); err != nil {
		t.Fatalf("config/%s: %v", folder, err)
	}
}

// TestApply checks that the API server accepts all folders, and that applying default again changes nothing.
func TestApply(t *testing.T) {
	folders, err := os.ReadDir(tree.Root() + "/config")
	if err != nil {
		t.Fatal(err)
	}
	applied(t, "default") // creates the namespace
	for _, folder := range folders {
		if !folder.IsDir() {
			continue
		}
		applied(t, folder.Name(), "--dry-run=server")
	}
	before := generations(t)
	applied(t, "default")
	if after := generations(t); before != after {
		t.Errorf("applied again, the generations changed from\n%s\nto\n%s", before, after)
	}
}

func generations(t *testing.T) string {
	t.Helper()
	out, err := cluster.Kubectl(t, "", "get", "deployments,services", "-n", namespace, "-o",
		`jsonpath={range .items[*]}{.metadata.name} {.metadata.generation}{"\n"}{end}`)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestDefaultIsWhole checks that default has all objects but the ServiceMonitors, in one namespace.
func TestDefaultIsWhole(t *testing.T) {
	t.Parallel()
	var want, got []string
	for _, folder := range []string{"crd", "rbac", "manager"} {
		for _, object := range objects(t, folder) {
			want = append(want, object.GetKind()+" "+object.GetName())
		}
	}
	for _, object := range objects(t, "default") {
		got = append(got, object.GetKind()+" "+object.GetName())
		if in := object.GetNamespace(); in != "" && in != namespace {
			t.Errorf("%s %s is in %s", object.GetKind(), object.GetName(), in)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestRolesAreNarrow checks that roles contain no wildcards, no Secrets and no verbs that escalate privileges.
func TestRolesAreNarrow(t *testing.T) {
	t.Parallel()
	for _, role := range append(decoded[rbacv1.ClusterRole](t, "default", "ClusterRole"), clusterRoles(decoded[rbacv1.Role](t, "default", "Role"))...) {
		for _, rule := range role.Rules {
			for _, part := range slices.Concat(rule.APIGroups, rule.Resources, rule.Verbs, rule.NonResourceURLs) {
				if strings.Contains(part, "*") || part == "secrets" || part == "escalate" || part == "bind" || part == "impersonate" {
					t.Errorf("%s grants %q: %+v", role.Name, part, rule)
				}
			}
		}
	}
}

func clusterRoles(roles []rbacv1.Role) []rbacv1.ClusterRole {
	var all []rbacv1.ClusterRole
	for _, role := range roles {
		all = append(all, rbacv1.ClusterRole{ObjectMeta: role.ObjectMeta, Rules: role.Rules})
	}
	return all
}

// TestPodsAreRestricted checks that the namespace rejects Pods that are not restricted and admits those of config.
func TestPodsAreRestricted(t *testing.T) {
	applied(t, "default")
	pod := func(template corev1.PodTemplateSpec) error {
		text, err := yaml.Marshal(corev1.Pod{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
			ObjectMeta: metav1.ObjectMeta{Name: "trial", Namespace: namespace, Labels: template.Labels},
			Spec:       template.Spec,
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = cluster.Kubectl(t, string(text), "create", "--dry-run=server", "--validate=strict", "-f", "-")
		return err
	}
	for _, deployment := range decoded[appsv1.Deployment](t, "default", "Deployment") {
		if err := pod(deployment.Spec.Template); err != nil {
			t.Errorf("%s: %v", deployment.Name, err)
		}
		deployment.Spec.Template.Spec.Containers[0].SecurityContext = nil
		if err := pod(deployment.Spec.Template); err == nil || !strings.Contains(err.Error(), "restricted") {
			t.Errorf("%s without security context: got %v, want it refused", deployment.Name, err)
		}
		for _, container := range slices.Concat(deployment.Spec.Template.Spec.InitContainers, deployment.Spec.Template.Spec.Containers) {
			if container.Resources.Requests.Memory().IsZero() || container.Resources.Limits.Memory().IsZero() {
				t.Errorf("%s: %s has no bound of memory", deployment.Name, container.Name)
			}
		}
	}
}

// TestOneImage checks that all containers, including those of the reports' Pods, have the same image.
func TestOneImage(t *testing.T) {
	t.Parallel()
	images := map[string]bool{}
	for _, deployment := range decoded[appsv1.Deployment](t, "default", "Deployment") {
		for _, container := range slices.Concat(deployment.Spec.Template.Spec.InitContainers, deployment.Spec.Template.Spec.Containers) {
			images[container.Image] = true
			for _, env := range container.Env {
				if env.Name == "WATCHBILL_IMAGE" {
					images[env.Value] = true
				}
			}
		}
	}
	if len(images) != 1 || !images["watchbill/watchbill:latest"] {
		t.Errorf("got the images %v, want one", images)
	}
}

// TestSelectors checks that Services and ServiceMonitors select existing ports and jobs.
func TestSelectors(t *testing.T) {
	t.Parallel()
	ports := map[string]map[string]bool{} // of Pods, by component
	for _, deployment := range decoded[appsv1.Deployment](t, "default", "Deployment") {
		component := deployment.Spec.Template.Labels["app.kubernetes.io/component"]
		ports[component] = map[string]bool{}
		for _, port := range deployment.Spec.Template.Spec.Containers[0].Ports {
			ports[component][port.Name] = true
		}
	}
	jobs := map[string]bool{}
	for _, service := range decoded[corev1.Service](t, "default", "Service") {
		if job := service.Labels["monitoring.watchbill.dev/job"]; job != "" {
			jobs[job] = true
		}
		for _, port := range service.Spec.Ports {
			if !ports[service.Spec.Selector["app.kubernetes.io/component"]][port.TargetPort.StrVal] {
				t.Errorf("%s leads to the port %s, which no container has", service.Name, port.TargetPort.StrVal)
			}
		}
	}
	for _, monitor := range objects(t, "prometheus") {
		selector := monitor.Object["spec"].(map[string]any)["selector"].(map[string]any)["matchLabels"].(map[string]any)
		if job := selector["monitoring.watchbill.dev/job"].(string); !jobs[job] {
			t.Errorf("%s selects the job %s, which no Service is", monitor.GetName(), job)
		}
	}
}

// TestSamples checks that the samples are valid and have alerts.
func TestSamples(t *testing.T) {
	t.Parallel()
	reports := decoded[v1alpha1.MonitoringReport](t, "samples", "MonitoringReport")
	if len(reports) != 3 {
		t.Errorf("got %d samples, want 3", len(reports))
	}
	for _, mr := range reports {
		if err := desired.Check(desired.Resolve(&mr), time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)); err != nil {
			t.Errorf("%s: %v", mr.Name, err)
		}
		rule, _, err := desired.PrometheusRule(desired.Resolve(&mr), desired.Options{})
		if err != nil || rule == nil || len(rule.Spec.Groups) == 0 {
			t.Errorf("%s: got the rules %+v, error %v", mr.Name, rule, err)
		}
	}
}
