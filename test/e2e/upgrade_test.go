//go:build e2e

package e2e

import (
	"testing"
	"time"

	"github.com/watchbill/watchbill/test/e2e/visit"
)

// TestUpgrade changes values, and goes back, under a fleet that must not notice.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	r := another(t, "watchbill-e2e-upgrade")
	v := r.invite(t, "")
	v.send(t, r, visit.Fleet{Name: "edge", Agents: 10, DeployEveryMS: 1000, ExecuteEveryMS: 200})
	token := r.token(t, "admin")

	change := func(verb string, replicas int, args ...string) {
		t.Helper()
		began := time.Now()
		r.helm(t, verb, append(args, "--wait", "--timeout", "3m")...)
		t.Logf("%5.1f s to %s", time.Since(began).Seconds(), verb)
		settle(t, v)
		if got := len(r.replicas(t.Context(), t)); got != replicas {
			t.Errorf("after the %s %d replicas are ready, want %d", verb, got, replicas)
		}
		if r.token(t, "admin") != token {
			t.Errorf("the %s made another admin token", verb)
		}
	}
	change("upgrade", 3, chart, "--reset-then-reuse-values", "--set", "api.logLevel=debug,api.replicas=3,api.podLabels.team=fleet")
	change("rollback", 2, "1")

	log := v.dismiss(t)
	if log.Failed > 0 {
		t.Errorf("%d requests failed: %v", log.Failed, log.Failures)
	}
	runOnce(t, log)
	r.kept(t, log, "edge")
}
