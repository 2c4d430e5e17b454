// Package kubetest gives tests and benchmarks a real Kubernetes API server: kube-apiserver and etcd, without nodes or
// controllers. Only they import it.
package kubetest

import (
	"context"
	"encoding/json"
	"errors"
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
	folder string // of files that it and kubectl need
}

// Options say what the API server knows from the start.
type Options struct {
	// CRDs are files or folders of CustomResourceDefinitions; those that are not absolute are relative to the tree's root.
	CRDs []string
	// PrometheusOperator says that it knows the Prometheus operator's resources.
	PrometheusOperator bool
	// AuditLog is a file that it appends a line to for everything that anybody writes, an Event of audit.k8s.io/v1; empty: none.
	AuditLog string
}

// Start starts an API server, for TestMain to share among a package's tests (see Main). Stop must be called.
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
		if !filepath.IsAbs(path) {
			path = filepath.Join(Root(), path)
		}
		env.CRDDirectoryPaths = append(env.CRDDirectoryPaths, path)
	}
	if opts.PrometheusOperator {
		folder, err := operatorCRDs()
		if err != nil {
			return nil, err
		}
		env.CRDDirectoryPaths = append(env.CRDDirectoryPaths, folder)
	}
	folder, err := os.MkdirTemp("", "kubetest-")
	if err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	c := &Cluster{env: env, folder: folder}
	if opts.AuditLog != "" {
		if err := c.audit(opts.AuditLog); err != nil {
			return nil, errors.Join(err, os.RemoveAll(folder))
		}
	}
	c.Config, err = env.Start()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start an API server: %w", err), c.Stop()) // it can run without its CustomResourceDefinitions
	}
	if err := c.prepareKubectl(); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// auditPolicy has every write logged once it is done, without what was written.
const auditPolicy = `{"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived", "ResponseStarted"], "rules": [
	{"level": "Metadata", "verbs": ["create", "update", "patch", "delete", "deletecollection"]}, {"level": "None"}]}`

// audit has the API server, which is yet to be started, log writes.
func (c *Cluster) audit(log string) error {
	policy := filepath.Join(c.folder, "audit.json")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return fmt.Errorf("write an audit policy: %w", err)
	}
	c.env.ControlPlane.GetAPIServer().Configure().Set("audit-policy-file", policy).Set("audit-log-path", log)
	return nil
}

// Stop stops the API server and waits for it to be gone.
func (c *Cluster) Stop() error {
	return errors.Join(c.env.Stop(), os.RemoveAll(c.folder))
}

// Environment is what started the API server.
func (c *Cluster) Environment() *envtest.Environment { return c.env }

// Root is the tree's root.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..")
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

// operatorCRDs returns the folder of the Prometheus operator's CustomResourceDefinitions, which lie in its module.
func operatorCRDs() (string, error) {
	const module = "github.com/prometheus-operator/prometheus-operator"
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	download := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
	download.Dir = filepath.Join(Root(), "hack", "tools", "prometheus-operator")
	download.Env = append(os.Environ(), "GOWORK=off")
	out, err := download.Output()
	if err != nil {
		return "", fmt.Errorf("go mod download %s: %w", module, err)
	}
	var downloaded struct{ Dir string }
	if err := json.Unmarshal(out, &downloaded); err != nil {
		return "", fmt.Errorf("go mod download %s: %w", module, err)
	}
	return filepath.Join(downloaded.Dir, "example", "prometheus-operator-crd"), nil
}
