package connections

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/observe/metrics"
)

// Limits are the settings of a Limiter.
type Limits struct {
	// Max is the maximum number of open connections, at least 1.
	Max int
	// UnauthenticatedIdle is how long an unauthenticated connection may be idle. If zero, it has no separate limit.
	UnauthenticatedIdle time.Duration
	// Trusted are the proxies whose connections count as authenticated from the start. A proxy may keep a connection
	// idle, and send another client's request on it just when it is closed.
	Trusted TrustedProxies
	Now     func() time.Time
}

// Limiter limits the connections of a listener. When there are too many, it closes ("sheds") idle ones in favor of a
// new one: first unauthenticated ones, then those that have been idle longest. A connection is unauthenticated until a
// request on it has a valid token. Unauthenticated connections may be at most three quarters of all, so that the rest
// is left to known callers. One token authenticates a limited number of connections; others stay unauthenticated.
//
// A request on a kept-alive connection costs a few stores to the connection's own memory and no lock.
type Limiter struct {
	limits Limits
	clock  atomic.Int64 // time of the last tick, in Unix nanoseconds

	mu              sync.Mutex
	unauthenticated []*Conn
	authenticated   []*Conn
	networks        [2]map[netip.Prefix]int // by network, number of unauthenticated (0) and authenticated (1) connections
	holders         map[fleet.TokenHash]int // number of connections that each token has authenticated

	shed [shedReasons]atomic.Uint64
}

// Reasons for closing a connection.
const (
	shedUnauthenticated = iota // unauthenticated, closed for a new one
	shedIdle                   // authenticated and idle, closed for a new one
	shedTimeout                // not authenticated in time
	shedRefused                // new, and no other could be closed for it
	shedActive                 // active and of the network with the most, closed for one of another network
	shedReasons
)

var shedNames = [shedReasons]string{"unauthenticated", "idle", "timeout", "refused", "active"}

// clockTick is the resolution of the times of authenticated connections.
const clockTick = 250 * time.Millisecond

// New returns a Limiter for one listener. Run must run while it is used.
func New(limits Limits) *Limiter {
	c := &Limiter{
		limits: limits, holders: map[fleet.TokenHash]int{},
		networks: [2]map[netip.Prefix]int{{}, {}},
	}
	c.clock.Store(limits.Now().UnixNano())
	return c
}

// Run updates the clock and closes connections that are not authenticated in time, until ctx is done.
func (c *Limiter) Run(ctx context.Context) error {
	ticker := time.NewTicker(clockTick)
	defer ticker.Stop()
	for ticks := 0; ; ticks++ {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		now := c.limits.Now()
		c.clock.Store(now.UnixNano())
		if ticks%4 == 0 && c.limits.UnauthenticatedIdle > 0 {
			c.Expire(now.Add(-c.limits.UnauthenticatedIdle))
		}
	}
}

// Expire closes unauthenticated connections that have been idle since before the given time.
func (c *Limiter) Expire(before time.Time) {
	c.mu.Lock()
	var expired []*Conn
	for _, conn := range c.unauthenticated {
		if conn.state.Load() == connectionIdle && conn.since.Load() < before.UnixNano() {
			expired = append(expired, conn)
		}
	}
	c.mu.Unlock()
	c.close(expired, shedTimeout)
}

// Listener returns a listener that limits the connections of l.
func (c *Limiter) Listener(l net.Listener) net.Listener { return &limitedListener{l, c} }

type limitedListener struct {
	net.Listener
	connections *Limiter
}

// Accept returns the next connection that is admitted. It closes the others.
func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if accepted := l.connections.admit(conn); accepted != nil {
			limitUnsent(conn)
			return accepted, nil
		}
		_ = conn.Close() // nothing was sent on it yet
	}
}

func (c *Limiter) admit(raw net.Conn) *Conn {
	conn := &Conn{Conn: raw, owner: c, network: networkOf(raw.RemoteAddr())}
	conn.since.Store(c.limits.Now().UnixNano())
	c.mu.Lock()
	victims, reason := c.victims(conn.network)
	if len(victims) == 0 && reason == shedRefused {
		c.mu.Unlock()
		c.shed[shedRefused].Add(1)
		return nil
	}
	for _, victim := range victims {
		c.remove(victim)
	}
	c.add(conn)
	c.mu.Unlock()
	c.close(victims, reason)
	if c.limits.Trusted.containPeer(raw.RemoteAddr().String()) {
		conn.Authenticate(Holder{})
	}
	return conn
}

func (c *Limiter) close(victims []*Conn, reason int) {
	for _, victim := range victims {
		c.shed[reason].Add(1)
		_ = victim.Close() // its handler sees the error
	}
}

// set returns the set that a connection belongs to, and that set's counts by network. The caller must hold c.mu.
func (c *Limiter) set(conn *Conn) (*[]*Conn, map[netip.Prefix]int) {
	if conn.known.Load() {
		return &c.authenticated, c.networks[1]
	}
	return &c.unauthenticated, c.networks[0]
}

// add adds a connection to its set. The caller must hold c.mu.
func (c *Limiter) add(conn *Conn) {
	set, networks := c.set(conn)
	conn.place = len(*set)
	*set = append(*set, conn)
	networks[conn.network]++
}

// remove removes a connection from its set, if it is in one. The caller must hold c.mu.
func (c *Limiter) remove(conn *Conn) {
	if conn.place < 0 {
		return
	}
	set, networks := c.set(conn)
	last := len(*set) - 1
	moved := (*set)[last]
	(*set)[conn.place], moved.place = moved, conn.place
	(*set)[last] = nil
	*set = (*set)[:last]
	conn.place = -1
	countDown(networks, conn.network)
	if conn.known.Load() && conn.holder != (fleet.TokenHash{}) {
		countDown(c.holders, conn.holder)
	}
}

func countDown[K comparable](counts map[K]int, key K) {
	if counts[key]--; counts[key] <= 0 {
		delete(counts, key)
	}
}

// The states of a connection.
const (
	connectionNew    int32 = iota // no request was received yet
	connectionActive              // a request is under way
	connectionIdle
)

// Conn is a connection that a Limiter counts.
type Conn struct {
	net.Conn
	owner *Limiter
	state atomic.Int32
	known atomic.Bool  // whether it is authenticated
	since atomic.Int64 // when the state began, in Unix nanoseconds
	place int          // index in its set, or negative if in none; guarded by owner.mu
	end   time.Time    // when it should be closed; zero if never

	network netip.Prefix    // of its peer
	holder  fleet.TokenHash // token that authenticated it; zero for holders without limit; guarded by owner.mu
}

// Close closes the connection and frees its place in the limit.
func (c *Conn) Close() error {
	c.owner.mu.Lock()
	c.owner.remove(c)
	c.owner.mu.Unlock()
	return c.Conn.Close()
}

// Holder is the caller whose token authenticates a connection.
type Holder struct {
	Token fleet.TokenHash // zero for an administrator or a trusted proxy, which have no limit
	Agent bool
}

// limit returns how many of all connections the holder's token may authenticate: a quarter or, for an agent, which
// needs few, a 64th; but at least MaxAgentConnections.
func (h Holder) limit(all int) int {
	if h.Agent {
		return max(MaxAgentConnections, all/64)
	}
	return max(MaxAgentConnections, all/4)
}

// MaxAgentConnections is the number of connections that an agent may have whatever Limits.Max is.
const MaxAgentConnections = 16

// IsAuthenticated reports whether Authenticate need not be called: the connection is authenticated or not limited.
func (c *Conn) IsAuthenticated() bool { return c == nil || c.owner == nil || c.known.Load() }

// Authenticate marks the connection as authenticated, unless the holder's token has reached its limit of connections.
func (c *Conn) Authenticate(by Holder) {
	if c.IsAuthenticated() {
		return
	}
	o := c.owner
	o.mu.Lock()
	defer o.mu.Unlock()
	if c.place < 0 || c.known.Load() {
		return
	}
	if by.Token != (fleet.TokenHash{}) {
		if o.holders[by.Token] >= by.limit(o.limits.Max) {
			return
		}
		o.holders[by.Token]++
	}
	o.remove(c)
	c.holder = by.Token
	c.known.Store(true)
	o.add(c)
}

// counted returns the Conn of a server's connection, or nil if no Limiter counts it.
func counted(conn net.Conn) *Conn {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	c, _ := conn.(*Conn)
	return c
}

// ConnState is the ConnState hook for an http.Server that serves a Limiter's listener.
func ConnState(conn net.Conn, state http.ConnState) {
	c := counted(conn)
	if c == nil {
		return
	}
	switch state {
	case http.StateActive:
		c.enter(connectionActive)
	case http.StateIdle:
		c.enter(connectionIdle)
	}
}

func (c *Conn) enter(state int32) {
	now := c.owner.clock.Load()
	if !c.known.Load() {
		now = c.owner.limits.Now().UnixNano()
	}
	c.since.Store(now)
	c.state.Store(state)
}

// TooOld reports whether the connection has reached its maximum age and should be closed after the request.
func (c *Conn) TooOld(now time.Time) bool {
	return c != nil && !c.end.IsZero() && now.After(c.end)
}

// connectionKey is the context key of a request's connection.
type connectionKey struct{}

// Of returns the connection of a request from its context, or nil if there is none.
func Of(ctx context.Context) *Conn {
	c, _ := ctx.Value(connectionKey{}).(*Conn)
	return c
}

// Clock returns the time of the last tick, which idle times are measured with.
func (c *Limiter) Clock() time.Time { return time.Unix(0, c.clock.Load()) }

// Sample returns the current numbers of connections, for metrics.
func (c *Limiter) Sample() metrics.ConnectionSample {
	s := metrics.ConnectionSample{Max: c.limits.Max, Shed: make(map[string]uint64, shedReasons)}
	for reason, name := range shedNames {
		s.Shed[name] = c.shed[reason].Load()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Unauthenticated = len(c.unauthenticated)
	for _, conn := range c.authenticated {
		if conn.state.Load() == connectionActive {
			s.Active++
		}
	}
	s.Idle = len(c.authenticated) - s.Active
	return s
}
