package auth

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	kubeconfig := func(name, host string) string {
		return file(name, "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: k, cluster: {server: "+host+"}}]\n"+
			"contexts: [{name: c, context: {cluster: k, user: u}}]\nusers: [{name: u, user: {token: t}}]\n")
	}
	one, other := kubeconfig("one", "https://one.test"), kubeconfig("other", "https://other.test")
	for name, tt := range map[string]struct {
		given, variable, inCluster string
		host, fault                string
	}{
		"a file":                   {given: one, variable: other, host: "https://one.test"},
		"the variable":             {variable: other, host: "https://other.test"},
		"nothing":                  {fault: "not running in a Pod"},
		"a file that is not there": {given: filepath.Join(dir, "none"), variable: other, fault: "none: no such file"},
		"an empty file":            {given: file("empty", ""), fault: "no configuration has been provided"},
		"not YAML":                 {given: file("broken", "\tx"), fault: "broken"},
		"a Pod without a token":    {variable: other, inCluster: "10.0.0.1", fault: "serviceaccount/token: no such file"},
		"a file in a Pod":          {given: one, inCluster: "10.0.0.1", host: "https://one.test"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("HOME", dir)
			t.Setenv("KUBECONFIG", tt.variable)
			t.Setenv("KUBERNETES_SERVICE_HOST", tt.inCluster)
			t.Setenv("KUBERNETES_SERVICE_PORT", "443")
			config, err := Load(tt.given)
			switch {
			case tt.fault == "" && (err != nil || config.Host != tt.host):
				t.Errorf("want %s, got %v, %v", tt.host, config, err)
			case tt.fault != "" && (err == nil || !strings.Contains(err.Error(), tt.fault)):
				t.Errorf("want an error with %q, got %v", tt.fault, err)
			}
		})
	}
}
