package proxies_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/testkit/postgrestest"
	"github.com/watchbill/watchbill/internal/testkit/tree"
	"github.com/watchbill/watchbill/test/rig"
)

const (
	listens     = "watchbill.example"
	certificate = "/etc/ssl/watchbill.pem"
	// shutdownDelay is long enough for two of the health checks in docs/proxies.md.
	shutdownDelay = "3s"
)

// documented lists the blocks of docs/proxies.md with the text that sets the proxy's address.
var documented = []struct{ proxy, language, listens, with string }{
	{"nginx", "nginx", "listen 443 ssl", "listen %s ssl"},
	{"haproxy", "haproxy", "bind :443 ssl", "bind %s ssl"},
	{"varnish", "vcl", "", ""}, // its arguments set the address
	{"caddy", "caddyfile", listens + " {", "https://%s {"},
}

func TestDocumentedConfigurations(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(tree.Root(), "docs", "proxies.md"))
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	program := sync.OnceValues(func() (string, error) {
		return rig.Build(t.Context(), folder, "github.com/watchbill/watchbill/cmd/watchbill")
	})
	for _, d := range documented {
		t.Run(d.proxy, func(t *testing.T) {
			t.Parallel()
			_, rest, found := strings.Cut(string(page), "\n```"+d.language+"\n")
			configuration, _, ended := strings.Cut(rest, "\n```\n")
			if !found || !ended || !strings.Contains(configuration, d.listens) {
				t.Fatalf("docs/proxies.md has no block of %s that says %q", d.language, d.listens)
			}
			try(t, d.proxy, program, func(own, address string, replicas [2]string) string {
				c := strings.ReplaceAll(configuration, certificate, filepath.Join(own, "watchbill.pem"))
				if d.listens != "" {
					c = strings.Replace(c, d.listens, fmt.Sprintf(d.with, address), 1)
				}
				for i, documented := range []string{"10.0.0.11", "10.0.0.12"} {
					host, port, _ := strings.Cut(replicas[i], ":")
					c = strings.ReplaceAll(c, documented+":8080", replicas[i])
					c = strings.ReplaceAll(c, documented+"\";\n    .port = \"8080\"", host+"\";\n    .port = \""+port+"\"")
				}
				if strings.Contains(c, "10.0.0.1") || strings.Contains(c, ":443") {
					t.Fatalf("an address of the page is left in:\n%s", c)
				}
				return c
			})
		})
	}
}

// site is a proxy in front of two replicas.
type site struct {
	proxy    string
	url      string
	client   *http.Client
	replicas [2]*rig.Server
	restart  func(i int)
}

func try(t *testing.T, proxy string, program func() (string, error), configure func(folder, address string, replicas [2]string) string) {
	p, err := rig.WebProxyNamed(proxy)
	if err != nil {
		t.Fatal(err)
	}
	if !p.Installed() {
		t.Skipf("%s is not installed", proxy)
	}
	binary, err := program()
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, p, binary, configure)
	t.Run("held poll", s.holdsPolls)
	t.Run("large body", s.takesLargeBodies)
	t.Run("stream", s.streams)
	t.Run("idle", s.keepsConnections)
	t.Run("drain", s.drains)
}

func open(t *testing.T, p rig.WebProxy, binary string, configure func(folder, address string, replicas [2]string) string) *site {
	t.Helper()
	folder, database := t.TempDir(), postgrestest.NewDatabase(t)
	agents := filepath.Join(folder, "agents.yaml")
	if err := os.WriteFile(agents, []byte("agents: [{name: echo, types: [\"*\"], kind: echo, echo: {delay: 500ms}}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &site{proxy: p.Name}
	serve := func(i int, address string) {
		server, err := rig.Serve(context.WithoutCancel(t.Context()), rig.ServeOptions{
			Binary: binary, DatabaseURL: database, Dir: folder, Name: fmt.Sprintf("replica-%d", i), Address: address,
			Args: []string{"--agents-file", agents, "--shutdown-delay", shutdownDelay},
		})
		if err != nil {
			t.Fatal(err)
		}
		s.replicas[i] = server
	}
	for i := range s.replicas {
		serve(i, "")
		t.Cleanup(func() {
			if err := s.replicas[i].Close(); err != nil {
				t.Error(err)
			}
		})
	}
	s.restart = func(i int) {
		if err := s.replicas[i].Close(); err != nil {
			t.Error(err)
		}
		serve(i, s.replicas[i].Address)
	}
	if err := rig.SeedAgents(t.Context(), database, 0, 1); err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if err := writeCertificate(filepath.Join(folder, "watchbill.pem"), roots); err != nil {
		t.Fatal(err)
	}
	address, err := rig.FreeAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	configuration := configure(folder, address, [2]string{s.replicas[0].Address, s.replicas[1].Address})
	process, err := p.Start(t.Context(), folder, address, configuration)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := process.Close(); err != nil {
			t.Error(err)
		}
	})
	scheme := "https"
	if p.Name == "varnish" {
		scheme = "http"
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	s.url, s.client = scheme+"://"+address, &http.Client{Transport: transport, Timeout: 30 * time.Second}
	s.awaitReady(t)
	return s
}

// awaitReady waits until the proxy has found the replicas ready.
func (s *site) awaitReady(t *testing.T) {
	t.Helper()
	var last error
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		if last = s.ask(t.Context(), http.MethodGet, "/readyz", "", nil, http.StatusOK); last == nil {
			return
		}
		<-time.After(20 * time.Millisecond)
	}
	t.Fatal(last)
}

func (s *site) do(ctx context.Context, method, path, token string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return s.client.Do(req)
}

// ask sends a request and returns an error unless the response has the wanted status.
func (s *site) ask(ctx context.Context, method, path, token string, body io.Reader, want int) error {
	resp, err := s.do(ctx, method, path, token, body)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != want {
		err = fmt.Errorf("%s %s: got %s, want %d: %.300s", method, path, resp.Status, want, text)
	}
	return err
}

func (s *site) holdsPolls(t *testing.T) {
	began := time.Now()
	if err := s.ask(t.Context(), http.MethodGet, "/api/deployments/pending/"+rig.AgentID(0)+"?wait=2s", rig.AgentToken(0), nil, http.StatusOK); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("the poll was held for %s, want 2 s", took)
	}
}

func (s *site) takesLargeBodies(t *testing.T) {
	execution := func(size int) io.Reader {
		return strings.NewReader(`{"agent_name":"large","user_id":"u","status":"success","input_data":"` + strings.Repeat("x", size) + `"}`)
	}
	if err := s.ask(t.Context(), http.MethodPost, "/api/executions", rig.IngestToken, execution(8<<20-200), http.StatusCreated); err != nil {
		t.Error(err)
	}
	if s.proxy == "varnish" {
		return // it treats a response before the end of the body as a failure
	}
	resp, err := s.do(t.Context(), http.MethodPost, "/api/executions", rig.IngestToken, execution(8<<20+1000))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusRequestEntityTooLarge || got != "application/problem+json" {
		t.Errorf("a body over the limit: got %s of %q, want Watchbill's own 413", resp.Status, got)
	}
}

// streams checks that the events of a run arrive when they are sent, and not all at its end.
func (s *site) streams(t *testing.T) {
	began := time.Now()
	resp, err := s.do(t.Context(), http.MethodPost, "/api/ai/process-stream", rig.IngestToken,
		strings.NewReader(`{"type":"try","user_id":"u","message":"one"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	came := map[string]time.Duration{}
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok && came[name] == 0 {
			came[name] = time.Since(began)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if came["started"] == 0 || came["delta"] == 0 || came["completed"] == 0 {
		t.Fatalf("got %s with the events %v", resp.Status, came)
	}
	if came["delta"]-came["started"] < 250*time.Millisecond || came["completed"]-came["delta"] < 250*time.Millisecond {
		t.Errorf("events came at %v: they were kept back", came)
	}
}

// keepsConnections checks that the proxy keeps a client's connection open between responses, including a 304.
func (s *site) keepsConnections(t *testing.T) {
	for range 20 {
		resp, err := s.do(t.Context(), http.MethodGet, "/api/deployments/pending/"+rig.AgentID(0), rig.AgentToken(0), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = io.Copy(io.Discard, resp.Body)
		if err = errors.Join(err, resp.Body.Close()); err != nil || resp.StatusCode != http.StatusOK || resp.Close {
			t.Fatalf("got %s, close %v, %v", resp.Status, resp.Close, err)
		}
		if resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("Etag") == "" {
			t.Fatalf("headers are changed: %v", resp.Header)
		}
	}
}

// drains restarts each replica in turn during requests of all kinds, of which none may fail.
func (s *site) drains(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var asking sync.WaitGroup
	var mu sync.Mutex
	asked, failed := 0, []error{}
	each := func(method, path, token, body string, want int) {
		asking.Go(func() {
			for ctx.Err() == nil {
				err := s.ask(context.WithoutCancel(ctx), method, path, token, strings.NewReader(body), want)
				mu.Lock()
				if asked++; err != nil {
					failed = append(failed, err)
				}
				mu.Unlock()
			}
		})
	}
	each(http.MethodGet, "/api/deployments/pending/"+rig.AgentID(0)+"?wait=1s", rig.AgentToken(0), "", http.StatusOK)
	each(http.MethodGet, "/livez", "", "", http.StatusOK)
	each(http.MethodPost, "/api/executions", rig.IngestToken, `{"agent_name":"a","user_id":"u","status":"success"}`, http.StatusCreated)
	for i := range s.replicas {
		s.restart(i)
		for end := time.Now().Add(1500 * time.Millisecond); time.Now().Before(end); { // until the proxy uses it again
			if err := s.ask(t.Context(), http.MethodGet, "/readyz", "", nil, http.StatusOK); err != nil {
				t.Error(err)
			}
		}
	}
	stop()
	asking.Wait()
	if asked < 50 || len(failed) > 0 {
		t.Errorf("%d of %d requests failed: %v", len(failed), asked, errors.Join(failed[:min(len(failed), 5)]...))
	}
}
