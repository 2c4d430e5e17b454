package server

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/watchbill/watchbill/internal/live"
	"github.com/watchbill/watchbill/internal/server/connections"
	livestreams "github.com/watchbill/watchbill/internal/server/live"
	"github.com/watchbill/watchbill/internal/testkit/await"
)

// openLive opens a live stream on a connection of its own, and reads the first line of the response.
func openLive(t *testing.T, address string, header map[string]string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	text := "GET /api/live HTTP/1.1\r\nHost: " + address + "\r\n"
	for name, value := range header {
		text += name + ": " + value + "\r\n"
	}
	if _, err := io.WriteString(conn, text+"\r\n"); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(conn)
	if line, err := lines.ReadString('\n'); err != nil || !strings.Contains(line, " 200 ") {
		t.Fatalf("got %q, %v", line, err)
	}
	return conn, lines
}

// readTo reads up to a line that begins with a text.
func readTo(t *testing.T, lines *bufio.Reader, text string) {
	t.Helper()
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("no line begins with %q: %v", text, err)
		}
		if strings.HasPrefix(line, text) {
			return
		}
	}
}

func newLiveAPI(t *testing.T) (a *api, address string, ends chan string) {
	ends = make(chan string, 100)
	a = newAPI(t, func(o *Options) { o.LiveEnds = func(reason string) { ends <- reason } })
	return a, listen(t, a, connections.ServerOptions{}, nil), ends
}

func TestLiveStreamEndsWithItsSession(t *testing.T) {
	t.Parallel()
	a, address, ends := newLiveAPI(t)
	s := a.signIn(t, adminToken)
	_, lines := openLive(t, address, map[string]string{"Cookie": s.header()["Cookie"]})
	readTo(t, lines, "retry: ")
	if err := a.options.Live.Publish(live.Event{Name: "n", Data: 1}); err != nil {
		t.Fatal(err)
	}
	readTo(t, lines, "event: n")
	a.send(t, request{method: "DELETE", path: "/api/session", header: s.header()}).want(http.StatusNoContent)
	readTo(t, lines, "0\r") // the end of a chunked body
	if got := <-ends; got != livestreams.Over {
		t.Errorf("the stream ended because of %q", got)
	}
}

func TestLiveStreamsHaveHeartbeats(t *testing.T) {
	t.Parallel()
	a, address, ends := newLiveAPI(t)
	a.live.Heartbeat = 10 * time.Millisecond
	conn, lines := openLive(t, address, map[string]string{"Authorization": "Bearer " + adminToken})
	for range 3 {
		readTo(t, lines, ": heartbeat")
	}
	_ = conn.Close()
	if got := <-ends; got != livestreams.ClientGone {
		t.Errorf("the stream ended because of %q", got)
	}
	await.Until(t, "no viewer is left", func() bool { return a.options.Live.Viewers() == 0 })
}

func TestSlowReadersAreDisconnected(t *testing.T) {
	t.Parallel()
	a, address, ends := newLiveAPI(t)
	a.live.WriteWithin = 200 * time.Millisecond
	openLive(t, address, map[string]string{"Authorization": "Bearer " + adminToken})
	large := strings.Repeat("x", 60_000)
	for end := time.Now().Add(30 * time.Second); ; {
		if err := a.options.Live.Publish(live.Event{Name: "n", Data: large}); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-ends:
			if got != livestreams.TooSlow {
				t.Errorf("the stream ended because of %q", got)
			}
			return
		case <-time.After(time.Millisecond):
		}
		if time.Now().After(end) {
			t.Fatal("a client that reads nothing is still connected")
		}
	}
}

func TestBadLiveStreams(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	get := func(path, token string) response { return a.send(t, request{method: "GET", path: path, token: token}) }
	get("/api/live", "-").want(http.StatusForbidden)
	get("/api/live", ingestToken).want(http.StatusForbidden)
	get("/api/live?last-event-id=1", adminToken).want(http.StatusBadRequest)
	a.send(t, request{method: "HEAD", path: "/api/live", token: adminToken}).want(http.StatusOK)
	for range live.MaxViewers {
		viewer, err := a.options.Live.Join("")
		if err != nil {
			t.Fatal(err)
		}
		defer viewer.Leave()
	}
	full := get("/api/live", adminToken)
	full.wantCode(http.StatusServiceUnavailable, "too_many_viewers")
	if full.Header().Get("Retry-After") == "" {
		t.Error("there is no Retry-After")
	}
	a.options.Live.Close()
	get("/api/live", adminToken).want(http.StatusServiceUnavailable)
}
