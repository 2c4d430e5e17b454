// Package kubetest starts a real Kubernetes API server for tests and benchmarks: kube-apiserver and etcd, without nodes
// or controllers. Only tests import it.
package kubetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/watchbill/watchbill/internal/testkit/tree"
)

// buildTimeout limits building the API server on a machine without one.
const buildTimeout = 20 * time.Minute

// Cluster is a running API server.
type Cluster struct {
	// Config connects as an administrator.
	Config *rest.Config
	env    *envtest.Environment
	folder string // for the files of the server and kubectl
}

// Options configures the API server.
type Options struct {
	// CRDs are files or folders of CustomResourceDefinitions. Relative paths are relative to the tree's root.
	CRDs []string
	// PrometheusOperator installs the Prometheus operator's CustomResourceDefinitions too.
	PrometheusOperator bool
	// AuditLog is a file to which the server appends an Event of audit.k8s.io/v1 for every write; none if empty.
	AuditLog string
}

// Start starts an API server, which a package's tests may share (see Main). The caller must call Stop.
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
			path = filepath.Join(tree.Root(), path)
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
		return nil, errors.Join(fmt.Errorf("start an API server: %w", err), c.Stop()) // its CRDs may have failed
	}
	if err := c.prepareKubectl(); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return c, nil
}

// auditPolicy logs every write when it is complete, without its body.
const auditPolicy = `{"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived", "ResponseStarted"], "rules": [
	{"level": "Metadata", "verbs": ["create", "update", "patch", "delete", "deletecollection"]}, {"level": "None"}]}`

// audit configures the API server, before its start, to log writes.
func (c *Cluster) audit(log string) error {
	policy := filepath.Join(c.folder, "audit.json")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return fmt.Errorf("write an audit policy: %w", err)
	}
	c.env.ControlPlane.GetAPIServer().Configure().Set("audit-policy-file", policy).Set("audit-log-path", log)
	return nil
}

// Stop stops the API server and waits for its end.
func (c *Cluster) Stop() error {
	return errors.Join(c.env.Stop(), os.RemoveAll(c.folder))
}

// Environment returns the envtest environment of the API server.
func (c *Cluster) Environment() *envtest.Environment { return c.env }

// programs returns the folder of the API server's programs. `make test` sets it in KUBEBUILDER_ASSETS.
func programs() (string, error) {
	if assets := os.Getenv("KUBEBUILDER_ASSETS"); assets != "" {
		return assets, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(tree.Root(), "hack", "envtest")).Output()
	if err != nil {
		return "", fmt.Errorf("hack/envtest: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// operatorCRDs returns the folder of the Prometheus operator's CustomResourceDefinitions in its module.
func operatorCRDs() (string, error) {
	const module = "github.com/prometheus-operator/prometheus-operator"
	ctx, cancel := context.WithTimeout(context.Background(), buildTimeout)
	defer cancel()
	download := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
	download.Dir = filepath.Join(tree.Root(), "hack", "tools", "prometheus-operator")
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
