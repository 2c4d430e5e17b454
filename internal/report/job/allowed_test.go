package job_test

import (
	"net/netip"
	"net/url"
	"strings"
	"testing"

	reportjob "github.com/watchbill/watchbill/internal/report/job"
)

func TestAllowedOutputs(t *testing.T) {
	t.Parallel()
	const public, private = "93.184.215.14", "10.0.0.1"
	for _, tt := range []struct {
		patterns, url, address string
		want                   bool
	}{
		{"", "http://anything:1", private, true},
		{"hooks.slack.com", "https://hooks.slack.com/x", public, true},
		{"hooks.slack.com", "https://HOOKS.slack.com./x", public, true},
		{"hooks.slack.com", "https://hooks.slack.com/x", private, false},
		{"hooks.slack.com", "https://example.com", public, false},
		{"hooks.slack.com", "https://xhooks.slack.com", public, false},
		{"*.slack.com", "https://hooks.slack.com", public, true},
		{"*.slack.com", "https://slack.com", public, false},
		{"*.slack.com", "https://evilslack.com", public, false},
		{"https://s3.example.com:9000", "https://s3.example.com:9000", public, true},
		{"https://s3.example.com:9000", "http://s3.example.com:9000", public, false},
		{"https://s3.example.com:9000", "https://s3.example.com", public, false},
		{"s3.example.com:443", "https://s3.example.com", public, true},
		{"minio.store.svc,10.0.0.0/8", "http://minio.store.svc:9000", private, true},
		{"minio.store.svc,10.0.0.0/8", "http://other.store.svc:9000", private, false},
		{"minio.store.svc,10.0.0.0/8", "http://10.0.0.1", private, true},
		{"minio.store.svc,10.0.0.0/8", "http://minio.store.svc", "127.0.0.1", false},
		{"10.0.0.0/8", "http://whatever", private, true},
		{"10.0.0.0/8", "http://whatever", public, false},
		{"10.0.0.1", "http://whatever", private, true},
		{"10.0.0.1", "http://whatever", "10.0.0.2", false},
		{"10.0.0.1", "http://whatever", "::ffff:10.0.0.1", true},
		{"s3://reports", "http://whatever", private, true}, // this pattern is for buckets only
	} {
		var patterns []string
		if tt.patterns != "" {
			patterns = strings.Split(tt.patterns, ",")
		}
		allowed, err := reportjob.ParseAllowed(patterns)
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(tt.url)
		if err != nil {
			t.Fatal(err)
		}
		host, address := allowed.URL(u), allowed.Address(netip.MustParseAddr(tt.address))
		if got := host == nil && address == nil; got != tt.want {
			t.Errorf("%q, %s at %s: want %v, got %v, %v", tt.patterns, tt.url, tt.address, tt.want, host, address)
		}
	}
}

func TestAllowedBuckets(t *testing.T) {
	t.Parallel()
	allowed, err := reportjob.ParseAllowed([]string{"s3://reports", "s3://shared/fleet"})
	if err != nil {
		t.Fatal(err)
	}
	for place, want := range map[[2]string]bool{
		{"reports", ""}: true, {"reports", "x"}: true, {"reports-2", ""}: false, {"shared", ""}: false,
		{"shared", "fleet"}: true, {"shared", "fleet/daily"}: true, {"shared", "fleet2"}: false,
	} {
		if err := allowed.Bucket(place[0], place[1]); (err == nil) != want {
			t.Errorf("%s: want %v, got %v", place, want, err)
		}
	}
}

func TestInvalidPatterns(t *testing.T) {
	t.Parallel()
	for _, p := range []string{"", "*", "a b", "ftp://x", "x/", "https://", "x:", "x:99999", "x:y", "*.*.x", "s3://", "s3://A", "s3://ab/../x", "10.0.0.0/33", "https://x/y"} {
		if _, err := reportjob.ParseAllowed([]string{p}); err == nil {
			t.Errorf("%q is taken", p)
		}
	}
	if _, err := reportjob.ParseAllowed(make([]string, 101)); err == nil {
		t.Error("101 patterns are taken")
	}
}

func TestPublic(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"93.184.215.14": true, "2606:2800:21f:cb07:6820:80da:af6b:8b2c": true,
		"127.0.0.1": false, "::1": false, "10.1.2.3": false, "172.16.0.1": false, "192.168.1.1": false, "169.254.1.1": false, "fe80::1": false,
		"fd00::1": false, "100.64.0.1": false, "0.0.0.0": false, "::": false, "224.0.0.1": false, "ff02::1": false, "::ffff:10.0.0.1": false,
		"255.255.255.255": false, "192.0.2.1": false, "2001:db8::1": false,
	} {
		if got := reportjob.Public(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: want %v, got %v", address, want, got)
		}
	}
}
