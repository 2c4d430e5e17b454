package dashboards

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/watchbill/watchbill/internal/testkit/postgrestest"
	"github.com/watchbill/watchbill/internal/testkit/tree"
	"github.com/watchbill/watchbill/test/rig"
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

// server is a `watchbill serve` with its own database.
type server struct {
	*rig.Server
	binary, database string
}

func startServer(t *testing.T) server {
	t.Helper()
	dir := t.TempDir()
	binary, err := rig.Build(t.Context(), dir, "github.com/watchbill/watchbill/cmd/watchbill")
	if err != nil {
		t.Fatal(err)
	}
	s := server{binary: binary, database: postgrestest.NewDatabase(t)}
	s.Server, err = rig.Serve(t.Context(), rig.ServeOptions{
		Binary: binary, DatabaseURL: s.database, Dir: dir,
		Args: []string{"--agents-file", here("agents.yaml"), "--limit", "gateway/user=1/s", "--limit", "ingest/token=1000/s"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, s.Server) })
	return s
}

func here(name string) string { return filepath.Join(tree.Root(), "test", "dashboards", name) }

func closed(t *testing.T, c io.Closer) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// startController serves series of the controller, which needs a Kubernetes to have any, and returns their URL. The
// controller's own tests check their names and labels.
func startController(t *testing.T) string {
	t.Helper()
	registry := prometheus.NewRegistry()
	gauge := func(name string, value float64, verdict ...string) {
		labels := prometheus.Labels{"report_namespace": "fleet", "report": "live"}
		if len(verdict) > 0 {
			labels["verdict"] = verdict[0]
		}
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: name, ConstLabels: labels})
		g.Set(value)
		registry.MustRegister(g)
	}
	gauge("watchbill_report_verdict", 1, "Pass")
	gauge("watchbill_report_failing", 0)
	gauge("watchbill_report_last_completion_timestamp_seconds", float64(time.Now().Unix()))
	gauge("watchbill_report_expected_by_timestamp_seconds", float64(time.Now().Add(time.Hour).Unix()))
	s := httptest.NewServer(promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	t.Cleanup(s.Close)
	return s.URL + "/metrics"
}

// prometheusServer is a running Prometheus.
type prometheusServer struct{ url string }

var (
	pending  = regexp.MustCompile(`(?m)^(\s*)for: .*$`)
	interval = regexp.MustCompile(`(?m)^(\s*)interval: .*$`)
)

// startPrometheus starts a Prometheus that scrapes every second and evaluates the rules of report.yaml, whose alerts fire
// without delay.
func startPrometheus(t *testing.T, s server, controller string) *prometheusServer {
	t.Helper()
	dir := t.TempDir()
	rules, err := exec.CommandContext(t.Context(), s.binary, "rules", "--file", here("report.yaml"),
		"--selector", "job=watchbill,namespace=fleet", "--controller-selector", "job=watchbill-controller").Output()
	if err != nil {
		t.Fatalf("watchbill rules: %v", withStderr(err))
	}
	write(t, filepath.Join(dir, "rules.yaml"), interval.ReplaceAllString(pending.ReplaceAllString(string(rules), "${1}for: 0s"), "${1}interval: 1s"))
	write(t, filepath.Join(dir, "prometheus.yaml"), fmt.Sprintf(`
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [rules.yaml]
scrape_configs:
- job_name: watchbill
  static_configs: [{targets: [%q], labels: {namespace: fleet}}]
- job_name: watchbill-controller
  honor_labels: true
  static_configs: [{targets: [%q], labels: {namespace: fleet}}]
`, host(t, s.MetricsURL), host(t, controller)))
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(freePort(t)))
	program, err := exec.CommandContext(t.Context(), filepath.Join(tree.Root(), "hack", "tool"), "--path", "prometheus-oldest").Output()
	if err != nil {
		t.Fatalf("hack/tool: %v", withStderr(err))
	}
	p, err := rig.Start(t.Context(), rig.Command{
		Path: strings.TrimSpace(string(program)), Dir: dir, Log: filepath.Join(dir, "log"),
		Args: []string{"--config.file=prometheus.yaml", "--storage.tsdb.path=data", "--web.listen-address=" + address},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, p) })
	if err := rig.AwaitListening(t.Context(), address, p); err != nil {
		t.Fatal(err)
	}
	return &prometheusServer{url: "http://" + address}
}

func withStderr(err error) error {
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	return err
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func host(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, l)
	return l.Addr().(*net.TCPAddr).Port
}

// finds reports whether a query has a value other than NaN. A Prometheus that is still starting has none.
func (p *prometheusServer) finds(ctx context.Context, expr string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/api/v1/query?query="+url.QueryEscape(expr), nil)
	if err != nil {
		return false, err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode == http.StatusServiceUnavailable {
		return false, err
	}
	var answer struct {
		Status, Error string
		Data          struct {
			Result []struct{ Value [2]any }
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil || answer.Status != "success" {
		return false, fmt.Errorf("status %d: %s (%w)", response.StatusCode, answer.Error, err)
	}
	for _, r := range answer.Data.Result {
		text, _ := r.Value[1].(string)
		if value, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(value) {
			return true, nil
		}
	}
	return false, nil
}
