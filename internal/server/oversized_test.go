package server

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/server/connections"
)

// Common HTTP clients that send 64 MiB to routes that read less receive the status rather than a connection reset, also
// if their token is invalid.
func TestOversizedBodies(t *testing.T) {
	t.Parallel()
	const mib = "64"
	clients := map[string][]string{
		"python": {"python3", "client.py"},
		"node":   {"node", "client.mjs"},
		"java":   {"java", "-Xmx512m", "Client.java"},
	}
	tests := map[string]struct{ path, token, want string }{
		"executions":  {"/api/executions", ingestToken, "413"},
		"traces":      {"/v1/traces", ingestToken, "413"},
		"deployments": {"/api/deployments", adminToken, "413"},
		"no right":    {"/api/deployments", "nobody's", "403"},
		"no token":    {"/api/executions", "nobody's", "401"},
	}
	a := newAPI(t, nil)
	address := "http://" + listen(t, a, connections.ServerOptions{}, nil)
	for name, test := range tests {
		t.Run("go/"+name, func(t *testing.T) { sendFromGo(t, address+test.path, test.token, test.want) })
	}
	for client, command := range clients {
		t.Run(client, func(t *testing.T) {
			path, err := exec.LookPath(command[0])
			if err != nil {
				t.Skip(command[0] + " is not installed")
			}
			for name, test := range tests {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
				defer cancel()
				program := filepath.Join("testdata", "oversized", command[len(command)-1])
				args := slices.Concat(command[1:len(command)-1], []string{program, address + test.path, test.token, mib})
				cmd := exec.CommandContext(ctx, path, args...)
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				for line := range strings.Lines(string(out)) {
					if way, got, _ := strings.Cut(strings.TrimSpace(line), " "); got != test.want {
						t.Errorf("%s, by %s: got %s, want %s", name, way, got, test.want)
					}
				}
			}
		})
	}
}

// sendFromGo sends an oversized body with net/http's client: with a Content-Length, chunked, and with Expect:
// 100-continue.
func sendFromGo(t *testing.T, url, token, want string) {
	body := bytes.Repeat([]byte(" "), 64<<20)
	client := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: 10 * time.Second}, Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	for _, way := range []string{"sized", "chunked", "expect", "sized", "chunked"} {
		var content io.Reader = bytes.NewReader(body)
		if way == "chunked" {
			content = io.MultiReader(content) // hides the size from net/http
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, content)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/json")
		if way == "expect" {
			req.Header.Set("Expect", "100-continue")
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Errorf("%s: %v", way, err)
			continue
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if got := resp.Status[:3]; got != want {
			t.Errorf("%s: got %s, want %s", way, got, want)
		}
	}
}
