package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/watchbill/watchbill/internal/testkit/postgrestest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m)) }

const (
	deploymentID = "0197a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"
	groupID      = "0197a1b2-7c3d-7e4f-8a5b-000000000001"
	noDeployment = "0197a1b2-7c3d-7e4f-8a5b-ffffffffffff"
)

// shell is the environment that a command runs in.
type shell struct {
	env   map[string]string
	stdin string
}

func (s shell) lookup(name string) (string, bool) {
	value, ok := s.env[name]
	return value, ok
}

// with returns a copy with additional variables: name, value, …
func (s shell) with(pairs ...string) shell {
	env := map[string]string{}
	for name, value := range s.env {
		env[name] = value
	}
	for i := 0; i < len(pairs); i += 2 {
		env[pairs[i]] = pairs[i+1]
	}
	return shell{env, s.stdin}
}

// outcome is the result of a command.
type outcome struct {
	code     int
	out, err string
}

func (s shell) run(ctx context.Context, args ...string) outcome {
	var out, err bytes.Buffer
	code := run(ctx, args, stdio{strings.NewReader(s.stdin), &out, &err}, s.lookup)
	return outcome{code, out.String(), err.String()}
}

// must runs a command that has to succeed and returns its output.
func (s shell) must(t *testing.T, args ...string) string {
	t.Helper()
	got := s.run(t.Context(), args...)
	if got.code != 0 {
		t.Fatalf("watchbill %s: exit %d: %s", strings.Join(args, " "), got.code, got.err)
	}
	return got.out
}

func (o outcome) check(t *testing.T, code int, stdout, stderr string) {
	t.Helper()
	if o.code != code {
		t.Errorf("want exit %d, got %d", code, o.code)
	}
	if o.out != stdout {
		t.Errorf("stdout: want\n%s\ngot\n%s", stdout, o.out)
	}
	if o.err != stderr {
		t.Errorf("stderr: want\n%s\ngot\n%s", stderr, o.err)
	}
}

// golden compares got with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: want\n%s\ngot\n%s", path, want, got)
	}
}

// api is a fake server with a fixed clock. It records requests.
type api struct {
	shell
	mu   sync.Mutex
	seen []request
}

type request struct {
	line, token, key, body string
}

func newAPI(t *testing.T, routes map[string]http.HandlerFunc) *api {
	t.Helper()
	a := &api{}
	mux := http.NewServeMux()
	for pattern, handler := range routes {
		mux.HandleFunc(pattern, handler)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		a.mu.Lock()
		a.seen = append(a.seen, request{
			r.Method + " " + r.URL.RequestURI(), r.Header.Get("Authorization"), r.Header.Get("Idempotency-Key"), string(body),
		})
		a.mu.Unlock()
		w.Header().Set("Date", "Thu, 15 Jan 2026 09:30:00 GMT")
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	a.shell = shell{env: map[string]string{"WATCHBILL_SERVER": server.URL, "ADMIN_TOKEN": "the-admin-token"}}
	return a
}

func (a *api) requests() []request {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]request(nil), a.seen...)
}

func (a *api) lines() []string {
	var lines []string
	for _, r := range a.requests() {
		lines = append(lines, r.line)
	}
	return lines
}

// answers returns a handler that uses the given handlers one after the other and repeats the last.
func answers(handlers ...http.HandlerFunc) http.HandlerFunc {
	var mu sync.Mutex
	next := 0
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		handler := handlers[min(next, len(handlers)-1)]
		next++
		mu.Unlock()
		handler(w, r)
	}
}

func jsonAnswer(status int, body any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
}

func problem(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		if status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "0")
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}
