// Package chart tests the Helm chart's output for many values with a real API server, Prometheus' programs, a real
// PostgreSQL, and the binary whose flags it sets.
package chart

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/testkit/kubetest"
	"github.com/watchbill/watchbill/internal/testkit/tree"
)

// kubeVersion is the Kubernetes version to render charts for. Helm's default is set by the linker, which this build
// does not do.
const kubeVersion = "1.34.0"

// operatorModule contains the CustomResourceDefinitions of the Prometheus operator.
const operatorModule = "github.com/prometheus-operator/prometheus-operator@v0.93.1"

// buildTimeout limits building tools that this machine lacks.
const buildTimeout = 15 * time.Minute

var (
	cluster *kubetest.Cluster
	scratch string // a folder shared by the tests
)

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	definitions, err := operatorDefinitions()
	if err == nil {
		scratch, err = os.MkdirTemp("", "watchbill-chart-")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(scratch) //nolint:errcheck // what is left in a temporary folder does no harm
	return kubetest.Main(m, &cluster, kubetest.Options{CRDs: definitions})
}

// operatorDefinitions returns the files in the module cache, relative to the tree's root.
func operatorDefinitions() ([]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, "go", "mod", "download", "-json", operatorModule).Output()
	if err != nil {
		return nil, fmt.Errorf("go mod download %s: %w: %s", operatorModule, err, out)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return nil, fmt.Errorf("go mod download: %w", err)
	}
	root, err := filepath.Abs(tree.Root())
	if err != nil {
		return nil, err
	}
	var files []string
	for _, kind := range []string{"prometheuses", "prometheusrules", "servicemonitors"} {
		file := filepath.Join(module.Dir, "example", "prometheus-operator-crd", "monitoring.coreos.com_"+kind+".yaml")
		relative, err := filepath.Rel(root, file)
		if err != nil {
			return nil, err
		}
		files = append(files, relative)
	}
	return files, nil
}

// inTree returns a path in the tree.
func inTree(elements ...string) string {
	return filepath.Join(append([]string{tree.Root()}, elements...)...)
}

func chartFile(elements ...string) string {
	return inTree(append([]string{"charts", "watchbill"}, elements...)...)
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func writeFile(t *testing.T, name, content string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// tools caches the paths of tools.
var tools sync.Map

// tool returns the path of a pinned tool.
func tool(t *testing.T, name string) string {
	t.Helper()
	if path, ok := tools.Load(name); ok {
		return path.(string)
	}
	ctx, cancel := context.WithTimeout(t.Context(), buildTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, inTree("hack", "tool"), "--path", name).Output()
	if err != nil {
		t.Fatalf("hack/tool --path %s: %v", name, err)
	}
	path := strings.TrimSpace(string(out))
	tools.Store(name, path)
	return path
}

// run runs a program and returns its combined output.
func run(t *testing.T, program string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// helm runs Helm without the user's settings, as an administrator of the cluster.
func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return helmOf(t, "helm", args...)
}

// helmOf is helm with one of several versions of Helm.
func helmOf(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), tool(t, name), args...)
	home := filepath.Join(scratch, name)
	cmd.Env = append(os.Environ(),
		"HELM_CACHE_HOME="+filepath.Join(home, "cache"), "HELM_CONFIG_HOME="+filepath.Join(home, "config"), "HELM_DATA_HOME="+filepath.Join(home, "data"),
		"KUBECONFIG="+writeFile(t, "kubeconfig", string(cluster.Environment().KubeConfig)),
	)
	var out, complaints strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("helm %s: %w: %s", args[0], err, strings.TrimSpace(complaints.String()))
	}
	return out.String(), nil
}

func mustHelm(t *testing.T, args ...string) string {
	t.Helper()
	out, err := helm(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// watchbill returns the path of the binary, which it builds once.
func watchbill(t *testing.T) string {
	t.Helper()
	program, err := builtBinary()
	if err != nil {
		t.Fatal(err)
	}
	return program
}

var builtBinary = sync.OnceValues(func() (string, error) {
	program := filepath.Join(scratch, "watchbill")
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", program, "./cmd/watchbill")
	build.Dir = tree.Root()
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/watchbill: %w: %s", err, out)
	}
	return program, nil
})
