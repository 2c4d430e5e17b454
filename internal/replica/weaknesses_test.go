package replica

import (
	"slices"
	"strings"
	"testing"
)

func TestWeaknesses(t *testing.T) {
	t.Parallel()
	const good, other = "0123456789abcdef", "fedcba9876543210"
	for name, tt := range map[string]struct {
		config Config
		want   []string
	}{
		"none":     {Config{AdminToken: good, EnrollmentToken: other, TrustedProxies: []string{"10.0.0.0/8"}}, nil},
		"no token": {Config{AdminToken: " , "}, nil},
		"short":    {Config{AdminToken: good + ",changeme,a"}, []string{"ADMIN_TOKEN has a token of fewer than 16 bytes"}},
		"shared": {
			Config{AdminToken: "x0123456789abcdef, " + good, EnrollmentToken: other + "," + good, IngestToken: other},
			[]string{"ADMIN_TOKEN and ENROLLMENT_TOKEN have a token in common", "ENROLLMENT_TOKEN and INGEST_TOKEN have a token in common"},
		},
		"everybody is a proxy": {
			Config{TrustedProxies: []string{"10.0.0.0/8", "::/0"}},
			[]string{"--trusted-proxies has ::/0: every client may choose its address"},
		},
	} {
		got := tt.config.weaknesses()
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
		if text := strings.Join(got, " "); strings.Contains(text, good) || strings.Contains(text, "changeme") {
			t.Errorf("%s: a token is in %q", name, got)
		}
	}
}
