package postgres_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/watchbill/watchbill/internal/store/postgres"
)

// TestURLFaultNamesFiles checks that errors in the files that TLS requires are reported, and not as errors of the URL.
func TestURLFaultNamesFiles(t *testing.T) {
	folder := t.TempDir()
	empty := filepath.Join(folder, "empty.crt")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(folder, "missing.crt")
	const notAURL = "must be a PostgreSQL URL"
	for name, tt := range map[string]struct {
		url  string
		env  map[string]string
		want []string
	}{
		"no authority":             {url: "postgres://u:hunter2@h/d?sslmode=verify-full&sslrootcert=" + missing, want: []string{missing, "no such file", "sslrootcert"}},
		"no authority, in words":   {url: "host=h user=u password=hunter2 sslmode=verify-full sslrootcert=" + missing, want: []string{missing, "no such file"}},
		"no authority, by env":     {url: "postgres://u:hunter2@h/d?sslmode=verify-full", env: map[string]string{"PGSSLROOTCERT": missing}, want: []string{missing, "no such file", "PGSSLROOTCERT"}},
		"an empty authority":       {url: "postgres://u:hunter2@h/d?sslmode=verify-full&sslrootcert=" + empty, want: []string{empty, "no certificate", "PEM"}},
		"an empty one by env":      {url: "postgres://u:hunter2@h/d?sslmode=verify-full", env: map[string]string{"PGSSLROOTCERT": empty}, want: []string{empty, "no certificate"}},
		"no client certificate":    {url: "postgres://u:hunter2@h/d?sslmode=require&sslcert=" + missing + "&sslkey=" + missing, want: []string{missing, "no such file", "sslkey"}},
		"a certificate, no key":    {url: "postgres://u:hunter2@h/d?sslmode=require&sslcert=" + missing, want: []string{"sslcert", "sslkey"}},
		"a mode that there is not": {url: "postgres://u:hunter2@h/d?sslmode=verify", want: []string{"sslmode", "verify-full"}},
		"a port that is none":      {url: "postgres://u:hunter2@h:port/d", want: []string{notAURL}},
		"a password in the words":  {url: "postgres://u:failed to configure TLS (@h:hunter2/d", want: []string{notAURL}},
	} {
		t.Run(name, func(t *testing.T) {
			for variable, value := range tt.env {
				t.Setenv(variable, value)
			}
			got := postgres.URLFault(tt.url)
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("%q does not name %q", got, want)
				}
			}
			if strings.Contains(got, "hunter2") || tt.want[0] != notAURL && strings.Contains(got, notAURL) {
				t.Errorf("got %q", got)
			}
		})
	}
}
