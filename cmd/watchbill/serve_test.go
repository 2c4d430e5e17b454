package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestBadFlags checks that faults are reported at start, before any connection.
func TestBadFlags(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "kubeconfig")
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"--kubernetes-auth", "--kubeconfig", missing, "--kubernetes-audience="}, []string{
			"--kubernetes-audience: is required with --kubernetes-auth", "--kubeconfig: how to reach Kubernetes: ", missing,
		}},
		{[]string{"--kubernetes-auth=perhaps"}, []string{"kubernetes-auth"}},
		{[]string{"--max-poll-wait=61s", "--admin-token-parameter=perhaps"}, []string{"admin-token-parameter"}},
		{[]string{"--max-poll-wait=61s"}, []string{"--max-poll-wait: must be from 0s to 1m"}},
		{[]string{"--max-poll-wait=-1s"}, []string{"--max-poll-wait: must be from 0s to 1m"}},
	} {
		got := shell{}.run(t.Context(), append([]string{"serve", "--database-url", "postgres://u@127.0.0.1:1/d"}, tt.args...)...)
		for _, want := range tt.want {
			if got.code != exitUsage || !strings.Contains(got.err, want) {
				t.Errorf("%v: want exit %d and %q, got %d: %s", tt.args, exitUsage, want, got.code, got.err)
			}
		}
	}
}
