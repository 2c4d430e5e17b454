package server

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/server/connections"
	"github.com/watchbill/watchbill/internal/testkit/await"
)

// listenLimited serves a handler over limited connections. Connections do not expire unless the caller runs Run.
func listenLimited(t *testing.T, handler http.Handler, limits connections.Limits) (*connections.Limiter, string) {
	t.Helper()
	limits.Now = time.Now
	limiter := connections.New(limits)
	server, err := connections.NewServer(handler, connections.ServerOptions{Log: zap.NewNop(), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(limiter.Listener(listener)) // returns after Close
	}()
	t.Cleanup(func() { _ = server.Close(); <-done })
	return limiter, listener.Addr().String()
}

// kept is a kept-alive connection.
type kept struct {
	net.Conn
	reader *bufio.Reader
}

func dial(t *testing.T, address string) *kept {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &kept{conn, bufio.NewReader(conn)}
}

// get requests a path and returns the status, or 0 if the connection was closed.
func (k *kept) get(path, token string) int {
	if _, err := io.WriteString(k, "GET "+path+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+token+"\r\n\r\n"); err != nil {
		return 0
	}
	resp, err := http.ReadResponse(k.reader, nil)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode
}

func awaitSample(t *testing.T, c *connections.Limiter, what string, ok func(unauthenticated, active, idle int) bool) {
	t.Helper()
	await.Until(t, what, func() bool {
		s := c.Sample()
		return ok(s.Unauthenticated, s.Active, s.Idle)
	})
}

// When many more connections than the limit are opened, known callers keep theirs and new ones get responses.
func TestUnauthenticatedConnectionsAreShedFirst(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	token := a.enroll(t, "a1")
	const limit = 16
	limiter, address := listenLimited(t, a, connections.Limits{Max: limit})
	var agents []*kept
	for range 4 {
		agent := dial(t, address)
		if got := agent.get("/api/deployments/pending/a1", token); got != http.StatusOK {
			t.Fatalf("a poll: got %d", got)
		}
		agents = append(agents, agent)
	}
	for i := range 3 * limit {
		c := dial(t, address)
		if i%2 == 0 { // the others send nothing
			if got := c.get("/livez", ""); got != http.StatusOK {
				t.Fatalf("connection %d: got %d", i, got)
			}
		}
	}
	awaitSample(t, limiter, "at most three quarters without a token", func(unauthenticated, active, idle int) bool {
		return unauthenticated <= limit/4*3 && unauthenticated > 0 && active+idle == len(agents)
	})
	for i, agent := range agents {
		if got := agent.get("/api/deployments/pending/a1", token); got != http.StatusOK {
			t.Errorf("agent %d: got %d", i, got)
		}
	}
	if got := dial(t, address).get("/api/health", ""); got != http.StatusOK {
		t.Errorf("health: got %d", got)
	}
	if s := limiter.Sample(); s.Shed["unauthenticated"] == 0 || s.Shed["idle"] != 0 || s.Shed["refused"] != 0 {
		t.Errorf("got %+v", s)
	}
}

// When known callers use up the limit, the connection that has been idle longest is closed.
func TestOldestIdleConnectionIsShed(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	token := a.enroll(t, "a1")
	const limit = 4
	limiter, address := listenLimited(t, a, connections.Limits{Max: limit})
	run(t, limiter.Run) // advances the clock by which idle times are compared
	var agents []*kept
	for range limit {
		agent := dial(t, address)
		agents = append(agents, agent)
		if got := agent.get("/api/deployments/pending/a1", token); got != http.StatusOK {
			t.Fatalf("a poll: got %d", got)
		}
	}
	awaitSample(t, limiter, "all idle", func(_, _, idle int) bool { return idle == limit })
	before := limiter.Clock()
	await.Until(t, "the limiter's clock moves", func() bool { return !limiter.Clock().Equal(before) })
	for _, agent := range agents[1:] {
		if got := agent.get("/api/deployments/pending/a1", token); got != http.StatusOK {
			t.Fatalf("a poll: got %d", got)
		}
	}
	awaitSample(t, limiter, "all idle again", func(_, _, idle int) bool { return idle == limit })
	if got := dial(t, address).get("/livez", ""); got != http.StatusOK {
		t.Errorf("a new connection: got %d", got)
	}
	for i, agent := range agents {
		want := http.StatusOK
		if i == 0 {
			want = 0
		}
		if got := agent.get("/api/deployments/pending/a1", token); got != want {
			t.Errorf("agent %d: got %d, want %d", i, got, want)
		}
	}
	if s := limiter.Sample(); s.Shed["idle"] != 1 {
		t.Errorf("got %+v", s)
	}
}

// When held polls use up the limit, a new connection is closed and the polls continue.
func TestHeldPollsAreNotShed(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	const limit = 4
	limiter, address := listenLimited(t, a, connections.Limits{Max: limit})
	answers := make(chan int, limit)
	for i := range limit {
		id := string(rune('a' + i))
		token := a.enroll(t, id)
		agent := dial(t, address)
		go func() { answers <- agent.get("/api/deployments/pending/"+id+"?wait=10s", token) }()
		awaitSample(t, limiter, "held", func(_, active, _ int) bool { return active == i+1 })
	}
	if got := dial(t, address).get("/livez", ""); got != 0 {
		t.Errorf("one too many: got %d", got)
	}
	a.deploy(t, "a", "b", "c", "d")
	for range limit {
		if got := <-answers; got != http.StatusOK {
			t.Errorf("a held poll: got %d", got)
		}
	}
	if s := limiter.Sample(); s.Shed["refused"] != 1 {
		t.Errorf("got %+v", s)
	}
}

// Connections that are not authenticated in time are closed, and no others.
func TestUnauthenticatedConnectionsExpire(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	token := a.enroll(t, "a1")
	limiter, address := listenLimited(t, a, connections.Limits{Max: 16, UnauthenticatedIdle: 50 * time.Millisecond})
	agent, other := dial(t, address), dial(t, address)
	if got := agent.get("/api/deployments/pending/a1", token); got != http.StatusOK {
		t.Fatalf("a poll: got %d", got)
	}
	if got := other.get("/livez", ""); got != http.StatusOK {
		t.Fatalf("livez: got %d", got)
	}
	run(t, limiter.Run)
	if _, err := other.reader.ReadByte(); err != io.EOF {
		t.Errorf("want the connection closed, got %v", err)
	}
	if got := agent.get("/api/deployments/pending/a1", token); got != http.StatusOK {
		t.Errorf("the agent's: got %d", got)
	}
	if s := limiter.Sample(); s.Shed["timeout"] != 1 {
		t.Errorf("got %+v", s)
	}
}

// A trusted proxy's connection does not expire, even if no token was sent on it yet.
func TestConnectionsOfTrustedProxiesStay(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	trusted, err := connections.ParseTrustedProxies([]string{"127.0.0.0/8"})
	if err != nil {
		t.Fatal(err)
	}
	limiter, address := listenLimited(t, a, connections.Limits{Max: 16, UnauthenticatedIdle: time.Nanosecond, Trusted: trusted})
	proxy := dial(t, address)
	if got := proxy.get("/livez", ""); got != http.StatusOK {
		t.Fatalf("livez: got %d", got)
	}
	limiter.Expire(time.Now().Add(time.Hour))
	if got := proxy.get("/livez", ""); got != http.StatusOK {
		t.Errorf("a proxy's connection is closed: got %d", got)
	}
	if s := limiter.Sample(); s.Unauthenticated != 0 || s.Shed["timeout"] != 0 {
		t.Errorf("got %+v", s)
	}
}

// dialFrom dials from the given address of the loopback network.
func dialFrom(t *testing.T, from, address string) *kept {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := dialer.Dial("tcp", address)
	if err != nil {
		t.Skipf("cannot dial from %s: %v", from, err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &kept{conn, bufio.NewReader(conn)}
}

const unfinished = "POST /api/deployments/0192aaaa-0000-7000-8000-000000000000/status HTTP/1.1\r\nHost: x\r\n" +
	"Content-Type: application/json\r\nContent-Length: 60\r\nAuthorization: Bearer "

// One agent opens more connections than the limit, each kept active by an unfinished body. Other agents' new
// connections are still served.
func TestConnectionsPerTokenAreLimited(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	token, other := a.enroll(t, "a1"), a.enroll(t, "a2")
	const limit = 64
	limiter, address := listenLimited(t, a, connections.Limits{Max: limit})
	for range limit + 8 {
		c := dial(t, address)
		if c.get("/api/deployments/pending/a1", token) == http.StatusOK {
			_, _ = io.WriteString(c, unfinished+token+"\r\n\r\n{")
		}
	}
	for i := range 4 {
		if got := dialFrom(t, "127.0.1.1", address).get("/api/deployments/pending/a2", other); got != http.StatusOK {
			t.Errorf("another agent's connection %d: got %d", i, got)
		}
	}
	if s := limiter.Sample(); s.Active+s.Idle > connections.MaxAgentConnections+4 || s.Shed["refused"] != 0 {
		t.Errorf("got %+v", s)
	}
}

// TestConnectionsPerNetworkAreLimited does the same from one network with a different token for each connection.
func TestConnectionsPerNetworkAreLimited(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	other := a.enroll(t, "other")
	const limit = 8
	limiter, address := listenLimited(t, a, connections.Limits{Max: limit})
	for i := range limit {
		id := "a" + string(rune('a'+i))
		token := a.enroll(t, id)
		c := dial(t, address)
		if got := c.get("/api/deployments/pending/"+id, token); got != http.StatusOK {
			t.Fatalf("agent %d: got %d", i, got)
		}
		if _, err := io.WriteString(c, unfinished+token+"\r\n\r\n{"); err != nil {
			t.Fatal(err)
		}
		awaitSample(t, limiter, "all at work", func(_, active, _ int) bool { return active == i+1 })
	}
	if got := dialFrom(t, "127.0.1.1", address).get("/api/deployments/pending/other", other); got != http.StatusOK {
		t.Errorf("another network's connection: got %d", got)
	}
	if s := limiter.Sample(); s.Shed["active"] != 1 {
		t.Errorf("got %+v", s)
	}
}

// While one network opens many connections without sending anything, a new connection of another network is not closed
// before its client had time to send a request.
func TestNewConnectionsGetTimeForARequest(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	token := a.enroll(t, "a1")
	const limit = 32
	limiter, address := listenLimited(t, a, connections.Limits{Max: limit})
	for range limit {
		dial(t, address)
	}
	agent := dialFrom(t, "127.0.1.1", address)
	for range 2 * limit {
		dial(t, address)
	}
	awaitSample(t, limiter, "many were shed", func(_, _, _ int) bool { return limiter.Sample().Shed["unauthenticated"] > limit })
	if got := agent.get("/api/deployments/pending/a1", token); got != http.StatusOK {
		t.Errorf("the agent: got %d", got)
	}
}

// When idle connections of known callers use up the limit, two new ones opened together are both served: neither
// displaces the other.
func TestNewConnectionsAmongAuthenticatedIdleOnes(t *testing.T) {
	t.Parallel()
	a := newAPI(t, nil)
	const limit = 8
	limiter, address := listenLimited(t, a, connections.Limits{Max: limit})
	for i := range limit {
		id := "a" + string(rune('a'+i))
		if got := dial(t, address).get("/api/deployments/pending/"+id, a.enroll(t, id)); got != http.StatusOK {
			t.Fatalf("agent %d: got %d", i, got)
		}
	}
	awaitSample(t, limiter, "all idle", func(_, _, idle int) bool { return idle == limit })
	first, second := dial(t, address), dial(t, address)
	awaitSample(t, limiter, "both are there", func(unauthenticated, _, _ int) bool { return unauthenticated == 2 })
	for i, c := range []*kept{first, second} {
		if got := c.get("/livez", ""); got != http.StatusOK {
			t.Errorf("connection %d: got %d", i, got)
		}
	}
}
