package chart

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"
)

// namespaces are those used by the permutations.
var namespaces = []string{"fleet", "team-a", "team-b", "monitoring"}

func client(t *testing.T) kubernetes.Interface {
	t.Helper()
	c, err := kubernetes.NewForConfig(cluster.Config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func kubectl(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out, err := cluster.Kubectl(t, stdin, args...)
	if err != nil {
		t.Fatalf("kubectl %s: %v", strings.Join(args, " "), err)
	}
	return out
}

// makeNamespace creates a namespace if it does not exist.
func makeNamespace(t *testing.T, name string, labels ...string) {
	t.Helper()
	text := fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: %s\n  labels: {%s}\n", name, strings.Join(labels, ","))
	kubectl(t, text, "apply", "--server-side", "-f", "-")
}

// TestServerTakesIt has a real API server check every object in a dry run: unknown fields are errors. It does not know
// CloudNativePG's Cluster, whose fields were checked by eye.
func TestServerTakesIt(t *testing.T) {
	for _, namespace := range namespaces {
		makeNamespace(t, namespace)
	}
	for _, p := range permutations(t) {
		t.Run(p.name, func(t *testing.T) {
			var known strings.Builder
			count := 0
			for _, text := range documents(t, p.manifests) {
				if !strings.Contains(text, "apiVersion: postgresql.cnpg.io/v1") {
					fmt.Fprintf(&known, "---\n%s", text)
				}
			}
			for _, object := range objects(t, known.String()) {
				if object.GetKind() != "" {
					count++
				}
			}
			out := kubectl(t, known.String(), "apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "-f", "-")
			if lines := strings.Count(out, "serverside-applied"); lines != count || count == 0 {
				t.Errorf("%d objects, the server took:\n%s", count, out)
			}
		})
	}
}

// TestRestricted has the API server admit every Pod to a namespace with the restricted Pod Security Standard.
func TestRestricted(t *testing.T) {
	t.Parallel()
	const namespace = "restricted"
	makeNamespace(t, namespace, "pod-security.kubernetes.io/enforce: restricted")
	pods := client(t).CoreV1().Pods(namespace)
	dryRun := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	careless := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "careless"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
	if _, err := pods.Create(t.Context(), careless, dryRun); err == nil {
		t.Fatal("the server admits any Pod")
	}
	for _, p := range permutations(t) {
		for _, object := range objects(t, p.manifests) {
			template, ok := pod(t, object)
			if !ok {
				continue
			}
			made := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "made", Labels: template.Labels}, Spec: template.Spec}
			made.Spec.PriorityClassName = "" // which is allowed in kube-system only
			if _, err := pods.Create(t.Context(), made, dryRun); err != nil {
				t.Errorf("%s: %s %s: %v", p.name, object.GetKind(), object.GetName(), err)
			}
			for _, c := range template.Spec.Containers {
				if c.SecurityContext == nil || c.SecurityContext.ReadOnlyRootFilesystem == nil || !*c.SecurityContext.ReadOnlyRootFilesystem {
					t.Errorf("%s: container %s of %s may write to its root", p.name, c.Name, object.GetName())
				}
			}
			wantToken := object.GetKind() == "Deployment" && p.name != "external"
			if got := *template.Spec.AutomountServiceAccountToken; got != wantToken {
				t.Errorf("%s: %s has a Kubernetes token: %t, want %t", p.name, object.GetName(), got, wantToken)
			}
		}
	}
}

// TestSelectors checks that label selectors match Pods, and that the ports of Services and monitors exist.
func TestSelectors(t *testing.T) {
	t.Parallel()
	for _, p := range permutations(t) {
		all := objects(t, p.manifests)
		var templates []corev1.PodTemplateSpec
		for _, object := range all {
			if template, ok := pod(t, object); ok {
				templates = append(templates, template)
			}
		}
		selected := func(labels map[string]string) (found []corev1.PodTemplateSpec) {
			for _, template := range templates {
				if containsAll(template.Labels, labels) {
					found = append(found, template)
				}
			}
			return found
		}
		for _, object := range all {
			path := map[string][]string{
				"Service": {"spec", "selector"}, "PodDisruptionBudget": {"spec", "selector", "matchLabels"}, "NetworkPolicy": {"spec", "podSelector", "matchLabels"},
				"Deployment": {"spec", "selector", "matchLabels"}, "StatefulSet": {"spec", "selector", "matchLabels"},
			}[object.GetKind()]
			if path == nil {
				continue
			}
			labels, _, err := unstructured.NestedStringMap(object.Object, path...)
			if err != nil {
				t.Fatal(err)
			}
			if labels["app.kubernetes.io/name"] == "watchbill-report" { // its Pods are created by the controller
				continue
			}
			found := selected(labels)
			if len(found) != 1 {
				t.Errorf("%s: %s %s selects %d kinds of Pods by %v", p.name, object.GetKind(), object.GetName(), len(found), labels)
				continue
			}
			if object.GetKind() == "Service" {
				checkPorts(t, p.name, object, found[0])
			}
		}
		for _, object := range all {
			if object.GetKind() == "ServiceMonitor" {
				checkMonitor(t, p.name, object, all)
			}
		}
	}
}

func containsAll(labels, wanted map[string]string) bool {
	for name, value := range wanted {
		if labels[name] != value {
			return false
		}
	}
	return len(wanted) > 0
}

func checkPorts(t *testing.T, name string, service *unstructured.Unstructured, template corev1.PodTemplateSpec) {
	t.Helper()
	ports, _, err := unstructured.NestedSlice(service.Object, "spec", "ports")
	if err != nil || len(ports) == 0 {
		t.Fatalf("%s has ports %v, %v", service.GetName(), ports, err)
	}
	for _, port := range ports {
		target := port.(map[string]any)["targetPort"]
		there := false
		for _, p := range template.Spec.Containers[0].Ports {
			there = there || p.Name == target
		}
		if !there {
			t.Errorf("%s: Service %s leads to a port %v that no container has", name, service.GetName(), target)
		}
	}
}

// checkMonitor checks that a ServiceMonitor selects one Service, with the port and the label that names the job.
func checkMonitor(t *testing.T, name string, monitor *unstructured.Unstructured, all []*unstructured.Unstructured) {
	t.Helper()
	labels, _, _ := unstructured.NestedStringMap(monitor.Object, "spec", "selector", "matchLabels")
	jobLabel, _, _ := unstructured.NestedString(monitor.Object, "spec", "jobLabel")
	if classic, _, _ := unstructured.NestedBool(monitor.Object, "spec", "scrapeClassicHistograms"); !classic {
		t.Errorf("%s: %s does not scrape classic histograms", name, monitor.GetName())
	}
	var jobs []string
	for _, object := range all {
		if job, ok := object.GetLabels()[jobLabel]; object.GetKind() == "Service" && ok && containsAll(object.GetLabels(), labels) {
			jobs = append(jobs, job)
		}
	}
	if len(jobs) != 1 || jobs[0] != monitor.GetName() {
		t.Errorf("%s: ServiceMonitor %s finds Services of the jobs %v", name, monitor.GetName(), jobs)
	}
}

var sample = regexp.MustCompile(`(?s)kubectl apply -f - <<EOF\n(.*?\n)EOF\n`)

// TestNotes renders Helm's notes after an installation, and has the API server check the report that they propose.
func TestNotes(t *testing.T) {
	for _, namespace := range namespaces {
		makeNamespace(t, namespace)
	}
	for _, p := range permutations(t) {
		if p.name == "cloudnativepg" || p.plain {
			continue // kinds that the server does not know, and does know
		}
		t.Run(p.name, func(t *testing.T) {
			out := mustHelm(t, "install", "noted-"+p.name, chartFile(), "--namespace", "fleet", "--values", p.values(), "--dry-run=server",
				"--set", "crds.enabled=false", "--set", "fullnameOverride=noted-"+p.name)
			_, notes, ok := strings.Cut(out, "\nNOTES:\n")
			if !ok {
				t.Fatal("there are no notes")
			}
			compare(t, "testdata/"+p.name+".notes.txt", notes)
			if report := sample.FindStringSubmatch(notes); report != nil {
				checkReport(t, report[1])
			}
		})
	}
}

// checkReport has the API server check a MonitoringReport, after its definition is applied.
func checkReport(t *testing.T, text string) {
	t.Helper()
	if err := applyDefinition(t); err != nil {
		t.Fatal(err)
	}
	kubectl(t, text, "apply", "--dry-run=server", "--validate=strict", "-f", "-")
}

// TestLifecycle installs, upgrades, uninstalls and installs again: generated secrets are kept, and so is data.
func TestLifecycle(t *testing.T) {
	const namespace = "lifecycle"
	makeNamespace(t, namespace)
	release := func(verb string, args ...string) {
		t.Helper()
		mustHelm(t, append([]string{verb, "wb", chartFile(), "--namespace", namespace, "--set", "crds.enabled=false"}, args...)...)
	}
	secrets := func(name string) map[string][]byte {
		t.Helper()
		secret, err := client(t).CoreV1().Secrets(namespace).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return secret.Data
	}

	release("install")
	tokens, database := secrets("wb-watchbill-tokens"), secrets("wb-watchbill-postgresql")
	for _, key := range []string{"admin-token", "enrollment-token", "ingest-token"} {
		if len(tokens[key]) != 40 {
			t.Errorf("%s is %q", key, tokens[key])
		}
	}
	if string(tokens["admin-token"]) == string(tokens["ingest-token"]) {
		t.Error("two tokens are the same")
	}
	if url := string(database["url"]); url != fmt.Sprintf("postgres://watchbill:%s@wb-watchbill-postgresql.%s.svc:5432/watchbill?sslmode=disable", database["password"], namespace) {
		t.Errorf("the database's URL is %s", url)
	}

	release("upgrade", "--set", "api.replicas=3", "--set", "tokens.ingest=chosen")
	upgraded := secrets("wb-watchbill-tokens")
	if string(upgraded["admin-token"]) != string(tokens["admin-token"]) || string(upgraded["enrollment-token"]) != string(tokens["enrollment-token"]) {
		t.Error("an upgrade makes other tokens")
	}
	if string(upgraded["ingest-token"]) != "chosen" {
		t.Errorf("the ingest token is %q, want what the values say", upgraded["ingest-token"])
	}
	if after := secrets("wb-watchbill-postgresql"); string(after["url"]) != string(database["url"]) || string(after["superuser-password"]) != string(database["superuser-password"]) {
		t.Error("an upgrade makes other passwords")
	}

	mustHelm(t, "uninstall", "wb", "--namespace", namespace)
	if _, err := client(t).CoreV1().Secrets(namespace).Get(t.Context(), "wb-watchbill-tokens", metav1.GetOptions{}); err == nil {
		t.Error("the tokens are left behind")
	}
	release("install")
	if after := secrets("wb-watchbill-postgresql"); string(after["password"]) != string(database["password"]) {
		t.Error("the data that stay could not be opened: a new installation makes another password")
	}
	if after := secrets("wb-watchbill-tokens"); base64.StdEncoding.EncodeToString(after["admin-token"]) == base64.StdEncoding.EncodeToString(tokens["admin-token"]) {
		t.Error("a new installation has the old tokens")
	}
	mustHelm(t, "uninstall", "wb", "--namespace", namespace)
}

// applyDefinition applies the CustomResourceDefinition as the chart does.
func applyDefinition(t *testing.T) error {
	t.Helper()
	definition := render(t, "--show-only", "templates/crds.yaml")
	if _, err := cluster.Kubectl(t, definition, "apply", "--server-side", "--force-conflicts", "-f", "-"); err != nil {
		return err
	}
	_, err := cluster.Kubectl(t, "", "wait", "--for=condition=Established", "--timeout=30s", "crd/monitoringreports.monitoring.watchbill.dev")
	return err
}
