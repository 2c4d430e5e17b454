package replica_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/replica"
	"github.com/watchbill/watchbill/internal/testkit/kubetest"
	"github.com/watchbill/watchbill/internal/testkit/postgrestest"
)

// newCluster runs an API server until the test ends.
func newCluster(t *testing.T) *kubetest.Cluster {
	t.Helper()
	cluster, err := kubetest.Start(kubetest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(); err != nil {
			t.Error(err)
		}
	})
	return cluster
}

// kubernetes configures a replica to use the API server of a kubeconfig.
func kubernetes(t *testing.T, kubeconfig string) func(*replica.Config) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(path, []byte(kubeconfig), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(c *replica.Config) { c.Kubernetes.Auth, c.Kubernetes.Kubeconfig = true, path }
}

// accounts are a ServiceAccount for reports of fleet, one for those of other, and one without permissions.
const accounts = `
apiVersion: v1
kind: Namespace
metadata: {name: %[1]s}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: watchbill-report, namespace: %[1]s}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: nobody, namespace: %[1]s}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: watchbill-report, namespace: %[1]s}
rules:
  - {apiGroups: [monitoring.watchbill.dev], resources: [monitoringreports/run], verbs: [create, get]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: watchbill-report, namespace: %[1]s}
subjects: [{kind: ServiceAccount, name: watchbill-report, namespace: %[1]s}]
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: watchbill-report}
---
`

// TestReportsOfServiceAccounts creates reports as Pods' accounts, with tokens of a real API server.
func TestReportsOfServiceAccounts(t *testing.T) {
	t.Parallel()
	cluster := newCluster(t)
	kubectl := func(stdin string, args ...string) string {
		t.Helper()
		out, err := cluster.Kubectl(t, stdin, args...)
		if err != nil {
			t.Fatalf("kubectl %s: %v", strings.Join(args, " "), err)
		}
		return strings.TrimSpace(out)
	}
	kubectl(fmt.Sprintf(accounts, "fleet")+fmt.Sprintf(accounts, "other"), "apply", "-f", "-")
	token := func(namespace, account, audience string) string {
		t.Helper()
		return kubectl("", "create", "token", account, "--namespace", namespace, "--audience", audience)
	}
	fleet, other := token("fleet", "watchbill-report", "watchbill"), token("other", "watchbill-report", "watchbill")

	n := start(t, postgrestest.NewDatabase(t), kubernetes(t, string(cluster.Environment().KubeConfig)))
	slot := time.Now().UTC().Truncate(time.Hour)
	daily := map[string]any{"name": "daily", "from": slot.Add(-24 * time.Hour), "to": slot, "sections": []string{"summary"}, "keep": 2}
	var made []string
	for _, by := range []string{fleet, fleet, other} {
		a := n.do(http.MethodPost, "/api/reports", by, daily)
		if a.status != http.StatusCreated {
			t.Fatalf("got %d %s", a.status, a.body)
		}
		var r openapi.Report
		a.decode(t, &r)
		made = append(made, r.ID)
	}
	for name, want := range map[string][]string{"fleet": {made[1]}, "other": {made[2]}} {
		var list openapi.ReportList
		n.get("/api/reports", map[string]string{"fleet": fleet, "other": other}[name]).decode(t, &list)
		var got []string
		for _, r := range list.Reports {
			got = append(got, r.ID)
			if r.Namespace != name {
				t.Errorf("want a report of %s, got %+v", name, r)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: a slot's second report replaces its first: want %v, got %v", name, want, got)
		}
	}
	for _, tt := range []struct {
		name, method, path, token string
		status                    int
		telling                   string
	}{
		{"its own", http.MethodGet, "/api/reports/" + made[1], fleet, http.StatusOK, `"verdict"`},
		{"another's", http.MethodGet, "/api/reports/" + made[2], fleet, http.StatusNotFound, "no such report"},
		{"another's list", http.MethodGet, "/api/reports?namespace=other", fleet, http.StatusForbidden, "may not get monitoringreports/run (monitoring.watchbill.dev) in the namespace other"},
		{"without the right", http.MethodPost, "/api/reports", token("fleet", "nobody", "watchbill"), http.StatusForbidden, "fleet/nobody may not create"},
		{"for another audience", http.MethodPost, "/api/reports", token("fleet", "watchbill-report", "vault"), http.StatusForbidden, `not for the audience \"watchbill\"`},
		{"no token", http.MethodPost, "/api/reports", "", http.StatusForbidden, "admin token"},
		{"an admin's endpoint", http.MethodGet, "/api/agents", fleet, http.StatusForbidden, "admin token"},
	} {
		a := n.do(tt.method, tt.path, tt.token, map[string]any{})
		if a.status != tt.status || !strings.Contains(string(a.body), tt.telling) {
			t.Errorf("%s: want %d with %q, got %d %s", tt.name, tt.status, tt.telling, a.status, a.body)
		}
	}
}

// A replica starts, and serves other callers, while Kubernetes is unreachable.
func TestKubernetesOutage(t *testing.T) {
	t.Parallel()
	n := start(t, postgrestest.NewDatabase(t), kubernetes(t, kubeconfigOf("http://127.0.0.1:1")))
	// {"iss":"k","sub":"system:serviceaccount:fleet:reporter","aud":"watchbill","exp":99999999999}
	token := "eyJhbGciOiJSUzI1NiIsImtpZCI6IngifQ." +
		"eyJpc3MiOiJrIiwic3ViIjoic3lzdGVtOnNlcnZpY2VhY2NvdW50OmZsZWV0OnJlcG9ydGVyIiwiYXVkIjoid2F0Y2hiaWxsIiwiZXhwIjo5OTk5OTk5OTk5OX0.c2ln"
	a := n.do(http.MethodPost, "/api/reports", token, map[string]any{})
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" || !strings.Contains(string(a.body), "Kubernetes cannot be reached") {
		t.Errorf("got %d %v %s", a.status, a.header, a.body)
	}
	if a := n.do(http.MethodPost, "/api/reports", adminToken, map[string]any{}); a.status != http.StatusCreated {
		t.Errorf("an admin: got %d %s", a.status, a.body)
	}
}

func kubeconfigOf(server string) string {
	return "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: k, cluster: {server: " + server + "}}]\n" +
		"contexts: [{name: c, context: {cluster: k, user: u}}]\nusers: [{name: u, user: {token: t}}]\n"
}

func TestBadKubernetesConfiguration(t *testing.T) {
	t.Parallel()
	broken := kubeconfigOf("https://kubernetes.test") + "x: [\n"
	for name, tt := range map[string]struct {
		change func(*replica.Config)
		want   string
	}{
		"good":                {kubernetes(t, kubeconfigOf("https://kubernetes.test")), ""},
		"no file":             {func(c *replica.Config) { c.Kubernetes.Auth, c.Kubernetes.Kubeconfig = true, "/nowhere" }, "--kubeconfig: "},
		"a broken file":       {kubernetes(t, broken), "--kubeconfig: "},
		"no file, not needed": {func(c *replica.Config) { c.Kubernetes.Kubeconfig = "/nowhere" }, ""},
		"no audience": {func(c *replica.Config) {
			kubernetes(t, kubeconfigOf("https://kubernetes.test"))(c)
			c.Kubernetes.Audience = ""
		}, "--kubernetes-audience: "},
	} {
		config := replica.Defaults()
		config.DatabaseURL = "postgres://u@h/d"
		tt.change(&config)
		faults := ""
		for _, err := range []error{config.Validate(), config.CheckFiles()} {
			if err != nil {
				faults += err.Error()
			}
		}
		if (tt.want == "") != (faults == "") || !strings.HasPrefix(faults, tt.want) {
			t.Errorf("%s: want %q, got %q", name, tt.want, faults)
		}
	}
}
