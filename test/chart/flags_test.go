package chart

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/watchbill/watchbill/internal/execution/gateway"
	"github.com/watchbill/watchbill/internal/fleet/enrollment"
)

var flagInHelp = regexp.MustCompile(`(?m)^ +(?:-\w, +|    +)?--([a-z0-9-]+)`)

// flagsOf returns a command's flags, sorted.
func flagsOf(t *testing.T, command ...string) []string {
	t.Helper()
	help, err := run(t, watchbill(t), append(command, "--help")...)
	if err != nil {
		t.Fatalf("%v: %s", err, help)
	}
	var flags []string
	for _, match := range flagInHelp.FindAllStringSubmatch(help, -1) {
		flags = append(flags, match[1])
	}
	if len(flags) < 2 {
		t.Fatalf("no flags in the help of %v:\n%s", command, help)
	}
	slices.Sort(flags)
	return slices.Compact(flags)
}

// pod returns the Pod template of an object, or the Pod.
func pod(t *testing.T, object *unstructured.Unstructured) (template corev1.PodTemplateSpec, ok bool) {
	t.Helper()
	var fields map[string]any
	switch object.GetKind() {
	case "Deployment", "StatefulSet":
		fields, ok, _ = unstructured.NestedMap(object.Object, "spec", "template")
	case "Pod":
		fields, ok = object.Object, true
	}
	if !ok {
		return template, false
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(fields, &template); err != nil {
		t.Fatal(err)
	}
	claims, _, err := unstructured.NestedSlice(object.Object, "spec", "volumeClaimTemplates")
	if err != nil {
		t.Fatal(err)
	}
	for _, claim := range claims { // the StatefulSet's controller creates volumes from them
		name, _, _ := unstructured.NestedString(claim.(map[string]any), "metadata", "name")
		template.Spec.Volumes = append(template.Spec.Volumes, corev1.Volume{
			Name: name, VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name + "-0"}},
		})
	}
	return template, true
}

// TestArguments checks that the program accepts the arguments of every container that runs it, and has a flag for every
// variable with its prefix.
func TestArguments(t *testing.T) {
	t.Parallel()
	short := map[string]string{"DATABASE_URL": "database-url", "ADMIN_TOKEN": "admin-token", "ENROLLMENT_TOKEN": "enrollment-token", "INGEST_TOKEN": "ingest-token"}
	commands := map[string]int{}
	for _, p := range permutations(t) {
		for _, object := range objects(t, p.manifests) {
			template, ok := pod(t, object)
			if !ok {
				continue
			}
			for _, c := range slices.Concat(template.Spec.InitContainers, template.Spec.Containers) {
				if !strings.Contains(c.Image, "watchbill/watchbill") && !strings.Contains(c.Image, "mirror/watchbill") {
					continue
				}
				if len(c.Args) == 0 || len(c.Command) > 0 {
					t.Errorf("%s: container %s of %s has command %q and arguments %q", p.name, c.Name, object.GetName(), c.Command, c.Args)
					continue
				}
				var args []string
				for _, arg := range c.Args {
					args = append(args, strings.ReplaceAll(arg, "$$(", "$(")) // like the kubelet
				}
				if out, err := run(t, watchbill(t), append(args, "--help")...); err != nil {
					t.Errorf("%s: %s %s: watchbill %s: %v: %s", p.name, object.GetName(), c.Name, strings.Join(args, " "), err, out)
				}
				command := args[:1]
				if args[0] == "migrate" {
					command = args[:2]
				}
				commands[args[0]]++
				flags := flagsOf(t, command...)
				for _, variable := range c.Env {
					name, ours := short[variable.Name]
					if suffix, ok := strings.CutPrefix(variable.Name, "WATCHBILL_"); ok {
						name, ours = strings.ToLower(strings.ReplaceAll(suffix, "_", "-")), true
					}
					if ours && !slices.Contains(flags, name) {
						t.Errorf("%s: %s %s has the variable %s, and watchbill %v no flag %s", p.name, object.GetName(), c.Name, variable.Name, command, name)
					}
				}
			}
		}
	}
	for _, command := range []string{"serve", "migrate", "controller", "report"} {
		if commands[command] == 0 {
			t.Errorf("no container runs watchbill %s", command)
		}
	}
}

// TestFiles checks that the program reads the agents, prices and enrollment tokens of the values.
func TestFiles(t *testing.T) {
	t.Parallel()
	all := objects(t, render(t, "--values", chartFile("ci", "full-values.yaml")))
	content := func(name, key string) string {
		t.Helper()
		text, ok, err := unstructured.NestedString(find(t, all, "ConfigMap", name).Object, "data", key)
		if !ok || err != nil {
			t.Fatalf("%s has no %s, %v", name, key, err)
		}
		return writeFile(t, key, text)
	}
	env := func(name string) (string, bool) { return "secret", name == "OPENAI_API_KEY" }
	if _, err := gateway.Watch(content("fleet-control-agents", "agents.yaml"), env, zap.NewNop()); err != nil {
		t.Error(err)
	}
	if _, err := enrollment.Open(enrollment.Options{File: content("fleet-control-enrollment", "enrollment.yaml")}); err != nil {
		t.Error(err)
	}
	if out, err := run(t, watchbill(t), "prices", "check", content("fleet-control-prices", "prices.yaml")); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// TestStopping checks that a Pod's grace period allows for the shutdown that it is configured for.
func TestStopping(t *testing.T) {
	t.Parallel()
	for _, p := range permutations(t) {
		for _, object := range objects(t, p.manifests) {
			template, ok := pod(t, object)
			if !ok || object.GetLabels()["app.kubernetes.io/component"] != "api" {
				continue
			}
			seconds := func(flag string) (n int64) {
				for _, arg := range template.Spec.Containers[0].Args {
					if value, ok := strings.CutPrefix(arg, "--"+flag+"="); ok {
						for _, digit := range strings.TrimSuffix(value, "s") {
							n = 10*n + int64(digit-'0')
						}
					}
				}
				return n
			}
			sum := seconds("shutdown-delay") + seconds("shutdown-timeout")
			if sum == 0 {
				t.Errorf("%s: no --shutdown-delay and --shutdown-timeout", p.name)
			}
			if hook := template.Spec.Containers[0].Lifecycle; hook != nil {
				if hook.PreStop.Sleep == nil {
					t.Errorf("%s: the image has nothing that a preStop could run", p.name)
				} else {
					sum += hook.PreStop.Sleep.Seconds
				}
			}
			if got := *template.Spec.TerminationGracePeriodSeconds; got <= sum {
				t.Errorf("%s: it is killed after %d s, and may take %d s to stop", p.name, got, sum)
			}
		}
	}
}
