package config_test

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/watchbill/watchbill/internal/testkit/tree"
)

// TestProgram checks that the program accepts the containers' arguments, has flags for their variables, and makes rules
// for the samples.
func TestProgram(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "watchbill")
	run(t, "", "go", "build", "-buildvcs=false", "-o", program, "./cmd/watchbill")
	for _, deployment := range decoded[appsv1.Deployment](t, "default", "Deployment") {
		pod := deployment.Spec.Template.Spec
		for _, container := range slices.Concat(pod.InitContainers, pod.Containers) {
			help := run(t, "", program, append(slices.Clone(container.Args), "--help")...)
			for _, variable := range container.Env {
				name, ours := strings.CutPrefix(variable.Name, "WATCHBILL_")
				if flag := "--" + strings.ToLower(strings.ReplaceAll(name, "_", "-")) + " "; ours && !strings.Contains(help, flag) {
					t.Errorf("%s: %s has the variable %s, and the program no %s", deployment.Name, container.Name, variable.Name, flag)
				}
			}
		}
	}
	made := run(t, rendered(t, "samples"), program, "rules", "--file", "-")
	for _, report := range []string{"daily", "weekly", "budget"} {
		if !strings.Contains(made, "report: "+report+"\n") {
			t.Errorf("watchbill rules makes none of %s", report)
		}
	}
}

// run runs a program in the root of the repository and returns its output.
func run(t *testing.T, stdin, program string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), program, args...)
	command.Dir = tree.Root()
	command.Stdin = strings.NewReader(stdin)
	var stderr strings.Builder
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s %s: %v: %s%s", program, strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out)
}
