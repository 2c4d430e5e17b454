// Package kubetest gives tests a real Kubernetes API server: kube-apiserver and etcd, without nodes or controllers.
package kubetest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// buildTimeout is for building the API server on a machine that has none yet.
const buildTimeout = 20 * time.Minute

// Cluster is a running API server.
type Cluster struct {
	// Config reaches it as an administrator.
	Config *rest.Config
	env    *envtest.Environment
}

// Options say what the API server knows from the start.
type Options struct {
	// CRDs are files or folders of CustomResourceDefinitions, relative to the tree's root.
	CRDs []string
}

// Start starts an API server, for TestMain to share among a package's tests. Stop must be called.
func Start(opts Options) (*Cluster, error) {
	assets, err := programs()
	if err != nil {
		return nil, err
	}
	env := &envtest.Environment{
		BinaryAssetsDirectory:    assets,
		ErrorIfCRDPathMissing:    true,
		ControlPlaneStartTimeout: time.Minute,
		ControlPlaneStopTimeout:  time.Minute,
	}
	for _, path := range opts.CRDs {
		env.CRDDirectoryPaths = append(env.CRDDirectoryPaths, filepath.Join(Root(), path))
	}
	config, err := env.Start()
	if err != nil {
		return nil, fmt.Errorf("start an API server: %w", err)
	}
	return &Cluster{Config: config, env: env}, nil
}

// Stop stops the API server and waits for it to be gone.
func (c *Cluster) Stop() error { return c.env.Stop() }

// Environment is what started the API server.
func (c *Cluster) Environment() *envtest.Environment { return c.env }

// Root is the tree's root.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

// programs returns the folder of the API server's programs. `make test` has it in KUBEBUILDER_ASSETS.
func programs() (string, error) {
	if assets := os.Getenv("KUBEBUILDER_ASSETS"); assets != "" {
		return assets, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(Root(), "hack", "envtest")).Output()
	if err != nil {
		return "", fmt.Errorf("hack/envtest: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}
