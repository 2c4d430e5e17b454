package agent_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/fleet/agent"
	"github.com/watchbill/watchbill/internal/testkit/await"
)

// network returns the configuration of an agent with its own client, and a server on a real network.
func network(t *testing.T, handler http.Handler, runner agent.Runner) (agent.Config, *httptest.Server) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	cfg := config(nil, runner)
	cfg.Server, cfg.HTTPClient = server.URL, nil
	return cfg, server
}

func TestOverTheNetwork(t *testing.T) {
	server := newFakeServer()
	cfg, _ := network(t, server, agent.Shell{Command: "cat; echo; echo over", Env: os.Environ()})
	cfg.Wait = time.Minute
	stop := start(t, cfg)
	d := server.add("d1", time.Minute)
	await.Until(t, "it has succeeded", func() bool { return server.last(d).Status == "succeeded" })
	if got := server.logOf(d); !strings.Contains(got, `"id":"d1"`) || !strings.HasSuffix(got, "\nover\n") {
		t.Errorf("got the log %q", got)
	}
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

func TestCancelledOverTheNetwork(t *testing.T) {
	server := newFakeServer()
	ended := make(chan error, 1)
	shell := agent.Shell{Command: "echo ready; sleep 1000", Env: os.Environ(), Grace: time.Minute}
	cfg, _ := network(t, server, agent.RunnerFunc(func(ctx context.Context, w agent.Work, out io.Writer) error {
		err := shell.Run(ctx, w, out)
		ended <- err
		return err
	}))
	start(t, cfg)
	d := server.add("d1", 5*time.Second)
	await.Until(t, "it runs", func() bool { return server.logOf(d) == "ready\n" })
	server.set(d, "cancelled", 1)
	if err := <-ended; err == nil || err.Error() != "signal: terminated" {
		t.Errorf("got %v, want it terminated", err)
	}
	if got := server.last(d).Status; got != "running" {
		t.Errorf("last report: got %s, want none since running", got)
	}
}

// A stopped replica closes its kept-alive connections. The next request must not be delayed by that.
func TestBrokenKeepAliveConnectionIsRetried(t *testing.T) {
	fake := newFakeServer()
	fake.interval = "1000"
	var server *httptest.Server
	ran := make(chan struct{})
	cfg, server := network(t, fake, agent.RunnerFunc(func(context.Context, agent.Work, io.Writer) error {
		server.CloseClientConnections() // idle ones; the final report uses one
		close(ran)
		return nil
	}))
	cfg.Jitter = func() float64 { panic("it must not back off") }
	d := fake.add("d1", time.Minute)
	start(t, cfg)
	<-ran
	await.Until(t, "it has succeeded", func() bool { return fake.last(d).Status == "succeeded" })
}

// The token must be sent only to the server, whatever the server responds.
func TestTokenStaysWithTheServer(t *testing.T) {
	reached := make(chan struct{}, 100)
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached <- struct{}{} }))
	t.Cleanup(other.Close)
	asked := make(chan struct{}, 100)
	cfg, _ := network(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		asked <- struct{}{}
	}), agent.RunnerFunc(idle))
	cfg.Jitter = func() float64 { return 0 }
	start(t, cfg)
	<-asked
	<-asked
	select {
	case <-reached:
		t.Error("it followed a redirect to another server")
	default:
	}
}

// A server that accepts connections but never responds must not delay the end.
func TestStopDuringUnresponsiveServer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			accepted <- conn
		}
	}()
	cfg := config(nil, agent.RunnerFunc(idle))
	cfg.Server, cfg.HTTPClient = "http://"+listener.Addr().String(), nil
	stop := start(t, cfg)
	defer (<-accepted).Close()
	began := time.Now()
	if err := stop(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("stopping took %s", took)
	}
}
