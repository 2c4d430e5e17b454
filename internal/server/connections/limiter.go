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

// Limits are the settings of Connections.
type Limits struct {
	// Max is how many connections are open at a time, at least 1.
	Max int
	// UnauthenticatedIdle is how long a connection on which nobody has authenticated may be idle; zero: as long as any.
	UnauthenticatedIdle time.Duration
	// Trusted are the proxies whose connections count as authenticated from the start: a proxy may keep one idle and send
	// another client's request on it at the moment when it is closed.
	Trusted TrustedProxies
	Now     func() time.Time
}

// Limiter limits the connections of a listener. When there are too many, it closes ("sheds") idle ones in favour of the
// new one: first those on which nobody has authenticated, then those that have been idle for longest. Those on which nobody
// has authenticated get at most three quarters of all, so that the rest is left to known callers. One token authenticates
// a limited number: further ones stay among those on which nobody has.
//
// A request on a connection that is kept costs it a few stores to the connection's own memory and no lock.
type Limiter struct {
	limits Limits
	clock  atomic.Int64 // the time, as of the last tick, in nanoseconds of the Unix clock

	mu              sync.Mutex
	unauthenticated []*Conn
	authenticated   []*Conn
	networks        [2]map[netip.Prefix]int // how many each network has of either
	holders         map[fleet.TokenHash]int // how many each token has authenticated

	shed [shedReasons]atomic.Uint64
}

// Why a connection was closed.
const (
	shedUnauthenticated = iota // for another one; nobody had authenticated
	shedIdle                   // for another one
	shedTimeout                // nobody authenticated in time
	shedRefused                // it was new, and none could be closed for it
	shedActive                 // for one of another network; its own has the most, and all are at work
	shedReasons
)

var shedNames = [shedReasons]string{"unauthenticated", "idle", "timeout", "refused", "active"}

// clockTick is how exact the times of authenticated connections are.
const clockTick = 250 * time.Millisecond

// New makes the limits of one listener. They hold while Run runs.
func New(limits Limits) *Limiter {
	c := &Limiter{
		limits: limits, holders: map[fleet.TokenHash]int{},
		networks: [2]map[netip.Prefix]int{{}, {}},
	}
	c.clock.Store(limits.Now().UnixNano())
	return c
}

// Run closes connections on which nobody authenticates in time, until ctx is done.
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

// Expire closes unauthenticated connections that have been idle since before a time.
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

// Listener returns one whose connections are limited.
func (c *Limiter) Listener(l net.Listener) net.Listener { return &limitedListener{l, c} }

type limitedListener struct {
	net.Listener
	connections *Limiter
}

// Accept returns the next connection that there is a place for.
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
		_ = conn.Close() // nothing was said on it yet
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

// set returns the set that a connection is in, and its networks. Its caller has the lock.
func (c *Limiter) set(conn *Conn) (*[]*Conn, map[netip.Prefix]int) {
	if conn.known.Load() {
		return &c.authenticated, c.networks[1]
	}
	return &c.unauthenticated, c.networks[0]
}

// add puts a connection into its set. Its caller has the lock.
func (c *Limiter) add(conn *Conn) {
	set, networks := c.set(conn)
	conn.place = len(*set)
	*set = append(*set, conn)
	networks[conn.network]++
}

// remove takes a connection out of its set, if it is in one. Its caller has the lock.
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
	connectionNew    int32 = iota // nothing came yet
	connectionActive              // a request is under way
	connectionIdle
)

// Conn is one that is counted.
type Conn struct {
	net.Conn
	owner *Limiter
	state atomic.Int32
	known atomic.Bool  // somebody has authenticated on it
	since atomic.Int64 // when the state began, in nanoseconds of the Unix clock
	place int          // in its set; below 0: in none; under owner.mu
	end   time.Time    // when it should be closed; zero: never

	network netip.Prefix    // of its peer
	holder  fleet.TokenHash // the token that authenticated it; zero: one that is not limited; under owner.mu
}

// Close closes it and makes its place free.
func (c *Conn) Close() error {
	c.owner.mu.Lock()
	c.owner.remove(c)
	c.owner.mu.Unlock()
	return c.Conn.Close()
}

// Holder is whose token authenticates a connection.
type Holder struct {
	Token fleet.TokenHash // zero: an administrator or a trusted proxy, whom nothing limits
	Agent bool
}

// most returns how many connections the holder's token may authenticate of so many: a quarter; of an agent, which needs a
// few, a 64th.
func (h Holder) limit(all int) int {
	if h.Agent {
		return max(MaxAgentConnections, all/64)
	}
	return max(MaxAgentConnections, all/4)
}

// MaxAgentConnections is how many connections an agent may have at least.
const MaxAgentConnections = 16

// IsAuthenticated reports whether there is nothing to tell authenticate.
func (c *Conn) IsAuthenticated() bool { return c == nil || c.owner == nil || c.known.Load() }

// Authenticate notes that somebody has authenticated. A connection beyond what one token may have stays as it is.
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

// counted returns what is known of a server's connection; nil where no Connections has it.
func counted(conn net.Conn) *Conn {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	c, _ := conn.(*Conn)
	return c
}

// ConnState is the ConnState of an http.Server whose listener Connections made.
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

// TooOld reports whether the connection should be closed at the end of the request.
func (c *Conn) TooOld(now time.Time) bool {
	return c != nil && !c.end.IsZero() && now.After(c.end)
}

// connectionKey is the key of a request's connection, in its context.
type connectionKey struct{}

// Of returns the connection of a request, by its context; nil if nobody counts it.
func Of(ctx context.Context) *Conn {
	c, _ := ctx.Value(connectionKey{}).(*Conn)
	return c
}

// Clock returns the time as of the last tick, by which connections that are idle are compared.
func (c *Limiter) Clock() time.Time { return time.Unix(0, c.clock.Load()) }

// Sample counts the connections.
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
