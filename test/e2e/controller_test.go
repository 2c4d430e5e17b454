//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const leaseName = releaseName + "-controller"

func leader(ctx context.Context, namespace string) (string, error) {
	var lease coordinationv1.Lease
	if err := cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: leaseName}, &lease); err != nil {
		return "", err
	}
	if lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity == "" {
		return "", fmt.Errorf("nobody holds the lease %s", leaseName)
	}
	pod, _, _ := strings.Cut(*lease.Spec.HolderIdentity, "_")
	return pod, nil
}

// deleteLeader deletes the Pod of the leading controller immediately.
func deleteLeader(t *testing.T, r *release) {
	t.Helper()
	before, err := leader(t.Context(), r.namespace)
	if err != nil {
		t.Fatal(err)
	}
	kubectl(t, "", "-n", r.namespace, "delete", "pod", before, "--grace-period=0", "--force")
	eventually(t, time.Minute, "another controller leads", func(ctx context.Context) error {
		after, err := leader(ctx, r.namespace)
		if err == nil && after == before {
			err = fmt.Errorf("%s leads still", after)
		}
		return err
	})
}
