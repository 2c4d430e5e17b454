package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/watchbill/watchbill/api/v1alpha1"
	"github.com/watchbill/watchbill/internal/objective"
	"github.com/watchbill/watchbill/internal/report"
	"github.com/watchbill/watchbill/internal/testkit/kubetest"
)

// kubeconfig refers to an unreachable server and the namespace fleet.
const kubeconfig = `
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
contexts: [{name: c, context: {cluster: c, user: "", namespace: fleet}}]
current-context: c
`

func kubeconfigFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestControllerFaults(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "missing")
	good := kubeconfigFile(t, kubeconfig)
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"--kubeconfig", good, "--log-level", "loud"}, []string{
			"--image: is required", "--server: is required", `log level "loud": want debug, info, warn or error`,
		}},
		{[]string{
			"--kubeconfig", good, "--metrics-listen", "9090", "--health-listen", "x:y:z", "--runbook-url", "docs", "--image", "a b",
			"--image-pull-policy", "Sometimes", "--image-pull-secrets", "A", "--report-requests", "cpu=much", "--report-limits", "memory=-1",
			"--watch-namespaces", "a,B", "--report-namespaces", "c,D_", "--leader-election-namespace", "E", "--server", "watchbill", "--token-file", missing,
		}, []string{
			`--metrics-listen: must be an address such as :9090, or 0, not "9090"`, `--health-listen: must be an address such as :9090, or 0, not "x:y:z"`,
			`--runbook-url: must be a URL of http or https, not "docs"`, `--image: "a b" is not an image`,
			`--image-pull-policy: must be Always, IfNotPresent or Never, not "Sometimes"`, `--image-pull-secrets: "A" is not the name of a Secret`,
			`--report-requests: cpu must be a quantity such as 100m or 64Mi, not "much"`, `--report-limits: memory must be a quantity such as 100m or 64Mi, not "-1"`,
			`--watch-namespaces: "B" is not the name of a namespace`,
			"--report-namespaces: c is not among --watch-namespaces",
			`--report-namespaces: "D_" is not the name of a namespace`, "--report-namespaces: D_ is not among --watch-namespaces",
			`--leader-election-namespace: "E" is not the name of a namespace`,
			`--server: must be a URL such as https://watchbill.example, not "watchbill"`,
		}},
		{[]string{"--kubeconfig", missing, "--image", "i", "--server", "http://api", "--token-file", missing}, []string{
			"--kubeconfig: stat " + missing + ": no such file or directory", "--token-file: open " + missing + ": no such file or directory",
		}},
		{[]string{"--kubeconfig", good, "--image", "i", "--server", "http://api", "--metrics-listen", ":1", "--health-listen", ":1"}, []string{
			"--health-listen: is --metrics-listen too",
		}},
		{[]string{"now"}, []string{`unexpected argument "now"; usage: watchbill controller [flags]`}},
	} {
		var want strings.Builder
		for _, line := range tt.want {
			want.WriteString("watchbill: " + line + "\n")
		}
		shell{}.run(t.Context(), append([]string{"controller"}, tt.args...)...).check(t, exitUsage, "", want.String())
	}
}

// TestController runs the command against a real API server until its context is canceled. It is not parallel and must
// run before anything else uses client-go, since it sets client-go's logger for the whole process.
func TestController(t *testing.T) {
	cluster, err := kubetest.Start(kubetest.Options{CRDs: []string{"config/crd/bases"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	shell := shell{}.with("WATCHBILL_IMAGE", "example.com/watchbill:1", "WATCHBILL_REPORT_NAMESPACES", "default")
	args := []string{
		"controller", "--kubeconfig", kubeconfigFile(t, string(cluster.Environment().KubeConfig)), "--server", "http://watchbill.example",
		"--metrics-listen", "127.0.0.1:0", "--health-listen", "127.0.0.1:0", "--leader-election-namespace", "default",
	}
	var out, faults shared
	done := make(chan int, 1)
	go func() { done <- run(ctx, args, stdio{strings.NewReader(""), &out, &faults}, shell.lookup) }()
	deadline, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	until := func(what string, holds func() bool) {
		t.Helper()
		for !holds() {
			select {
			case code := <-done:
				t.Fatalf("it ended: exit %d\n%s%s", code, out.String(), faults.String())
			case <-deadline.Done():
				t.Fatalf("timed out waiting until %s", what)
			case <-tick.C:
			}
		}
	}
	until("it logs", func() bool { return out.String() != "" })
	client, err := dynamic.NewForConfig(cluster.Config)
	if err != nil {
		t.Fatal(err)
	}
	reports := client.Resource(v1alpha1.GroupVersion.WithResource("monitoringreports")).Namespace("default")
	daily := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": "MonitoringReport",
		"metadata": map[string]any{"name": "daily"}, "spec": map[string]any{"schedule": "@daily"},
	}}
	if _, err := reports.Create(ctx, daily, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	until("the report is Ready", func() bool {
		object, err := reports.Get(deadline, "daily", metav1.GetOptions{})
		if err != nil {
			return false
		}
		status := fmt.Sprint(object.Object["status"])
		return strings.Contains(status, "type:Ready") && strings.Contains(status, "reason:Reconciled")
	})
	stop()
	if code := <-done; code != 0 || faults.String() != "" {
		t.Errorf("exit %d: %s\n%s", code, faults.String(), out.String())
	}
}

// shared is a buffer for several goroutines, one of which logs its end after the command's.
type shared struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *shared) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// TestKeptReports queries an API that has reports of several slots.
func TestKeptReports(t *testing.T) {
	t.Parallel()
	slot := time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC)
	tokens := make(chan string, 10)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tokens <- r.Header.Get("Authorization")
		w.Header().Set("Content-Type", "application/json")
		summary := func(id string, to time.Time) map[string]any {
			return map[string]any{"id": id, "name": "daily", "window": map[string]any{"from": to.Add(-24 * time.Hour), "to": to}}
		}
		var answer any
		switch q := r.URL.Query(); {
		case r.URL.Path == "/api/reports" && (q.Get("namespace") != "fleet" || q.Get("name") != "daily"):
			t.Errorf("asked for %s", r.URL)
		case r.URL.Path == "/api/reports" && q.Get("cursor") == "":
			answer = map[string]any{"reports": []any{summary("newer", slot.Add(24*time.Hour))}, "next_cursor": "x"}
		case r.URL.Path == "/api/reports":
			answer = map[string]any{"reports": []any{summary("this", slot), summary("lost", slot.Add(-24*time.Hour))}}
		case r.URL.Path == "/api/reports/this":
			answer = report.Document{
				ID: "this", Name: "daily", Verdict: report.Pass, GeneratedAt: slot.Add(time.Minute),
				Window:     report.Coverage{Window: report.Window{From: slot.Add(-24 * time.Hour), To: slot}},
				Objectives: []objective.Result{{Name: "errors", Met: new(true)}},
			}
		default:
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusNotFound)
			answer = map[string]any{"status": 404, "code": "not_found", "title": "Not Found"}
		}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(api.Close)
	token := filepath.Join(t.TempDir(), "token")
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(token, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first")
	options := controllerOptions{connection: connection{server: api.URL}, tokenFile: token}
	var wrong faults
	reports := options.reports(&wrong)
	if err := errors.Join(wrong...); err != nil || reports == nil {
		t.Fatalf("%v, %v", reports, err)
	}
	result, found, err := reports.Find(t.Context(), "fleet", "daily", slot)
	if err != nil || !found || result.ReportID != "this" || result.Verdict != report.Pass || !result.CompletedAt.Equal(slot.Add(time.Minute)) || len(result.Objectives) != 1 {
		t.Errorf("got %+v, %v, %v", result, found, err)
	}
	if got := <-tokens; got != "Bearer first" {
		t.Errorf("the token was %q", got)
	}
	for len(tokens) > 0 {
		<-tokens
	}
	write("second")
	for name, at := range map[string]time.Time{"deleted since": slot.Add(-24 * time.Hour), "never made": slot.Add(time.Hour)} {
		if result, found, err := reports.Find(t.Context(), "fleet", "daily", at); err != nil || found {
			t.Errorf("%s: got %+v, %v, %v", name, result, found, err)
		}
	}
	if got := <-tokens; got != "Bearer second" {
		t.Errorf("the token was %q, which was replaced", got)
	}
	api.Close()
	if _, _, err := reports.Find(t.Context(), "fleet", "daily", slot); err == nil {
		t.Error("an API that is down gives no error")
	}
}
