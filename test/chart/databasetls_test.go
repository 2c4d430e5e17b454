package chart

import (
	"bufio"
	"context"
	"net/http"
	"net/url"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestDatabaseAuthority runs both containers of the API's Pods against a PostgreSQL with a private CA that requires a
// client certificate. Every fault is reported in one line without secrets.
func TestDatabaseAuthority(t *testing.T) {
	t.Parallel()
	const password = "hunter2-of-the-database"
	ours, others := newAuthority(t, "ours"), newAuthority(t, "others")
	server := newTLSServer(t, ours, password)
	certificate, key := ours.issue(t, 1000, "watchbill", time.Now().Add(time.Hour))
	otherCertificate, otherKey := others.issue(t, 1001, "watchbill", time.Now().Add(time.Hour))
	admin, err := url.Parse(server.admin)
	if err != nil {
		t.Fatal(err)
	}
	database := "postgres://watchbill:" + password + "@localhost:" + admin.Port() + "/watchbill"
	tokens := map[string]string{
		"admin-token": "0b6ff1c5a6a948fca5c1ee12a1c0fd2a", "enrollment-token": "1b6ff1c5a6a948fca5c1ee12a1c0fd2b", "ingest-token": "2b6ff1c5a6a948fca5c1ee12a1c0fd2c",
	}
	client := map[string]string{"tls.crt": string(certificate), "tls.key": string(key)}
	good := time.Now().Add(time.Hour)
	const external = "postgresql.external."

	for _, tt := range []struct {
		name   string
		by     authority // the CA of the server's certificate
		host   string    // the name in it
		until  time.Time
		url    string // appended to the URL
		values []string
		ca     string
		client map[string]string // its certificate
		want   []string          // in the logs of both containers; empty if they must work
		never  bool              // the program can detect the fault at start
	}{
		{name: "all is well", by: ours, host: "localhost", until: good, ca: string(ours.pem), client: client},
		{name: "two authorities", by: ours, host: "localhost", until: good, ca: string(others.pem) + string(ours.pem), client: client},
		{name: "a mode in the URL", by: ours, host: "elsewhere.example", until: good, url: "?sslmode=verify-ca", ca: string(ours.pem), client: client},
		{
			name: "a file that is not there", by: ours, host: "localhost", until: good, url: "?sslrootcert=/pgca/ca.crt", ca: string(ours.pem), client: client, never: true,
			want: []string{"--database-url", "/pgca/ca.crt", "no such file"},
		},
		{
			name: "an empty file", by: ours, host: "localhost", until: good, client: client, never: true,
			want: []string{"--database-url", "ca.crt has no certificate of an authority"},
		},
		{
			name: "a key in the place of the authority", by: ours, host: "localhost", until: good, ca: string(key), client: client, never: true,
			want: []string{"--database-url", "ca.crt has no certificate of an authority"},
		},
		{
			name: "no authority", by: ours, host: "localhost", until: good, url: "?sslmode=verify-full", values: []string{external + "tls.caSecretName="}, client: client,
			want: []string{"certificate signed by unknown authority"},
		},
		{
			name: "another authority", by: others, host: "localhost", until: good, ca: string(ours.pem), client: client,
			want: []string{"certificate signed by unknown authority"},
		},
		{
			name: "another host", by: ours, host: "elsewhere.example", until: good, ca: string(ours.pem), client: client,
			want: []string{"certificate is valid for elsewhere.example, not localhost"},
		},
		{
			name: "an expired certificate", by: ours, host: "localhost", until: time.Now().Add(-time.Hour), ca: string(ours.pem), client: client,
			want: []string{"certificate has expired"},
		},
		{
			name: "no certificate of the client's", by: ours, host: "localhost", until: good, values: []string{external + "tls.clientSecretName="}, ca: string(ours.pem),
			want: []string{"connection requires a valid client certificate"},
		},
		{
			name: "a client's certificate of others", by: ours, host: "localhost", until: good, ca: string(ours.pem), client: map[string]string{"tls.crt": string(otherCertificate), "tls.key": string(otherKey)},
			want: []string{"connection requires a valid client certificate"},
		}, // none of the server's CAs issued it, so it is not sent
		{
			name: "a client's certificate with another's key", by: ours, host: "localhost", until: good, ca: string(ours.pem), client: map[string]string{"tls.crt": string(certificate), "tls.key": string(otherKey)}, never: true,
			want: []string{"--database-url", "private key does not match"},
		},
		{
			name: "no TLS", by: ours, host: "localhost", until: good, url: "?sslmode=disable", ca: string(ours.pem), client: client,
			want: []string{"pg_hba.conf rejects connection", "no encryption"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server.show(t, tt.by, tt.host, tt.until)
			args := []string{"--show-only", "templates/api/deployment.yaml", "--set", "postgresql.mode=external", "--set", "kubernetesAuth.enabled=false,controller.enabled=false", "--set", "tokens.existingSecret=tokens,api.shutdown.delaySeconds=0"}
			for _, value := range append([]string{external + "existingSecret=database", external + "tls.caSecretName=authority", external + "tls.clientSecretName=client"}, tt.values...) {
				args = append(args, "--set", value)
			}
			template, _ := pod(t, objects(t, render(t, args...))[0])
			have := contents{"database": {"DATABASE_URL": database + tt.url}, "tokens": tokens, "authority": {"ca.crt": tt.ca}, "client": tt.client}
			secrets := append(secretLines(tt.client["tls.key"]), password, tokens["admin-token"], tokens["enrollment-token"], tokens["ingest-token"])

			migrate := processOf(t, template, "migrate", have)
			output, err := migrate.run(t)
			if (err == nil) != (len(tt.want) == 0) {
				t.Errorf("migrate: %v: %s", err, output)
			}
			says(t, "migrate", output, tt.want, secrets)

			output, ended := processOf(t, template, "api", have).serve(t, tt.want)
			if ended != tt.never {
				t.Errorf("api ends by itself: %t, want %t: %.4000s", ended, tt.never, output)
			}
			says(t, "api", output, tt.want, secrets)
		})
	}
}

// secretLines returns the lines of a key, except those that all keys have.
func secretLines(key string) (lines []string) {
	for line := range strings.Lines(key) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "-----") {
			lines = append(lines, line)
		}
	}
	return lines
}

// says checks that one line has all of the texts, and no line a secret.
func says(t *testing.T, who, output string, want, secrets []string) {
	t.Helper()
	if !slices.ContainsFunc(strings.Split(output, "\n"), func(line string) bool { return hasAll(line, want) }) {
		t.Errorf("%s: no line has %q:\n%.4000s", who, want, output)
	}
	for _, secret := range secrets {
		if strings.Contains(output, secret) {
			t.Errorf("%s: it shows %q:\n%s", who, secret, output)
		}
	}
}

func hasAll(line string, want []string) bool {
	return !slices.ContainsFunc(want, func(text string) bool { return !strings.Contains(line, text) })
}

// run runs a process to its end.
func (p process) run(t *testing.T) (output string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*tlsTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, watchbill(t), p.args...)
	cmd.Env = p.environment()
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// serve runs the API until a line has all of the texts, or until it is ready if there are none, and then stops it.
// ended reports whether it ended by itself.
func (p process) serve(t *testing.T, want []string) (output string, ended bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*tlsTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, watchbill(t), p.args...)
	cmd.Env = p.environment("WATCHBILL_LISTEN=127.0.0.1:0", "WATCHBILL_METRICS_LISTEN=127.0.0.1:0")
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = cmd.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	serving, stopped := "", false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		all.WriteString(lines.Text() + "\n")
		if address := servingAt.FindStringSubmatch(lines.Text()); address != nil {
			serving = address[1]
		}
		if serving == "" || stopped || !hasAll(lines.Text(), want) {
			continue
		}
		if len(want) == 0 {
			awaitReady(ctx, t, "http://"+serving)
		}
		stopped = true
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Wait(); err == nil && !stopped {
		t.Error("it ended without an error")
	}
	return all.String(), !stopped
}

var servingAt = regexp.MustCompile(`"msg":"serving","api":"([^"]+)"`)

func awaitReady(ctx context.Context, t *testing.T, api string) {
	t.Helper()
	for ctx.Err() == nil {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, api+"/readyz", nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close() //nolint:errcheck,gosec // its status is enough
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Error("the API is not ready in time")
}
