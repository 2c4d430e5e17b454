//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/watchbill/watchbill/test/e2e/visit"
)

const (
	releaseName = "watchbill"
	apiPods     = "app.kubernetes.io/name=watchbill,app.kubernetes.io/component=api"

	installWithin = 4 * time.Minute
)

// release is an installation of the chart in a separate namespace.
type release struct {
	namespace string
	database  database
}

// database is the Pod of a release's PostgreSQL.
type database struct{ namespace, pod string }

// install follows docs/install.md, with images that this cluster has. The release is removed when the test ends.
func install(t *testing.T, namespace string, args ...string) *release {
	t.Helper()
	makeNamespace(t, namespace)
	r := &release{namespace, database{namespace, releaseName + "-postgresql-0"}}
	r.install(t, current(), args...)
	return r
}

func (r *release) install(t *testing.T, e edition, args ...string) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			dump(t, r.namespace)
		}
		if !cluster.keep {
			r.uninstall(t)
		}
	})
	began := time.Now()
	all := []string{e.chart, "--wait", "--timeout", installWithin.String(), "--set", "serviceMonitor.interval=5s"}
	all = append(all, imageValues("image", e.image)...)
	all = append(all, imageValues("postgresql.bundled.image", cluster.sql)...)
	r.helm(t, "install", append(all, args...)...)
	t.Logf("%5.1f s to install", time.Since(began).Seconds())
}

// beside are the values of a release in addition to that of the main story, which watches all namespaces.
var beside = []string{"--set", "crds.enabled=false", "--set", "controller.enabled=false"}

// another installs such a release.
func another(t *testing.T, namespace string, args ...string) *release {
	t.Helper()
	shareCluster(t)
	return install(t, namespace, append(slices.Clone(beside), args...)...)
}

// helm runs a Helm command on the release and returns its output.
func (r *release) helm(t *testing.T, verb string, args ...string) string {
	t.Helper()
	out, err := r.tryHelm(t.Context(), verb, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (r *release) tryHelm(ctx context.Context, verb string, args ...string) (string, error) {
	all := append([]string{verb, releaseName, "--namespace", r.namespace, "--kubeconfig", cluster.kubeconfig}, args...)
	cmd := exec.CommandContext(ctx, cluster.helm, all...)
	home := filepath.Join(os.TempDir(), "watchbill-e2e-helm") // without the user's settings
	cmd.Env = append(os.Environ(), "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("helm %s: %w: %s", verb, err, strings.TrimSpace(complaints.String()))
	}
	return out.String(), nil
}

func (r *release) uninstall(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if _, err := r.tryHelm(ctx, "uninstall", "--ignore-not-found"); err != nil {
		t.Error(err)
	}
}

// token returns one of the tokens that the chart generated: admin, enrollment or ingest.
func (r *release) token(t *testing.T, which string) string {
	t.Helper()
	secret, err := cluster.CoreV1().Secrets(r.namespace).Get(t.Context(), releaseName+"-tokens", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return string(secret.Data[which+"-token"])
}

// replicas returns the ready replicas of the API.
func (r *release) replicas(ctx context.Context, t *testing.T) (ready []corev1.Pod) {
	t.Helper()
	for _, pod := range pods(ctx, t, r.namespace, apiPods) {
		if isReady(pod) {
			ready = append(ready, pod)
		}
	}
	return ready
}

// sql runs a query and returns the lines of the result.
func (r *release) sql(t *testing.T, query string) []string {
	t.Helper()
	return strings.Fields(kubectl(t, query, r.psql()...))
}

// psql returns kubectl's arguments to run psql as the superuser.
func (r *release) psql() []string {
	return []string{
		"-n", r.database.namespace, "exec", "-i", r.database.pod, "--",
		"psql", "-U", "postgres", "-d", "watchbill", "-qAt", "-v", "ON_ERROR_STOP=1", "-f", "-",
	}
}

// visitor is the test's Pod in a release's namespace.
type visitor struct{ namespace string }

// invite starts a visitor that can read the volume of a claim.
func (r *release) invite(t *testing.T, claim string) visitor {
	t.Helper()
	text, err := os.ReadFile("testdata/visitor.yaml")
	if err != nil {
		t.Fatal(err)
	}
	volume := "emptyDir: {}"
	if claim != "" {
		volume = "persistentVolumeClaim: {claimName: " + claim + "}"
	}
	manifest := strings.NewReplacer("@IMAGE@", cluster.visitor, "@VOLUME@", volume).Replace(string(text))
	kubectl(t, manifest, "-n", r.namespace, "apply", "-f", "-")
	kubectl(t, "", "-n", r.namespace, "wait", "--for=condition=Ready", "pod/visitor", "--timeout=90s")
	return visitor{r.namespace}
}

// ask sends a request to the visitor through the API server.
func (v visitor) ask(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	request := cluster.CoreV1().RESTClient().Verb(method).Namespace(v.namespace).Resource("pods").Name("visitor:8080").SubResource("proxy").Suffix(path)
	if body != nil {
		request = request.Body(body)
	}
	out, err := request.DoRaw(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask the visitor for %s: %w: %s", path, err, out)
	}
	return out, nil
}

// deliveries returns what a box has received.
func (v visitor) deliveries(ctx context.Context, box string) (all []visit.Delivery, err error) {
	out, err := v.ask(ctx, http.MethodGet, "inbox/"+box, nil)
	if err == nil {
		err = json.Unmarshal(out, &all)
	}
	return all, err
}

// send starts a fleet against a release's Service.
func (v visitor) send(t *testing.T, r *release, fleet visit.Fleet) {
	t.Helper()
	fleet.Server = fmt.Sprintf("http://%s-api.%s.svc:8080", releaseName, r.namespace)
	fleet.AdminToken, fleet.EnrollmentToken, fleet.IngestToken = r.token(t, "admin"), r.token(t, "enrollment"), r.token(t, "ingest")
	body, err := json.Marshal(fleet)
	if err == nil {
		_, err = v.ask(t.Context(), http.MethodPost, "fleet", body)
	}
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, time.Minute, "the fleet is at work", func(ctx context.Context) error {
		log, err := v.look(ctx)
		if err == nil && (log.Statuses[200] == 0 || fleet.DeployEveryMS > 0 && len(log.Runs) == 0) {
			err = fmt.Errorf("statuses %v, %d runs", log.Statuses, len(log.Runs))
		}
		return err
	})
}

// look returns what the fleet has seen so far. The error reports a problem of the fleet itself.
func (v visitor) look(ctx context.Context) (log visit.Log, err error) {
	out, err := v.ask(ctx, http.MethodGet, "fleet", nil)
	if err == nil {
		err = json.Unmarshal(out, &log)
	}
	if err == nil && log.Trouble != "" {
		err = fmt.Errorf("the fleet: %s", log.Trouble)
	}
	return log, err
}

// dismiss stops the fleet once all its deployments are finished, and returns what it saw.
func (v visitor) dismiss(t *testing.T) (log visit.Log) {
	t.Helper()
	if _, err := v.ask(t.Context(), http.MethodPut, "fleet/rest", nil); err != nil {
		t.Fatal(err)
	}
	// An agent retries failed polls and claims with growing delays.
	eventually(t, 3*time.Minute, "all that was to be done is done", func(ctx context.Context) error {
		log, err := v.look(ctx)
		if err != nil {
			return err
		}
		var waiting []string
		for _, id := range log.Deployed {
			if log.Runs[id] == 0 {
				waiting = append(waiting, id)
			}
		}
		if len(waiting) > 0 {
			return fmt.Errorf("%d of %d deployments wait: %v", len(waiting), len(log.Deployed), waiting)
		}
		return nil
	})
	out, err := v.ask(t.Context(), http.MethodDelete, "fleet", nil)
	if err == nil {
		err = json.Unmarshal(out, &log)
	}
	if err != nil || log.Trouble != "" {
		t.Fatalf("the fleet: %v %s", err, log.Trouble)
	}
	return log
}
