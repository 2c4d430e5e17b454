package replica

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"github.com/watchbill/watchbill/internal/alerts"
	"github.com/watchbill/watchbill/internal/execution/gateway"
	"github.com/watchbill/watchbill/internal/execution/ledger"
	"github.com/watchbill/watchbill/internal/fleet/enrollment"
	"github.com/watchbill/watchbill/internal/ratelimit"
	"github.com/watchbill/watchbill/internal/redact"
	"github.com/watchbill/watchbill/internal/server"
	"github.com/watchbill/watchbill/internal/server/connections"
	"github.com/watchbill/watchbill/internal/store/postgres"
	"github.com/watchbill/watchbill/internal/text"
)

// Config are the settings of a replica. Defaults returns their defaults.
type Config struct {
	Version string

	Listen        string // address of the API
	MetricsListen string // address of Prometheus's /metrics
	GRPCListen    string // address of OTLP over gRPC; empty disables it

	DatabaseURL       string
	DatabaseDirectURL string // for listening and migrating; empty: DatabaseURL
	DatabaseMaxConns  int

	AdminToken      string // comma-separated values rotate; empty closes the endpoints
	EnrollmentToken string
	IngestToken     string
	// AdminTokenParameter also accepts the admin token as ?admin_token=.
	AdminTokenParameter bool

	TrustedProxies      []string // networks; see server.ParseTrustedProxies
	EnrollmentFile      string   // file of tokens with labels and limits; may be empty
	EnrollmentMaxAgents int      // limit for each token without one in the file; 0: no limit
	InsecureTokens      bool     // allow weak tokens and tokens that grant several rights

	TLSCertFile      string
	TLSKeyFile       string
	ConnectionMaxAge time.Duration // 0: connections are kept
	MaxConnections   int           // of the API; 0: derived from the limits of files and memory
	BodyMemory       int64         // maximum bytes of request bodies held at a time; 0: a share of the memory limit
	ResponseMemory   int64         // maximum bytes of large responses held at a time; 0: likewise
	ShutdownDelay    time.Duration // from unready until connections are refused, for load balancers to notice
	ShutdownTimeout  time.Duration // for requests under way

	PollBudget    float64       // polls per second of the whole fleet above which poll intervals are lengthened
	MaxPollWait   time.Duration // maximum time that a poll is held; 0 disables held polls
	SweepInterval time.Duration
	StaleGrace    time.Duration
	RetryBackoff  time.Duration // before the second attempt; doubles with each further one
	RetryLimit    time.Duration

	Retention postgres.Retention

	AlertsURL       string // of a Prometheus or an Alertmanager whose alerts are shown; may be empty
	AlertsTokenFile string // its bearer token; may be empty

	Executions ExecutionConfig
	Limits     []string // see ratelimit.Parse
	Kubernetes KubernetesConfig
}

// ExecutionConfig are the settings for executions.
type ExecutionConfig struct {
	AgentsFile       string // agents of the gateway; empty: it has none
	SpoolDir         string // directory of the gateway's spool
	SpoolMaxBytes    int64
	DisplayCurrency  string // shown in addition to USD; may be empty
	CurrencyRateFile string // its rates
	PricesFile       string // takes precedence over the shipped prices; may be empty

	SelfHostedModels string // SelfHostedFree or SelfHostedUnpriced

	MaxPayload      int      // maximum stored bytes of an execution's input or output
	RefuseOversized bool     // otherwise oversized payloads are truncated, with a mark
	Redact          []string // see redact.ParseRedaction
	RedactNames     bool     // store pseudonyms of users, sessions and requests
	RedactNamesKey  string   // file of the pseudonyms' keys, one per line
	QueueRows       int      // maximum executions queued for storing

	Retention postgres.ExecutionRetention
}

// Defaults returns the default configuration.
func Defaults() Config {
	const day = 24 * time.Hour
	return Config{
		Listen: ":8080", MetricsListen: ":9090",
		DatabaseMaxConns:    16,
		ShutdownTimeout:     25 * time.Second,
		AdminTokenParameter: true, MaxPollWait: 48 * time.Second,
		EnrollmentMaxAgents: 100_000,
		PollBudget:          10_000, SweepInterval: 500 * time.Millisecond, StaleGrace: 2 * time.Minute,
		RetryBackoff: 5 * time.Second, RetryLimit: 5 * time.Minute,
		Retention: postgres.Retention{Deployments: 30 * day, UnseenAgents: day, Reports: 90 * day, Rollups: 400 * day, RollupMinutes: 2 * day},
		Executions: ExecutionConfig{
			SelfHostedModels: SelfHostedFree,
			SpoolDir:         filepath.Join(os.TempDir(), "watchbill-spool"), SpoolMaxBytes: 256 << 20,
			MaxPayload: 64 << 10, QueueRows: ledger.DefaultRows,
			Retention: postgres.ExecutionRetention{
				Executions: 90 * day, Minutes: 7 * day, Quarters: 100 * day, Hours: 400 * day, Days: 5 * 366 * day,
			},
		},
		Kubernetes: KubernetesConfig{Audience: "watchbill"},
	}
}

// Validate returns an error for every fault of the configuration, each with its flag.
func (c Config) Validate() error {
	var faults []error
	fault := func(wrong bool, flag, format string, args ...any) {
		if wrong {
			faults = append(faults, fmt.Errorf("--%s: %s", flag, fmt.Sprintf(format, args...)))
		}
	}
	fault(c.DatabaseURL == "", "database-url", "is required (or DATABASE_URL)")
	faultOfURL := func(url, flag string) {
		if url != "" {
			wrong := postgres.URLFault(url)
			fault(wrong != "", flag, "%s", wrong)
		}
	}
	faultOfURL(c.DatabaseURL, "database-url")
	faultOfURL(c.DatabaseDirectURL, "database-direct-url")
	fault(c.DatabaseMaxConns < 2 || c.DatabaseMaxConns > 1000, "database-max-conns", "must be from 2 to 1000")
	fault(!isAddress(c.Listen), "listen", "must be an address such as :8080")
	fault(!isAddress(c.MetricsListen), "metrics-listen", "must be an address such as :9090")
	fault(c.GRPCListen != "" && !isAddress(c.GRPCListen), "otlp-grpc-listen", "must be an address such as :4317, or empty")
	fault((c.TLSCertFile == "") != (c.TLSKeyFile == ""), "tls-cert-file", "must be set together with --tls-key-file")
	fault(c.ConnectionMaxAge < 0, "connection-max-age", "must not be negative")
	fault(c.MaxConnections != 0 && (c.MaxConnections < 16 || c.MaxConnections > maxConnections), "max-connections", "must be from 16 to %d, or 0", maxConnections)
	fault(c.BodyMemory != 0 && c.BodyMemory < minBudget, "body-memory", "must be at least %d, or 0", minBudget)
	fault(c.ResponseMemory != 0 && c.ResponseMemory < minBudget, "answer-memory", "must be at least %d, or 0", minBudget)
	fault(c.ShutdownDelay < 0 || c.ShutdownDelay > time.Hour, "shutdown-delay", "must be from 0s to 1h")
	fault(c.ShutdownTimeout <= 0, "shutdown-timeout", "must be more than 0")
	fault(!(c.PollBudget > 0), "poll-budget", "must be more than 0")
	fault(c.MaxPollWait < 0 || c.MaxPollWait > server.MaxWait, "max-poll-wait", "must be from 0s to %s", text.Duration(server.MaxWait))
	fault(c.SweepInterval < 10*time.Millisecond || c.SweepInterval > 750*time.Millisecond, "sweep-interval", "must be from 10ms to 750ms: a revoked token must die within a second")
	fault(c.StaleGrace <= 0, "blind-grace", "must be more than 0")
	fault(c.RetryBackoff <= 0, "retry-backoff", "must be more than 0")
	fault(c.RetryLimit < c.RetryBackoff, "retry-backoff-limit", "must be at least --retry-backoff")
	fault(c.EnrollmentMaxAgents < 0, "enrollment-max-agents", "must not be negative")
	fault(c.Retention.UnseenAgents != 0 && c.Retention.UnseenAgents < time.Hour, "keep-unseen-agents", "must be at least 1h, or 0 (forever)")
	for _, keep := range []struct {
		flag string
		d    time.Duration
	}{
		{"keep-deployments", c.Retention.Deployments},
		{"keep-reports", c.Retention.Reports},
		{"keep-rollups", c.Retention.Rollups},
		{"keep-rollup-minutes", c.Retention.RollupMinutes},
		{"keep-executions", c.Executions.Retention.Executions},
		{"keep-execution-minutes", c.Executions.Retention.Minutes},
		{"keep-execution-quarters", c.Executions.Retention.Quarters},
		{"keep-execution-hours", c.Executions.Retention.Hours},
		{"keep-execution-days", c.Executions.Retention.Days},
	} {
		fault(keep.d < 2*time.Hour, keep.flag, "must be at least 2h")
	}
	faults = append(faults, c.checkTokens())
	faults = append(faults, c.Executions.validate()...)
	if _, err := ratelimit.Parse(c.Limits); err != nil {
		faults = append(faults, err)
	}
	if _, err := connections.ParseTrustedProxies(c.TrustedProxies); err != nil {
		faults = append(faults, fmt.Errorf("--trusted-proxies: %w", err))
	}
	faults = append(faults, c.Kubernetes.validate(), alerts.Check(alerts.Options{URL: c.AlertsURL, TokenFile: c.AlertsTokenFile}))
	return errors.Join(faults...)
}

func (c ExecutionConfig) validate() []error {
	var faults []error
	fault := func(wrong bool, flag, detail string) {
		if wrong {
			faults = append(faults, fmt.Errorf("--%s: %s", flag, detail))
		}
	}
	fault(c.SpoolDir == "", "spool-dir", "is required")
	fault(c.SpoolMaxBytes < 1<<20, "spool-max-bytes", "must be at least 1048576")
	fault(c.MaxPayload < 256 || c.MaxPayload > 8<<20, "max-payload", "must be from 256 to 8388608")
	fault(c.SpoolMaxBytes < 2*c.maxRecord(), "spool-max-bytes", fmt.Sprintf("must be at least %d, for two runs of --max-payload", 2*c.maxRecord()))
	fault(c.QueueRows < 1000 || c.QueueRows > 10_000_000, "ledger-queue", "must be from 1000 to 10000000")
	r := c.Retention
	fault(r.Minutes > r.Quarters || r.Quarters > r.Hours || r.Hours > r.Days, "keep-execution-minutes", "must not exceed the retention of quarters, which must not exceed that of hours, which must not exceed that of days")
	if err := CheckSelfHosted(c.SelfHostedModels); err != nil {
		faults = append(faults, err)
	}
	if _, err := redact.ParseRules(c.Redact); err != nil {
		faults = append(faults, fmt.Errorf("--redact: %w", err))
	}
	fault(c.RedactNames && c.RedactNamesKey == "", "redact-names", "needs --redact-names-key-file, a file with a key that all replicas share; make one with: openssl rand -hex 32")
	fault(!c.RedactNames && c.RedactNamesKey != "", "redact-names-key-file", "does nothing without --redact-names")
	return faults
}

// maxRecord returns the maximum size of a run's record in the spool, in bytes: its input, its output, and the rest.
func (c ExecutionConfig) maxRecord() int64 { return int64(2*c.MaxPayload) + 64<<10 }

// freeSelfHosted reports whether self-hosted models cost nothing.
func (c ExecutionConfig) freeSelfHosted() bool { return c.SelfHostedModels != SelfHostedUnpriced }

// CheckFiles returns an error for every fault of the configured files.
func (c Config) CheckFiles() error {
	var err error
	if c.Executions.PricesFile != "" {
		_, err = readPrices(c.Executions.PricesFile, c.Executions.freeSelfHosted())
	}
	if c.Executions.AgentsFile != "" {
		_, agents := gateway.Watch(c.Executions.AgentsFile, os.LookupEnv, zap.NewNop())
		err = errors.Join(err, agents)
	}
	_, display := readDisplayCurrency(c.Executions.DisplayCurrency, c.Executions.CurrencyRateFile)
	_, grants := c.grants()
	_, names := c.Executions.pseudonyms(redact.Rules{})
	return errors.Join(err, display, names, grants, c.Kubernetes.checkFiles())
}

// grants returns the enrollment tokens.
func (c Config) grants() (*enrollment.Grants, error) {
	grants, err := enrollment.Open(enrollment.Options{Tokens: c.EnrollmentToken, MaxAgents: c.EnrollmentMaxAgents, File: c.EnrollmentFile})
	if err != nil {
		return nil, fmt.Errorf("--enrollment-file: %w", err)
	}
	return grants, nil
}

// DirectURL returns the URL for sessions that a transaction pooler does not support.
func (c Config) DirectURL() string {
	if c.DatabaseDirectURL != "" {
		return c.DatabaseDirectURL
	}
	return c.DatabaseURL
}

func isAddress(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	_, err = net.LookupPort("tcp", port)
	return err == nil
}
