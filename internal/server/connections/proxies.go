package connections

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"github.com/watchbill/watchbill/internal/text"
)

// Limits of X-Forwarded-For. A longer one is ignored.
const (
	maxForwarded = 1024 // bytes of all lines together
	maxProxies   = 16   // trusted proxies in a row
)

// TrustedProxies are the networks of proxies whose X-Forwarded-For is trusted.
type TrustedProxies []netip.Prefix

// ParseTrustedProxies parses networks such as 10.0.0.0/8, or single addresses.
func ParseTrustedProxies(networks []string) (TrustedProxies, error) {
	var all TrustedProxies
	for _, written := range networks {
		written = strings.TrimSpace(written)
		network, err := netip.ParsePrefix(written)
		if err != nil {
			var address netip.Addr
			if address, err = netip.ParseAddr(written); err == nil && address.Zone() == "" {
				network = netip.PrefixFrom(address, address.BitLen())
			}
		}
		if err != nil || !network.IsValid() {
			return nil, fmt.Errorf("%q is neither a network such as 10.0.0.0/8 nor an address", text.Clip(written, 200))
		}
		if network.Addr().Is4In6() {
			return nil, fmt.Errorf("%q: write networks of IPv4 as such", text.Clip(written, 200))
		}
		all = append(all, network.Masked())
	}
	return all, nil
}

func (t TrustedProxies) contain(address netip.Addr) bool {
	for _, network := range t {
		if network.Contains(address) {
			return true
		}
	}
	return false
}

// containPeer reports whether a peer's address, with port, is that of a trusted proxy.
func (t TrustedProxies) containPeer(address string) bool {
	if len(t) == 0 {
		return false
	}
	peer, err := netip.ParseAddrPort(address)
	return err == nil && t.contain(peer.Addr().Unmap())
}

// Client returns the address of a request's client: that of the connection's peer or, if that is a trusted proxy, the
// last address in X-Forwarded-For that is not one. A header that is malformed or too long is ignored.
func (t TrustedProxies) Client(r *http.Request) string {
	if len(t) == 0 {
		return r.RemoteAddr
	}
	forwarded := r.Header["X-Forwarded-For"]
	if len(forwarded) == 0 {
		return r.RemoteAddr
	}
	if !t.containPeer(r.RemoteAddr) {
		return r.RemoteAddr
	}
	size := 0
	for _, line := range forwarded {
		size += len(line)
	}
	if size > maxForwarded {
		return r.RemoteAddr
	}
	client := r.RemoteAddr
	rest := strings.Join(forwarded, ",")
	for hops, more := 0, true; more; hops++ {
		last := rest
		comma := strings.LastIndexByte(rest, ',')
		if more = comma >= 0; more {
			rest, last = rest[:comma], rest[comma+1:]
		}
		address, ok := parseForwarded(strings.TrimSpace(last))
		if !ok || hops >= maxProxies {
			return r.RemoteAddr
		}
		client = address.String()
		if !t.contain(address) {
			break
		}
	}
	return client
}

// IsSecure reports whether a request's client used TLS, to this server or, by X-Forwarded-Proto, to a trusted proxy. Of
// several values the first is the outermost proxy's.
func (t TrustedProxies) IsSecure(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	forwarded := r.Header["X-Forwarded-Proto"]
	if len(forwarded) == 0 || !t.containPeer(r.RemoteAddr) {
		return false
	}
	scheme, _, _ := strings.Cut(forwarded[0], ",")
	return strings.EqualFold(strings.TrimSpace(scheme), "https")
}

// parseForwarded parses an address with or without a port. An IPv6 address may have brackets, but no zone.
func parseForwarded(s string) (netip.Addr, bool) {
	address, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if err != nil {
		var port netip.AddrPort
		port, err = netip.ParseAddrPort(s)
		address = port.Addr()
	}
	return address.Unmap(), err == nil && address.Zone() == ""
}
