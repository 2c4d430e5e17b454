package server

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/server/connections"
	"github.com/watchbill/watchbill/internal/server/endpoint"
	"github.com/watchbill/watchbill/internal/testkit/await"
)

// deployLarge creates n deployments for an agent, with specs of nearly 256 KiB.
func deployLarge(t *testing.T, a *api, agent string, n int) {
	t.Helper()
	body := encode(t, map[string]any{"agent_ids": []string{agent}, "name": "large", "spec": map[string]string{"x": strings.Repeat("x", 255<<10)}})
	for range n {
		a.send(t, request{method: "POST", path: "/api/deployments", token: adminToken, body: body}).want(http.StatusCreated)
	}
}

// An agent with more deployments than fit into one response receives them page by page, as it claims them.
func TestLargePollsArePaged(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	token := a.enroll(t, "a1")
	deployLarge(t, a, "a1", 10)
	seen := map[string]bool{}
	tag := ""
	for len(seen) < 10 {
		poll := request{method: "GET", path: "/api/deployments/pending/a1?wait=5s", token: token, header: map[string]string{"If-None-Match": tag}}
		var answer openapi.PendingDeployments
		got := a.send(t, poll).want(http.StatusOK)
		got.decode(&answer)
		if len(answer.Deployments) == 0 || got.Body.Len() > 1<<20+16<<10 {
			t.Fatalf("got %d deployments in %d bytes", len(answer.Deployments), got.Body.Len())
		}
		tag = got.Header().Get("Etag")
		again := a.send(t, request{method: "GET", path: "/api/deployments/pending/a1", token: token, header: map[string]string{"If-None-Match": tag}})
		if again.Code != http.StatusNotModified || again.Header().Get("Etag") != tag {
			t.Fatalf("the same again: got %d with the tag %s, want 304 with %s", again.Code, again.Header().Get("Etag"), tag)
		}
		for _, d := range answer.Deployments {
			if seen[d.ID] {
				t.Fatalf("%s was listed after it was claimed", d.ID)
			}
			seen[d.ID] = true
			a.send(t, request{
				method: "POST", path: "/api/deployments/" + d.ID + "/status", token: token,
				body: encode(t, map[string]any{"attempt": 1, "claim": "c", "status": "running"}),
			}).want(http.StatusOK)
		}
	}
}

// narrow connects with a small receive buffer and requests a path, without reading the response.
func narrow(t *testing.T, address, path, token string) net.Conn {
	t.Helper()
	dialer := net.Dialer{Control: func(_, _ string, socket syscall.RawConn) error {
		return socket.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10) })
	}}
	conn, err := dialer.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer "+token+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	return conn
}

// awaitAnswers waits until ok returns true for the number of bytes held by large responses.
func awaitAnswers(t *testing.T, a *api, ok func(inUse int64) bool) {
	t.Helper()
	await.Until(t, "the expected number of bytes is held", func() bool { return ok(a.shared.Responses.InUse()) })
}

// Clients that read nothing use up the budget: one agent's at most its share, all agents' at most theirs. Small
// responses are not rejected, and the first clients get their responses in the end.
func TestSlowReadersShareABudget(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	a.shared.Responses = endpoint.NewBudget(8 << 20) // of which agents get half
	_, address := listenLimited(t, a, connections.Limits{Max: 100})
	tokens := map[string]string{}
	for _, id := range []string{"a1", "a2", "idle"} {
		tokens[id] = a.enroll(t, id)
	}
	deployLarge(t, a, "a1", 4)
	deployLarge(t, a, "a2", 1)
	large := "/api/deployments/pending/a1"
	var slow []net.Conn
	awaitUse := func(minimum int64) { awaitAnswers(t, a, func(inUse int64) bool { return inUse >= minimum }) }
	for i := range 4 {
		slow = append(slow, narrow(t, address, large, tokens["a1"]))
		awaitUse(int64(i+1) * 4 * (255 << 10))
	}
	got := a.send(t, request{method: "GET", path: large, token: tokens["a1"]}).want(http.StatusTooManyRequests)
	if p := got.problem(); p.Code != "busy" || got.Header().Get("Retry-After") == "" || got.Header().Get("Etag") != "" {
		t.Errorf("the agent's own share: got %+v with %v", p, got.Header())
	}
	got = a.send(t, request{method: "GET", path: "/api/deployments/pending/a2", token: tokens["a2"]}).want(http.StatusServiceUnavailable)
	if p := got.problem(); p.Code != "busy" || got.Header().Get("Retry-After") == "" {
		t.Errorf("another agent's: got %+v with %v", p, got.Header())
	}
	a.send(t, request{method: "GET", path: "/api/deployments/pending/idle", token: tokens["idle"]}).want(http.StatusOK)
	a.send(t, request{method: "GET", path: "/api/deployments?limit=500", token: adminToken}).want(http.StatusOK)
	for _, conn := range slow {
		if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		all, err := io.ReadAll(conn)
		if err != nil || !bytes.HasPrefix(all, []byte("HTTP/1.1 200")) || !bytes.HasSuffix(all, []byte("}")) || len(all) < 1<<20-8<<10 {
			t.Errorf("a slow reader got %d bytes, %v", len(all), err)
		}
	}
	awaitAnswers(t, a, func(inUse int64) bool { return inUse == 0 })
}

// The test's server clock is so far behind that the write deadline of a response part expires at once.
func TestClientsThatReadNothingAreDisconnected(t *testing.T) {
	t.Parallel()
	var behind atomic.Int64
	a := newAPI(t, func(o *Options) { o.Now = func() time.Time { return time.Now().Add(-time.Duration(behind.Load())) } })
	_, address := listenLimited(t, a, connections.Limits{Max: 100})
	token := a.enroll(t, "a1")
	deployLarge(t, a, "a1", 4)
	behind.Store(int64(endpoint.ProgressWithin - 100*time.Millisecond))
	conn := narrow(t, address, "/api/deployments/pending/a1", token)
	awaitAnswers(t, a, func(inUse int64) bool { return inUse > 0 })
	awaitAnswers(t, a, func(inUse int64) bool { return inUse == 0 })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if all, err := io.ReadAll(conn); len(all) > 512<<10 {
		t.Errorf("got %d bytes, %v", len(all), err)
	}
}
