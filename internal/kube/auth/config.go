package auth

import (
	"errors"
	"fmt"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Load returns the configuration to reach the API server: of the kubeconfig file, or if that is empty of the Pod's cluster,
// or of $KUBECONFIG or ~/.kube/config.
func Load(kubeconfig string) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	if kubeconfig == "" {
		config, err := rest.InClusterConfig()
		if !errors.Is(err, rest.ErrNotInCluster) {
			return config, wrap(err)
		}
	}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{}).ClientConfig()
	if kubeconfig == "" && clientcmd.IsEmptyConfig(err) {
		return nil, errors.New("not running in a Pod, and neither $KUBECONFIG nor ~/.kube/config exists")
	}
	return config, wrap(err)
}

func wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("how to reach Kubernetes: %w", err)
}
