package server

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/server/connections"
	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/server/reports"
)

// listen serves a handler with connections.NewServer and returns its address. change may shorten its timeouts.
func listen(t *testing.T, handler http.Handler, opts connections.ServerOptions, change func(*http.Server)) (address string) {
	t.Helper()
	opts.Log = zap.NewNop()
	if opts.Now == nil {
		opts.Now = time.Now
	}
	server, err := connections.NewServer(handler, opts)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(server)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		if opts.TLS != nil {
			done <- server.ServeTLS(listener, "", "")
		} else {
			done <- server.Serve(listener)
		}
	}()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// exchangeRaw sends bytes over a new connection and returns all that it receives until the server closes it.
func exchangeRaw(t *testing.T, address, sent string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, sent); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil {
		t.Fatalf("the connection is not closed: %v", err)
	}
	return string(got)
}

func TestSlowClientsAreDisconnected(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	address := listen(t, a, connections.ServerOptions{}, func(s *http.Server) {
		s.ReadHeaderTimeout, s.ReadTimeout = 50*time.Millisecond, 100*time.Millisecond
	})
	if got := exchangeRaw(t, address, "GET /livez HTTP/1.1\r\nHost: x\r\n"); strings.Contains(got, "200 OK") {
		t.Errorf("half a header returned %q", got)
	}
	got := exchangeRaw(t, address, "POST /api/agents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+adminToken+
		"\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"name\":")
	if !strings.HasPrefix(got, "HTTP/1.1 408 ") || !strings.Contains(got, `"slow_body"`) {
		t.Errorf("half a body returned %q, want 408", got)
	}
}

func TestTruncatedBodies(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	address := listen(t, a, connections.ServerOptions{}, nil)
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "POST /api/agents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+adminToken+
		"\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{\"name\":")
	_ = conn.(*net.TCPConn).CloseWrite()
	got, _ := io.ReadAll(conn)
	if !strings.HasPrefix(string(got), "HTTP/1.1 400 ") || !strings.Contains(string(got), `"truncated_body"`) {
		t.Errorf("got %q, want 400", got)
	}
}

// A held poll outlives the server's timeouts, which would otherwise look like a disconnected client.
func TestWaitOutlivesTheReadTimeout(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	token := a.enroll(t, "a1")
	address := listen(t, a, connections.ServerOptions{}, func(s *http.Server) { s.ReadTimeout, s.WriteTimeout = 50*time.Millisecond, 50*time.Millisecond })
	if got := poll(t, address, token, fleet.NothingWaiting, "300ms"); got != http.StatusNotModified {
		t.Errorf("got %d", got)
	}
}

// poll sends a1's poll over a new connection and returns the response's status.
func poll(t *testing.T, address, token, tag, wait string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+address+"/api/deployments/pending/a1?wait="+wait, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if tag != "" {
		req.Header.Set("If-None-Match", tag)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// A poll is held no longer than the operator's limit, and then gets an ordinary response.
func TestPollsAreHeldUpToTheLimit(t *testing.T) {
	t.Parallel()
	for _, limit := range []time.Duration{0, 200 * time.Millisecond} {
		a := newAPI(t, func(o *Options) { o.MaxPollWait = limit })
		token := a.enroll(t, "a1")
		address := listen(t, a, connections.ServerOptions{}, nil)
		for tag, want := range map[string]int{"": http.StatusOK, fleet.NothingWaiting: http.StatusNotModified} {
			began := time.Now()
			if got := poll(t, address, token, tag, "60s"); got != want {
				t.Errorf("at most %s: got %d, want %d", limit, got, want)
			}
			if took := time.Since(began); took < limit || took > limit+20*time.Second {
				t.Errorf("at most %s: it took %s", limit, took)
			}
		}
	}
}

// Proxies must close idle connections before the server does, since one that the server closes may have a request under
// way.
func TestIdleConnectionsOutliveThoseOfProxies(t *testing.T) {
	t.Parallel()
	s, err := connections.NewServer(http.NotFoundHandler(), connections.ServerOptions{Log: zap.NewNop(), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	for proxy, keeps := range map[string]time.Duration{
		"nginx": time.Minute, "Varnish": time.Minute, "Go": 90 * time.Second, "Caddy": 2 * time.Minute, "Google Cloud": 10 * time.Minute,
	} {
		if s.IdleTimeout <= keeps {
			t.Errorf("idle connections are closed after %s, and %s keeps them for %s", s.IdleTimeout, proxy, keeps)
		}
	}
}

func TestServerIsBounded(t *testing.T) {
	t.Parallel()
	s, err := connections.NewServer(http.NotFoundHandler(), connections.ServerOptions{Log: zap.NewNop(), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	if s.ReadHeaderTimeout == 0 || s.ReadTimeout == 0 || s.IdleTimeout <= fleet.DefaultPollInterval || s.WriteTimeout <= MaxWait || s.WriteTimeout <= reports.CreateWithin || s.MaxHeaderBytes == 0 {
		t.Errorf("got %+v", s)
	}
}

func TestConnectionMaxAge(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64 // seconds
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load()) * time.Second) }
	a := newAPI(t, func(o *Options) { o.Now = now })
	address := listen(t, a, connections.ServerOptions{ConnectionMaxAge: time.Hour, Now: now, Jitter: func() float64 { return 0.5 }}, nil)
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	reader := bufio.NewReader(conn)
	for _, step := range []struct {
		at    int64 // seconds
		close bool
	}{{0, false}, {3500, false}, {3601, true}} {
		ahead.Store(step.at)
		if _, err := io.WriteString(conn, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.Close != step.close {
			t.Errorf("after %d s: close is %v", step.at, resp.Close)
		}
	}
}

// A replica that shuts down closes kept-alive connections with its responses, including those to requests received
// before, such as held polls. Otherwise a request sent on a connection that is just being closed would fail.
func TestShutdownClosesConnections(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	address := listen(t, a, connections.ServerOptions{}, nil)
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	reader := bufio.NewReader(conn)
	closes := func() bool {
		if _, err := io.WriteString(conn, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		return resp.Close
	}
	if closes() {
		t.Error("a connection was closed while nothing was wrong")
	}
	held := httptest.NewRecorder()
	x := &endpoint.Exchange{ResponseWriter: held, Request: httptest.NewRequest("GET", "/", nil), Shared: a.shared}
	a.CloseConnections()
	x.WriteHeader(http.StatusNotModified)
	if got := held.Header().Get("Connection"); got != "close" {
		t.Errorf("the answer to a poll that was held has Connection: %q", got)
	}
	if !closes() {
		t.Error("a connection is kept")
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	var clock atomic.Int64
	now := func() time.Time { return time.Unix(clock.Load(), 0) }
	if _, err := connections.LoadCertificates(certFile, keyFile, now, zap.NewNop()); err == nil {
		t.Error("files that are not there were loaded")
	}
	writeCertificate(t, certFile, keyFile, 1)
	certificates, err := connections.LoadCertificates(certFile, keyFile, now, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	a := newAPI(t, nil)
	address := listen(t, a, connections.ServerOptions{TLS: certificates.Config()}, nil)
	serial := func() int64 {
		t.Helper()
		transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
		defer transport.CloseIdleConnections()
		resp, err := (&http.Client{Transport: transport}).Get("https://" + address + "/livez")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.ProtoMajor != 2 {
			t.Errorf("it speaks %s", resp.Proto)
		}
		return resp.TLS.PeerCertificates[0].SerialNumber.Int64()
	}
	steps := []struct {
		what   string
		change func()
		want   int64
	}{
		{"at first", func() {}, 1},
		{"renewed", func() { writeCertificate(t, certFile, keyFile, 22222) }, 22222},
		{"spoilt", func() { overwrite(t, certFile, "nonsense") }, 22222},
		{"gone", func() { _ = os.Remove(keyFile) }, 22222},
		{"repaired", func() { writeCertificate(t, certFile, keyFile, 333) }, 333},
	}
	for _, step := range steps {
		step.change()
		clock.Add(2)
		if got := serial(); got != step.want {
			t.Errorf("%s: got certificate %d, want %d", step.what, got, step.want)
		}
	}
}

func writeCertificate(t *testing.T, certFile, keyFile string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{fmt.Sprint(serial)}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	overwrite(t, keyFile, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	overwrite(t, certFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})))
}

func overwrite(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
