package replica

import (
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	kubeauth "github.com/watchbill/watchbill/internal/kube/auth"
	"github.com/watchbill/watchbill/internal/server"
)

// KubernetesConfig configures the ServiceAccounts that may create reports.
type KubernetesConfig struct {
	Auth       bool   // otherwise only admins may create reports
	Audience   string // required audience of tokens
	Kubeconfig string // file; empty: see auth.Load
}

func (c KubernetesConfig) validate() error {
	if c.Auth && c.Audience == "" {
		return errors.New("--kubernetes-audience: is required with --kubernetes-auth")
	}
	return nil
}

// checkFiles returns an error if the configuration to reach the API server is invalid. It does not contact it.
func (c KubernetesConfig) checkFiles() error {
	if !c.Auth {
		return nil
	}
	reviewer, err := c.reviewer(nil, nil)
	if err != nil {
		return fmt.Errorf("--kubeconfig: %w", err)
	}
	reviewer.Close()
	return nil
}

func (c KubernetesConfig) reviewer(now func() time.Time, log *zap.Logger) (*kubeauth.Reviewer, error) {
	config, err := kubeauth.Load(c.Kubeconfig)
	if err != nil {
		return nil, err
	}
	return kubeauth.New(kubeauth.Options{Config: config, Audience: c.Audience, Now: now, Log: log})
}

// accounts returns the ServiceAccounts that the API accepts, or nil.
func (r *Replica) accounts() (server.ServiceAccounts, error) {
	if !r.config.Kubernetes.Auth {
		return nil, nil
	}
	var err error
	if r.reviewer, err = r.config.Kubernetes.reviewer(r.now, r.log.Named("kubernetes")); err != nil {
		return nil, err
	}
	r.log.Info("Kubernetes ServiceAccounts may make reports", zap.String("audience", r.config.Kubernetes.Audience))
	return r.reviewer, nil
}
