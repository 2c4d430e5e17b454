package job

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/watchbill/watchbill/internal/text"
)

// maxAllowed is the maximum number of patterns.
const maxAllowed = 100

// Allowed is the set of allowed outputs. The zero value allows everything.
type Allowed struct {
	hosts     []hostPattern
	addresses []netip.Prefix
	buckets   []string // bucket or bucket/prefix
}

type hostPattern struct{ scheme, name, port string } // empty: any

var hostSyntax = regexp.MustCompile(`^(\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)

// ParseAllowed reads patterns: hosts (hooks.slack.com, *.example.com, https://s3.example.com:9000), addresses
// (10.96.0.0/12, 192.0.2.1) and buckets (s3://reports, s3://reports/daily). The error names the invalid pattern.
func ParseAllowed(patterns []string) (a Allowed, err error) {
	if len(patterns) > maxAllowed {
		return a, fmt.Errorf("there may be %d patterns, not %d", maxAllowed, len(patterns))
	}
	for _, p := range patterns {
		if bucket, isBucket := strings.CutPrefix(p, "s3://"); isBucket {
			name, prefix, hasPrefix := strings.Cut(bucket, "/")
			if !bucketName(name) || hasPrefix && !folders.MatchString(prefix) {
				return a, fmt.Errorf("%s must be a bucket such as s3://reports or s3://reports/daily", text.Quote(p, 40))
			}
			a.buckets = append(a.buckets, bucket)
			continue
		}
		if prefix, err := netip.ParsePrefix(p); err == nil {
			a.addresses = append(a.addresses, prefix.Masked())
			continue
		}
		if addr, err := netip.ParseAddr(strings.Trim(p, "[]")); err == nil {
			a.addresses = append(a.addresses, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		h, err := parseHost(p)
		if err != nil {
			return a, err
		}
		a.hosts = append(a.hosts, h)
	}
	return a, nil
}

func parseHost(pattern string) (h hostPattern, err error) {
	rest := strings.ToLower(pattern)
	if scheme, after, found := strings.Cut(rest, "://"); found {
		h.scheme, rest = scheme, after
	}
	h.name, h.port, _ = strings.Cut(rest, ":")
	if len(pattern) > maxText || !hostSyntax.MatchString(h.name) || !portExists(h.port) || strings.HasSuffix(rest, ":") ||
		h.scheme != "" && h.scheme != "http" && h.scheme != "https" {
		return h, fmt.Errorf("%s must be a host such as hooks.slack.com, *.example.com or https://s3.example.com:9000, an address such as 10.96.0.0/12, or a bucket such as s3://reports", text.Quote(pattern, 40))
	}
	return h, nil
}

func bucketName(s string) bool { return bucket.MatchString(s) && !strings.Contains(s, "..") }

// Any reports whether everything is allowed.
func (a Allowed) Any() bool { return len(a.hosts)+len(a.addresses)+len(a.buckets) == 0 }

// Names reports whether the patterns include hosts.
func (a Allowed) Names() bool { return len(a.hosts) > 0 }

// Bucket returns nil if reports may be written to a bucket with the prefix.
func (a Allowed) Bucket(name, prefix string) error {
	place := name + "/" + prefix + "/"
	if len(a.buckets) == 0 || slices.ContainsFunc(a.buckets, func(b string) bool { return strings.HasPrefix(place, b+"/") }) {
		return nil
	}
	return fmt.Errorf("the bucket %s is not among the allowed outputs", strings.TrimRight(place, "/"))
}

// URL returns nil if reports may be sent to a URL's host, provided that its address is allowed.
func (a Allowed) URL(u *url.URL) error {
	if len(a.hosts) == 0 {
		return nil
	}
	name, port := strings.ToLower(strings.TrimSuffix(u.Hostname(), ".")), u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	if addr, err := netip.ParseAddr(name); err == nil && a.covers(addr) {
		return nil
	}
	for _, h := range a.hosts {
		domain, wildcard := strings.CutPrefix(h.name, "*")
		if (h.scheme == "" || h.scheme == u.Scheme) && (h.port == "" || h.port == port) &&
			(name == h.name || wildcard && strings.HasSuffix(name, domain) && len(name) > len(domain)) {
			return nil
		}
	}
	return fmt.Errorf("the host %s is not among the allowed outputs", OneLine(u.Host))
}

// Address returns nil if an output may connect to an address. Private and local addresses must be allowed themselves, even
// if the host name is.
func (a Allowed) Address(addr netip.Addr) error {
	if len(a.hosts)+len(a.addresses) == 0 || a.covers(addr) || len(a.hosts) > 0 && Public(addr) {
		return nil
	}
	return fmt.Errorf("the address %s is not among the allowed outputs", addr.Unmap())
}

func (a Allowed) covers(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(a.addresses, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// special are networks that the Internet does not route or that embed other addresses, in addition to those of netip.
var special = prefixes("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
	"203.0.113.0/24", "240.0.0.0/4", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "fec0::/10")

func prefixes(all ...string) []netip.Prefix {
	parsed := make([]netip.Prefix, len(all))
	for i, p := range all {
		parsed[i] = netip.MustParsePrefix(p)
	}
	return parsed
}

// Public reports whether an address is a public Internet address.
func Public(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	return addr.IsGlobalUnicast() && !addr.IsPrivate() && !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(addr) })
}
