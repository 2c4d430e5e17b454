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
		"short":    {Config{AdminToken: good + ",changeme,a"}, []string{"ADMIN_TOKEN, value 2: is a placeholder", "ADMIN_TOKEN, value 3: must have at least 16 bytes"}},
		"shared": {
			Config{AdminToken: "x0123456789abcdef, " + good, EnrollmentToken: other + "," + good, IngestToken: other},
			[]string{
				"ENROLLMENT_TOKEN, value 2: is the same as ADMIN_TOKEN, value 2; each token must be unique and give one right",
				"INGEST_TOKEN: is the same as ENROLLMENT_TOKEN, value 1; each token must be unique and give one right",
			},
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
