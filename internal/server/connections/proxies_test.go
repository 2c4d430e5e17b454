package connections

import (
	"net/http"
	"strings"
	"testing"
)

func TestParseTrustedProxies(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{
		"10.0.0.0/8": true, "192.0.2.1": true, "2001:db8::/32": true, "::1": true, "10.1.2.3/8": true,
		"": false, "10.0.0.0/33": false, "example.org": false, "10.0.0.0/8/8": false, "fe80::1%eth0": false, "::ffff:10.0.0.0/104": false,
	} {
		got, err := ParseTrustedProxies([]string{text})
		if (err == nil) != ok || ok && len(got) != 1 {
			t.Errorf("%q: got %v, %v, want ok: %v", text, got, err, ok)
		}
	}
}

func TestClientAddress(t *testing.T) {
	t.Parallel()
	trusted, err := ParseTrustedProxies([]string{"10.0.0.0/8", "2001:db8:1::/48"})
	if err != nil {
		t.Fatal(err)
	}
	const proxy, stranger = "10.0.0.1:4000", "203.0.113.9:4000"
	for _, tt := range []struct {
		name, peer string
		forwarded  []string
		want       string
	}{
		{"no header", proxy, nil, proxy},
		{"a peer that is not trusted", stranger, []string{"192.0.2.1"}, stranger},
		{"one client", proxy, []string{"192.0.2.1"}, "192.0.2.1"},
		{"with a port", proxy, []string{"192.0.2.1:5000"}, "192.0.2.1"},
		{"the client's own claim", proxy, []string{"198.51.100.1, 192.0.2.1"}, "192.0.2.1"},
		{"two proxies", proxy, []string{"198.51.100.1, 192.0.2.1, 10.0.0.2"}, "192.0.2.1"},
		{"lines go on", proxy, []string{"198.51.100.1", "192.0.2.1", "10.0.0.2"}, "192.0.2.1"},
		{"all trusted", proxy, []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"IPv6", "[2001:db8:1::1]:4000", []string{"2001:db8:2::1"}, "2001:db8:2::1"},
		{"IPv6 with brackets", proxy, []string{"[2001:db8:2::1]"}, "2001:db8:2::1"},
		{"IPv6 with a port", proxy, []string{"[2001:db8:2::1]:5000"}, "2001:db8:2::1"},
		{"IPv4 in IPv6", "[::ffff:10.0.0.1]:4000", []string{"::ffff:192.0.2.1"}, "192.0.2.1"},
		{"a zone", proxy, []string{"fe80::1%eth0"}, proxy},
		{"a zone and a port", proxy, []string{"[fe80::1%eth0]:1"}, proxy},
		{"garbage", proxy, []string{"192.0.2.1, \x00<script>"}, proxy},
		{"garbage in front of the client", proxy, []string{"unknown, 192.0.2.1"}, "192.0.2.1"},
		{"garbage behind a trusted proxy", proxy, []string{"unknown, 10.0.0.2"}, proxy},
		{"empty", proxy, []string{""}, proxy},
		{"an empty place", proxy, []string{"192.0.2.1,"}, proxy},
		{"too long", proxy, []string{strings.Repeat("1", 2*maxForwarded) + ", 192.0.2.1"}, proxy},
		{"too many lines", proxy, append(make([]string, maxForwarded/4), strings.Repeat("1.1.1.1,", maxForwarded/8)+"192.0.2.1"), proxy},
		{"too many proxies", proxy, []string{"192.0.2.1" + strings.Repeat(",10.0.0.2", maxProxies)}, proxy},
		{"no address of a peer", "@", []string{"192.0.2.1"}, "@"},
	} {
		r := &http.Request{RemoteAddr: tt.peer, Header: http.Header{}}
		if tt.forwarded != nil {
			r.Header["X-Forwarded-For"] = tt.forwarded
		}
		if got := trusted.Client(r); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
		if got := TrustedProxies(nil).Client(r); got != tt.peer {
			t.Errorf("%s, and nobody is trusted: got %q, want %q", tt.name, got, tt.peer)
		}
	}
}

func FuzzClientAddress(f *testing.F) {
	trusted, err := ParseTrustedProxies([]string{"10.0.0.0/8"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("192.0.2.1, 10.0.0.2", "::1")
	f.Fuzz(func(t *testing.T, one, two string) {
		r := &http.Request{RemoteAddr: "10.0.0.1:4000", Header: http.Header{"X-Forwarded-For": {one, two}}}
		got := trusted.Client(r)
		if _, ok := parseForwarded(got); !ok {
			t.Errorf("%q, %q: got %q, which is no address", one, two, got)
		}
	})
}
