//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/test/e2e/visit"
)

// TestDisruptions restarts and kills components while a fleet polls, deploys and sends executions.
func TestDisruptions(t *testing.T) {
	t.Parallel()
	r := another(t, "watchbill-e2e-disruptions", "--set-json", `gateway.agents=[{"name":"parrot","types":["*"],"kind":"echo"}]`)
	v := r.invite(t, "")
	v.send(t, r, visit.Fleet{Name: "edge", Agents: 10, DeployEveryMS: 500, ExecuteEveryMS: 100})

	step := func(what string, mayFail bool, do func()) {
		t.Helper()
		before, began := atWork(t, v), time.Now()
		do()
		settle(t, v)
		after := atWork(t, v)
		t.Logf("%5.1f s: %s: %d requests, %d broken connections, %d failures", time.Since(began).Seconds(), what,
			after.Requests-before.Requests, after.Broken-before.Broken, after.Failed-before.Failed)
		if failed := after.Failed - before.Failed; failed > 0 && !mayFail {
			t.Errorf("%s: %d requests failed: %v", what, failed, after.Failures)
		}
	}
	step("a rolling restart", false, func() {
		kubectl(t, "", "-n", r.namespace, "rollout", "restart", "deployment/watchbill-api")
		kubectl(t, "", "-n", r.namespace, "rollout", "status", "deployment/watchbill-api", "--timeout=120s")
		eventually(t, time.Minute, "the old replicas are gone", func(ctx context.Context) error {
			if n := len(pods(ctx, t, r.namespace, apiPods)); n != 2 {
				return fmt.Errorf("there are %d", n)
			}
			return nil
		})
	})
	step("a replica deleted", false, func() {
		kubectl(t, "", "-n", r.namespace, "delete", "pod", r.replicas(t.Context(), t)[0].Name, "--timeout=90s")
		r.complete(t)
	})
	step("a replica killed", true, func() {
		kubectl(t, "", "-n", r.namespace, "delete", "pod", r.replicas(t.Context(), t)[0].Name, "--grace-period=0", "--force")
		r.complete(t)
	})
	step("PostgreSQL deleted", true, func() {
		kubectl(t, "", "-n", r.namespace, "delete", "pod", "watchbill-postgresql-0", "--timeout=60s")
		kubectl(t, "", "-n", r.namespace, "rollout", "status", "statefulset/watchbill-postgresql", "--timeout=90s")
	})
	step("PostgreSQL killed", true, func() {
		kubectl(t, "", "-n", r.namespace, "delete", "pod", "watchbill-postgresql-0", "--grace-period=0", "--force")
		kubectl(t, "", "-n", r.namespace, "rollout", "status", "statefulset/watchbill-postgresql", "--timeout=90s")
	})
	step("PostgreSQL away while AI agents answer", true, func() { answerWithout(t, r) })
	for _, pod := range r.replicas(t.Context(), t) {
		for _, c := range pod.Status.ContainerStatuses {
			if c.RestartCount > 0 {
				t.Errorf("%s was restarted %d times: PostgreSQL's absence is no reason to", pod.Name, c.RestartCount)
			}
		}
	}
	log := v.dismiss(t)
	runOnce(t, log)
	r.kept(t, log, "edge")
}

// answerWithout runs an AI agent without the database. The runs succeed, and are stored when the database is back.
func answerWithout(t *testing.T, r *release) {
	t.Helper()
	const runs = 20
	a := r.api(t).as(r.token(t, "ingest"))
	kubectl(t, "", "-n", r.namespace, "scale", "statefulset/watchbill-postgresql", "--replicas=0")
	kubectl(t, "", "-n", r.namespace, "wait", "--for=delete", "pod/watchbill-postgresql-0", "--timeout=60s")
	for n := range runs {
		question := map[string]string{"type": "any", "user_id": "gateway", "message": fmt.Sprintf("question %d", n)}
		status, text, err := a.ask(t.Context(), http.MethodPost, "/api/ai/process-stream", question, nil)
		if err != nil || status != http.StatusOK || !strings.Contains(text, "event: completed") {
			t.Fatalf("without the database an agent's answer is %d %s %v", status, text, err)
		}
	}
	kubectl(t, "", "-n", r.namespace, "scale", "statefulset/watchbill-postgresql", "--replicas=1")
	kubectl(t, "", "-n", r.namespace, "rollout", "status", "statefulset/watchbill-postgresql", "--timeout=90s")
	eventually(t, time.Minute, "the agent's runs are stored", func(ctx context.Context) error {
		out, err := tryKubectl(ctx, "SELECT count(*), count(DISTINCT execution_id) FROM agent_executions WHERE user_id = 'gateway'", r.psql()...)
		if err == nil && out != fmt.Sprintf("%d|%d", runs, runs) {
			err = fmt.Errorf("%s of %d are", out, runs)
		}
		return err
	})
}

func atWork(t *testing.T, v visitor) visit.Log {
	t.Helper()
	log, err := v.look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// complete waits until both replicas are ready.
func (r *release) complete(t *testing.T) {
	t.Helper()
	eventually(t, time.Minute, "both replicas are ready", func(ctx context.Context) error {
		if n := len(r.replicas(ctx, t)); n != 2 {
			return fmt.Errorf("%d are", n)
		}
		return nil
	})
}

// settle waits until polls, deployments and executions continue.
func settle(t *testing.T, v visitor) {
	t.Helper()
	before := atWork(t, v)
	eventually(t, time.Minute, "the fleet goes on", func(ctx context.Context) error {
		log, err := v.look(ctx)
		if err != nil {
			return err
		}
		if log.Statuses[304] < before.Statuses[304]+20 || len(log.Runs) < len(before.Runs)+5 || len(log.Stored) < len(before.Stored)+10 {
			return fmt.Errorf("%d polls, %d deployments, %d executions more", log.Statuses[304]-before.Statuses[304],
				len(log.Runs)-len(before.Runs), len(log.Stored)-len(before.Stored))
		}
		return nil
	})
}
