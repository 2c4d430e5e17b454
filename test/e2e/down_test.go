//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// TestDown stops the API: an alert fires, is delivered, and resolves when the API is back.
func TestDown(t *testing.T) {
	t.Parallel()
	needMonitoring(t)
	r := another(t, "watchbill-e2e-down", "--set", "api.replicas=1")
	v := r.invite(t, "")
	applied(t, "route.yaml", r.namespace, "@LABEL@", "namespace")
	eventually(t, 2*time.Minute, "Prometheus scrapes the API and evaluates the rules", func(ctx context.Context) error {
		if _, err := rules(ctx, r.namespace, "watchbill"); err != nil {
			return err
		}
		up, err := number(ctx, fmt.Sprintf("sum(last_over_time(up{namespace=%q}[12s]))", r.namespace))
		if err == nil && up != 1 {
			err = fmt.Errorf("%.0f are up", up)
		}
		return err
	})
	scale := func(replicas string) {
		kubectl(t, "", "-n", r.namespace, "scale", "deployment/watchbill-api", "--replicas="+replicas)
	}
	scale("0")
	began := time.Now()
	eventually(t, 4*time.Minute, "WatchbillDown fires and the receiver is notified", func(ctx context.Context) error {
		return v.noticed(ctx, "WatchbillDown", "firing")
	})
	t.Logf("%5.1f s from the fault to the notice", time.Since(began).Seconds())
	scale("1")
	began = time.Now()
	eventually(t, 2*time.Minute, "WatchbillDown resolves and the receiver is notified", func(ctx context.Context) error {
		return v.noticed(ctx, "WatchbillDown", "resolved")
	})
	t.Logf("%5.1f s from the repair to the notification", time.Since(began).Seconds())
}
