package connections

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"time"
)

const (
	// newConnectionGrace is how long a connection without a request is spared if its network has few, so that its
	// client has time to send one before the next connection takes its place.
	newConnectionGrace = 2 * time.Second
	// fewConnections is the number of connections, or a 64th of all if that is more, up to which a network has few.
	fewConnections = 4
)

// victims returns the connections to close to make room for one from a network, and the reason. It returns none if
// there is room or, with shedRefused, if none can be closed. It chooses several at once, since it has to scan all
// connections. The caller must hold c.mu.
//
// Unauthenticated connections are closed in the networks that have the most, so that a network that keeps opening
// connections displaces its own and not those of others.
func (c *Limiter) victims(from netip.Prefix) (victims []*Conn, reason int) {
	batch := max(1, c.limits.Max/64)
	tooManyUnauthenticated := len(c.unauthenticated) >= max(1, c.limits.Max/4*3)
	if !tooManyUnauthenticated && len(c.unauthenticated)+len(c.authenticated) < c.limits.Max {
		return nil, shedUnauthenticated
	}
	many := maxCount(c.networks[0])
	crowding := func(conn *Conn) bool { return 2*c.networks[0][conn.network] >= many }
	resting := func(conn *Conn) bool { return conn.state.Load() != connectionActive }
	few := max(fewConnections, c.limits.Max/64)
	newConnections := c.limits.Now().Add(-newConnectionGrace).UnixNano()
	old := func(conn *Conn) bool { return conn.since.Load() <= newConnections }
	spared := func(conn *Conn) bool { return c.networks[0][conn.network] <= few && !old(conn) }

	for _, may := range []func(*Conn) bool{
		func(conn *Conn) bool { return crowding(conn) && resting(conn) && old(conn) },
		func(conn *Conn) bool { return crowding(conn) && old(conn) }, // for example a request whose body does not arrive
		func(conn *Conn) bool { return crowding(conn) && resting(conn) && !spared(conn) },
	} {
		if victims = oldest(c.unauthenticated, batch, may); len(victims) > 0 {
			return victims, shedUnauthenticated
		}
	}
	if !tooManyUnauthenticated {
		if victims = oldest(c.authenticated, batch, resting); len(victims) > 0 {
			return victims, shedIdle
		}
	}
	if victims = oldest(c.unauthenticated, 1, crowding); len(victims) > 0 {
		return victims, shedUnauthenticated
	}
	// All are serving known callers. A network gets the place of one that has more than twice as many connections.
	many = maxCount(c.networks[1])
	if 2*c.networks[1][from] < many {
		victims = oldest(c.authenticated, 1, func(conn *Conn) bool { return c.networks[1][conn.network] == many })
		return victims, shedActive
	}
	return nil, shedRefused
}

// maxCount returns the largest of the counts.
func maxCount(counts map[netip.Prefix]int) int {
	largest := 0
	for _, n := range counts {
		largest = max(largest, n)
	}
	return largest
}

// oldest returns up to n connections for which may returns true, those whose state began earliest first.
func oldest(all []*Conn, n int, may func(*Conn) bool) []*Conn {
	type aged struct {
		conn  *Conn
		since int64 // a copy, since it may change during the sort
	}
	var found []aged
	for _, conn := range all {
		if may(conn) {
			found = append(found, aged{conn, conn.since.Load()})
		}
	}
	slices.SortFunc(found, func(a, b aged) int { return cmp.Compare(a.since, b.since) })
	victims := make([]*Conn, 0, n)
	for _, one := range found[:min(n, len(found))] {
		victims = append(victims, one.conn)
	}
	return victims
}

// networkOf returns the network of a peer that a single client may own: a /24, or a /64 for IPv6. It returns the zero
// Prefix for peers without an IP address.
func networkOf(peer net.Addr) netip.Prefix {
	tcp, ok := peer.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	address := tcp.AddrPort().Addr().Unmap().WithZone("")
	bits := 64
	if address.Is4() {
		bits = 24
	}
	network, err := address.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return network
}
