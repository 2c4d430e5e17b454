//go:build e2e

package e2e

import (
	"crypto/rand"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/test/e2e/visit"
)

// TestUpgrade installs the previous release with an external PostgreSQL, upgrades it, changes values and rolls back,
// while a fleet runs that must not be affected.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	shareCluster(t)
	const namespace = "watchbill-e2e-upgrade"
	makeNamespace(t, namespace)
	r := &release{namespace, runPostgres(t, "watchbill-e2e-database")}
	kubectl(t, "", "-n", namespace, "create", "secret", "generic", "watchbill-database",
		"--from-literal=DATABASE_URL="+makeDatabase(t, r.database))
	r.install(t, previous(), append(slices.Clone(beside), "--set", "postgresql.mode=external",
		"--set", "postgresql.external.existingSecret=watchbill-database")...)
	v := r.invite(t, "")
	v.send(t, r, visit.Fleet{Name: "edge", Agents: 10, DeployEveryMS: 1000, ExecuteEveryMS: 200})
	token := r.token(t, "admin")

	change := func(e edition, replicas int, verb string, args ...string) {
		t.Helper()
		began := time.Now()
		r.helm(t, verb, append(args, "--wait", "--timeout", "3m")...)
		t.Logf("%5.1f s to %s to %s, %d replicas", time.Since(began).Seconds(), verb, e.image, replicas)
		settle(t, v)
		ready := r.replicas(t.Context(), t)
		if len(ready) != replicas {
			t.Errorf("after the %s %d replicas are ready, want %d", verb, len(ready), replicas)
		}
		for _, pod := range ready {
			if image := pod.Spec.Containers[0].Image; !strings.HasSuffix(image, e.image) {
				t.Errorf("after the %s %s is of %s, want %s", verb, pod.Name, image, e.image)
			}
		}
		if r.token(t, "admin") != token {
			t.Errorf("the %s made another admin token", verb)
		}
	}
	upgrade := append([]string{current().chart, "--reset-then-reuse-values"}, imageValues("image", current().image)...)
	change(current(), 2, "upgrade", upgrade...)
	var health openapi.Health
	r.api(t).must(t, "GET", "/api/health", nil, &health)
	if _, want, _ := strings.Cut(current().image, ":"); health.Version != want {
		t.Errorf("after the upgrade it is version %s, want %s", health.Version, want)
	}
	change(current(), 3, "upgrade", append(upgrade, "--set", "api.logLevel=debug,api.replicas=3,api.podLabels.team=fleet")...)
	change(current(), 2, "rollback", "2")
	change(previous(), 2, "rollback", "1")

	log := v.dismiss(t)
	if log.Failed > 0 {
		t.Errorf("%d requests failed: %v", log.Failed, log.Failures)
	}
	runOnce(t, log)
	r.kept(t, log, "edge")
}

// runPostgres starts a PostgreSQL in a separate namespace, which is not of the chart.
func runPostgres(t *testing.T, namespace string) database {
	t.Helper()
	makeNamespace(t, namespace)
	applied(t, "postgres.yaml", namespace, "@IMAGE@", cluster.sql, "@PASSWORD@", rand.Text())
	kubectl(t, "", "-n", namespace, "wait", "--for=condition=Ready", "pod/postgres", "--timeout=90s")
	return database{namespace, "postgres"}
}

var preparation = regexp.MustCompile("(?s)```sql\n(CREATE ROLE watchbill LOGIN.*?)```")

// makeDatabase runs the statements of docs/install.md verbatim, and returns the URL for the chart.
func makeDatabase(t *testing.T, d database) string {
	t.Helper()
	text, err := os.ReadFile(root + "/docs/install.md")
	if err != nil {
		t.Fatal(err)
	}
	found := preparation.FindSubmatch(text)
	if found == nil {
		t.Fatal("docs/install.md does not say how to prepare a database")
	}
	password := rand.Text()
	statements := strings.ReplaceAll(string(found[1]), "…", password)
	kubectl(t, statements, "-n", d.namespace, "exec", "-i", d.pod, "--", "psql", "-U", "postgres", "-q", "-v", "ON_ERROR_STOP=1", "-f", "-")
	return fmt.Sprintf("postgres://watchbill:%s@postgres.%s.svc:5432/watchbill?sslmode=disable", password, d.namespace)
}
