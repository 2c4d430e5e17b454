package httpapi

import (
	"cmp"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchbill/watchbill/internal/telemetry"
)

// ConnectionLimits are the settings of Connections.
type ConnectionLimits struct {
	// Max is how many connections are open at a time, at least 1.
	Max int
	// UnauthenticatedIdle is how long a connection on which nobody has authenticated may be idle; zero: as long as any.
	UnauthenticatedIdle time.Duration
	// Trusted are the proxies whose connections count as authenticated from the start: a proxy may keep one idle and send
	// another client's request on it at the moment when it is closed.
	Trusted TrustedProxies
	Now     func() time.Time
}

// Connections limits the connections of a listener. When there are too many, it closes ("sheds") idle ones in favour of the
// new one: first those on which nobody has authenticated, then those that have been idle for longest. Those on which nobody
// has authenticated get at most three quarters of all, so that the rest is left to known callers.
//
// A request on a connection that is kept costs it a few stores to the connection's own memory and no lock.
type Connections struct {
	limits ConnectionLimits
	clock  atomic.Int64 // the time, as of the last tick, in nanoseconds of the Unix clock

	mu              sync.Mutex
	unauthenticated []*connection
	authenticated   []*connection

	shed [shedReasons]atomic.Uint64
}

// Why a connection was closed.
const (
	shedUnauthenticated = iota // for another one; nobody had authenticated
	shedIdle                   // for another one
	shedTimeout                // nobody authenticated in time
	shedRefused                // it was new, and none could be closed for it
	shedReasons
)

var shedNames = [shedReasons]string{"unauthenticated", "idle", "timeout", "refused"}

// clockTick is how exact the times of authenticated connections are.
const clockTick = 250 * time.Millisecond

// NewConnections makes the limits of one listener. They hold while Run runs.
func NewConnections(limits ConnectionLimits) *Connections {
	c := &Connections{limits: limits}
	c.clock.Store(limits.Now().UnixNano())
	return c
}

// Run closes connections on which nobody authenticates in time, until ctx is done.
func (c *Connections) Run(ctx context.Context) error {
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
			c.expire(now.Add(-c.limits.UnauthenticatedIdle))
		}
	}
}

// expire closes unauthenticated connections that have been idle since before a time.
func (c *Connections) expire(before time.Time) {
	c.mu.Lock()
	var expired []*connection
	for _, conn := range c.unauthenticated {
		if conn.state.Load() == connectionIdle && conn.since.Load() < before.UnixNano() {
			expired = append(expired, conn)
		}
	}
	c.mu.Unlock()
	c.close(expired, shedTimeout)
}

// Listener returns one whose connections are limited.
func (c *Connections) Listener(l net.Listener) net.Listener { return &limitedListener{l, c} }

type limitedListener struct {
	net.Listener
	connections *Connections
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

func (c *Connections) admit(raw net.Conn) *connection {
	conn := &connection{Conn: raw, owner: c}
	conn.since.Store(c.limits.Now().UnixNano())
	c.mu.Lock()
	victims, reason := c.victims()
	if len(victims) == 0 && reason == shedRefused {
		c.mu.Unlock()
		c.shed[shedRefused].Add(1)
		return nil
	}
	for _, victim := range victims {
		c.remove(victim)
	}
	conn.place = len(c.unauthenticated)
	c.unauthenticated = append(c.unauthenticated, conn)
	c.mu.Unlock()
	c.close(victims, reason)
	if c.limits.Trusted.containPeer(raw.RemoteAddr().String()) {
		conn.authenticate()
	}
	return conn
}

func (c *Connections) close(victims []*connection, reason int) {
	for _, victim := range victims {
		c.shed[reason].Add(1)
		_ = victim.Close() // whoever serves it finds out
	}
}

// victims chooses what to close so that there is a place for one more; nothing, with shedRefused, if that cannot be. It
// chooses several at once, since it has to look at all of them. Its caller has the lock.
func (c *Connections) victims() (victims []*connection, reason int) {
	batch := max(1, c.limits.Max/64)
	tooManyUnauthenticated := len(c.unauthenticated) >= max(1, c.limits.Max/4*3)
	if !tooManyUnauthenticated && len(c.unauthenticated)+len(c.authenticated) < c.limits.Max {
		return nil, shedUnauthenticated
	}
	resting := func(conn *connection) bool { return conn.state.Load() != connectionActive }
	whichever := func(*connection) bool { return true }
	if victims = oldest(c.unauthenticated, batch, resting); len(victims) > 0 {
		return victims, shedUnauthenticated
	}
	if !tooManyUnauthenticated {
		if victims = oldest(c.authenticated, batch, resting); len(victims) > 0 {
			return victims, shedIdle
		}
	}
	if victims = oldest(c.unauthenticated, 1, whichever); len(victims) > 0 {
		return victims, shedUnauthenticated
	}
	return nil, shedRefused
}

// oldest returns up to n connections that may be closed, from the one whose state is oldest on.
func oldest(all []*connection, n int, may func(*connection) bool) []*connection {
	type aged struct {
		conn  *connection
		since int64 // as it was: it may change while they are sorted
	}
	var found []aged
	for _, conn := range all {
		if may(conn) {
			found = append(found, aged{conn, conn.since.Load()})
		}
	}
	slices.SortFunc(found, func(a, b aged) int { return cmp.Compare(a.since, b.since) })
	victims := make([]*connection, 0, n)
	for _, one := range found[:min(n, len(found))] {
		victims = append(victims, one.conn)
	}
	return victims
}

// set returns the set that a connection is in. Its caller has the lock.
func (c *Connections) set(conn *connection) *[]*connection {
	if conn.known.Load() {
		return &c.authenticated
	}
	return &c.unauthenticated
}

// remove takes a connection out of its set, if it is in one. Its caller has the lock.
func (c *Connections) remove(conn *connection) {
	if conn.place < 0 {
		return
	}
	set := c.set(conn)
	last := len(*set) - 1
	moved := (*set)[last]
	(*set)[conn.place], moved.place = moved, conn.place
	(*set)[last] = nil
	*set = (*set)[:last]
	conn.place = -1
}

// The states of a connection.
const (
	connectionNew    int32 = iota // nothing came yet
	connectionActive              // a request is under way
	connectionIdle
)

// connection is one that is counted.
type connection struct {
	net.Conn
	owner *Connections
	state atomic.Int32
	known atomic.Bool  // somebody has authenticated on it
	since atomic.Int64 // when the state began, in nanoseconds of the Unix clock
	place int          // in its set; below 0: in none; under owner.mu
	end   time.Time    // when it should be closed; zero: never
}

// Close closes it and makes its place free.
func (c *connection) Close() error {
	c.owner.mu.Lock()
	c.owner.remove(c)
	c.owner.mu.Unlock()
	return c.Conn.Close()
}

// authenticate notes that somebody has authenticated.
func (c *connection) authenticate() {
	if c == nil || c.owner == nil || c.known.Load() {
		return
	}
	c.owner.mu.Lock()
	defer c.owner.mu.Unlock()
	if c.place < 0 || c.known.Load() {
		return
	}
	c.owner.remove(c)
	c.known.Store(true)
	c.place = len(c.owner.authenticated)
	c.owner.authenticated = append(c.owner.authenticated, c)
}

// counted returns what is known of a server's connection; nil where no Connections has it.
func counted(conn net.Conn) *connection {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	c, _ := conn.(*connection)
	return c
}

// CountConnections is the ConnState of an http.Server whose listener Connections made.
func CountConnections(conn net.Conn, state http.ConnState) {
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

func (c *connection) enter(state int32) {
	now := c.owner.clock.Load()
	if !c.known.Load() {
		now = c.owner.limits.Now().UnixNano()
	}
	c.since.Store(now)
	c.state.Store(state)
}

func (c *connection) tooOld(now time.Time) bool {
	return c != nil && !c.end.IsZero() && now.After(c.end)
}

// connectionKey is the key of a request's connection, in its context.
type connectionKey struct{}

func connectionOf(ctx context.Context) *connection {
	c, _ := ctx.Value(connectionKey{}).(*connection)
	return c
}

// Sample counts the connections.
func (c *Connections) Sample() telemetry.ConnectionSample {
	s := telemetry.ConnectionSample{Max: c.limits.Max, Shed: make(map[string]uint64, shedReasons)}
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
