package delivery

import (
	"net/netip"
	"testing"
)

func TestMayQuote(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		scheme, address string
		want            bool
	}{
		{"https", "93.184.215.14", true},
		{"http", "93.184.215.14", false},
		{"https", "10.0.0.1", false},
		{"https", "127.0.0.1", false},
		{"https", "fe80::1", false},
	} {
		if got := mayQuote(tt.scheme, netip.MustParseAddr(tt.address)); got != tt.want {
			t.Errorf("%s of %s: want %v, got %v", tt.scheme, tt.address, tt.want, got)
		}
	}
}
