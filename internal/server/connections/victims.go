package connections

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"time"
)

const (
	// newConnectionGrace is how long a connection without a request is spared, where its network has few: its client must get
	// the time to send one before the next connection takes its place.
	newConnectionGrace = 2 * time.Second
	// fewConnections, or a 64th of all, are few.
	fewConnections = 4
)

// victims chooses what to close so that there is a place for a connection from a network; nothing, with shedRefused, if that
// cannot be. It chooses several at once, since it has to look at all of them. Its caller has the lock.
//
// Unauthenticated connections are taken from the networks that have the most, so that a network which opens them without end
// takes its own places and not those of others.
func (c *Limiter) victims(from netip.Prefix) (victims []*Conn, reason int) {
	batch := max(1, c.limits.Max/64)
	tooManyUnauthenticated := len(c.unauthenticated) >= max(1, c.limits.Max/4*3)
	if !tooManyUnauthenticated && len(c.unauthenticated)+len(c.authenticated) < c.limits.Max {
		return nil, shedUnauthenticated
	}
	many := limit(c.networks[0])
	crowding := func(conn *Conn) bool { return 2*c.networks[0][conn.network] >= many }
	resting := func(conn *Conn) bool { return conn.state.Load() != connectionActive }
	few := max(fewConnections, c.limits.Max/64)
	newConnections := c.limits.Now().Add(-newConnectionGrace).UnixNano()
	old := func(conn *Conn) bool { return conn.since.Load() <= newConnections }
	spared := func(conn *Conn) bool { return c.networks[0][conn.network] <= few && !old(conn) }

	for _, may := range []func(*Conn) bool{
		func(conn *Conn) bool { return crowding(conn) && resting(conn) && old(conn) },
		func(conn *Conn) bool { return crowding(conn) && old(conn) }, // such as a body that does not come
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
	// All are at work for known callers. A network that has few gets a place of one that has more than twice as many.
	many = limit(c.networks[1])
	if 2*c.networks[1][from] < many {
		victims = oldest(c.authenticated, 1, func(conn *Conn) bool { return c.networks[1][conn.network] == many })
		return victims, shedActive
	}
	return nil, shedRefused
}

// most returns the largest of some counts.
func limit(counts map[netip.Prefix]int) int {
	largest := 0
	for _, n := range counts {
		largest = max(largest, n)
	}
	return largest
}

// oldest returns up to n connections that may be closed, from the one whose state is oldest on.
func oldest(all []*Conn, n int, may func(*Conn) bool) []*Conn {
	type aged struct {
		conn  *Conn
		since int64 // as it was: it may change while they are sorted
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

// networkOf returns the network of a peer that one client may have all of: a /24, or a /64 of IPv6. It returns the zero
// one for what has no address.
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
