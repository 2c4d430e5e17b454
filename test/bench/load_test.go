package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestLoad checks the requests of a load and its handling of responses.
func TestLoad(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	paths, bodies, tokens := map[string]int{}, map[string]int{}, map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		paths[r.URL.RequestURI()]++
		bodies[string(body)]++
		tokens[r.Header.Get("Token")]++
		mu.Unlock()
		switch r.URL.Path {
		case "/fails":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/closes":
			w.Header().Set("Connection", "close")
		}
	}))
	t.Cleanup(server.Close)
	body := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(body, []byte(`[{"id":"{n}-1"},{"id":"{n}-2"}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(path string, args ...string) error {
		return load(t.Context(), append([]string{"-url", server.URL + path, "-connections", "4", "-for", "100ms"}, args...))
	}

	if err := run("/agents/{n}?tenant={n}", "-of", "3", "-header", "Token: of-{n}", "-rate", "500"); err != nil {
		t.Error(err)
	}
	if err := run("/batches", "-method", "POST", "-body", body); err != nil {
		t.Error(err)
	}
	if err := run("/closes", "-rate", "100"); err != nil {
		t.Errorf("a server that closes connections: %v", err)
	}
	if err := run("/fails", "-rate", "100"); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("a load that fails has the error %v", err)
	}
	if err := run("/", "-header", "a header"); err == nil {
		t.Error("a header without a colon is taken")
	}
	if err := load(t.Context(), []string{"-url", "https://host.example/"}); err == nil {
		t.Error("a URL that cannot be asked is taken")
	}

	for _, device := range []string{"0", "1", "2"} {
		if path := "/agents/" + device + "?tenant=" + device; paths[path] == 0 || paths[path] != tokens["of-"+device] {
			t.Errorf("%s was asked for %d times, with its token %d times", path, paths[path], tokens["of-"+device])
		}
	}
	if len(paths) != 6 {
		t.Errorf("asked for %v", paths)
	}
	delete(bodies, "")
	if len(bodies) < 10 || bodies[`[{"id":"7-1"},{"id":"7-2"}]`] != 1 {
		t.Errorf("%d different batches, want many, each once", len(bodies))
	}
	for text, times := range bodies {
		if times != 1 {
			t.Errorf("%s was sent %d times", text, times)
		}
	}
}
