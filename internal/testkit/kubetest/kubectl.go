package kubetest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// prepareKubectl writes the files that kubectl needs to connect to the cluster.
func (c *Cluster) prepareKubectl() error {
	if err := os.WriteFile(filepath.Join(c.folder, "kubeconfig"), c.env.KubeConfig, 0o600); err != nil {
		return fmt.Errorf("prepare for kubectl: %w", err)
	}
	return nil
}

// Kubectl runs kubectl as an administrator of the cluster with stdin as its input, and returns its output. If it fails,
// the error holds its messages.
func (c *Cluster) Kubectl(t testing.TB, stdin string, args ...string) (string, error) {
	t.Helper()
	args = append([]string{"--kubeconfig", filepath.Join(c.folder, "kubeconfig"), "--cache-dir", filepath.Join(c.folder, "cache")}, args...)
	var stderr strings.Builder
	kubectl := exec.CommandContext(t.Context(), filepath.Join(c.env.BinaryAssetsDirectory, "kubectl"), args...)
	kubectl.Stdin = strings.NewReader(stdin)
	kubectl.Stderr = &stderr
	out, err := kubectl.Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		err = errors.New(strings.TrimSpace(stderr.String()))
	}
	return string(out), err
}
