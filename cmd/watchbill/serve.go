package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/watchbill/watchbill/internal/alerts"
	"github.com/watchbill/watchbill/internal/execution/prices"
	"github.com/watchbill/watchbill/internal/observe/logging"
	"github.com/watchbill/watchbill/internal/replica"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// logFlags are the flags for logs.
type logFlags struct{ dir, level string }

func (l *logFlags) bind(flags *pflag.FlagSet) {
	flags.StringVar(&l.dir, "log-dir", l.dir, "`folder` for log files: master-backend.log, database-queries.log and security-events.log (default: no files); all but the queries are also written to stdout")
	flags.StringVar(&l.level, "log-level", "info", "least severe `level` to log: debug, info, warn or error")
}

// open starts the logs. secrets are redacted in them.
func (l *logFlags) open(std stdio, secrets ...string) (*logging.Logs, error) {
	logs, err := logging.New(logging.Options{
		Dir: l.dir, Level: l.level, Stdout: std.out, Stderr: std.err, Now: time.Now, Secrets: secrets,
	})
	return logs, usageError(err)
}

// secrets returns the values that must not appear in logs.
func secrets(config replica.Config) []string {
	all := []string{config.AdminToken, config.EnrollmentToken, config.IngestToken}
	if password := alerts.Secret(config.AlertsURL); password != "" {
		all = append(all, password)
	}
	for _, database := range []string{config.DatabaseURL, config.DatabaseDirectURL} {
		if password := postgres.Password(database); password != "" {
			all = append(all, password)
		}
	}
	return all
}

// bindReplica binds the flags of a replica. Their defaults are the values in config.
func bindReplica(flags *pflag.FlagSet, config *replica.Config) {
	flags.StringVar(&config.Listen, "listen", config.Listen, "`address` the API listens on")
	flags.StringVar(&config.MetricsListen, "metrics-listen", config.MetricsListen, "`address` that serves /metrics for Prometheus")
	flags.StringVar(&config.GRPCListen, "otlp-grpc-listen", config.GRPCListen, "`address` that accepts OTLP over gRPC, such as :4317 (default: OTLP over HTTP only)")
	bindDatabase(flags, config)
	flags.IntVar(&config.DatabaseMaxConns, "database-max-conns", config.DatabaseMaxConns, "max connections to PostgreSQL in this replica's pool")
	flags.StringVar(&config.AdminToken, "admin-token", "", "`token` for the admin endpoints; to rotate, give old and new separated by a comma (set $ADMIN_TOKEN instead: a command line is visible to other users)")
	flags.BoolVar(&config.AdminTokenParameter, "admin-token-parameter", config.AdminTokenParameter, "also accept the admin token as the query parameter ?admin_token=, which proxies and browsers may log")
	flags.StringVar(&config.EnrollmentToken, "enrollment-token", "", "`token` that lets agents enroll; to rotate, give old and new separated by a comma (set $ENROLLMENT_TOKEN instead: a command line is visible to other users)")
	flags.StringVar(&config.EnrollmentFile, "enrollment-file", "", "YAML `file` of enrollment tokens, each with its own labels and limits; reloaded when it changes")
	flags.IntVar(&config.EnrollmentMaxAgents, "enrollment-max-agents", config.EnrollmentMaxAgents, "max enrolled agents per enrollment token; 0 means no limit")
	flags.StringVar(&config.IngestToken, "ingest-token", "", "`token` for sending executions and running AI agents; to rotate, give old and new separated by a comma (set $INGEST_TOKEN instead: a command line is visible to other users)")
	flags.StringSliceVar(&config.TrustedProxies, "trusted-proxies", nil, "comma-separated `networks` of proxies whose X-Forwarded-For header is trusted to name the client, such as 10.0.0.0/8 (default: none)")
	flags.BoolVar(&config.InsecureTokens, "insecure-tokens", config.InsecureTokens, "accept weak tokens: short ones, placeholders, or one token for several rights; for tests only")
	flags.StringVar(&config.TLSCertFile, "tls-cert-file", "", "PEM `file` of the TLS certificate chain; reloaded when it changes")
	flags.StringVar(&config.TLSKeyFile, "tls-key-file", "", "PEM `file` of the private key of the certificate in --tls-cert-file")
	flags.DurationVar(&config.ConnectionMaxAge, "connection-max-age", config.ConnectionMaxAge, "max age of a client's connection before it is closed, so that clients move to new replicas; 0 means no limit")
	flags.IntVar(&config.MaxConnections, "max-connections", config.MaxConnections, "max connections of clients to the API; beyond it idle ones are closed; 0 derives it from the limits on open files and memory")
	flags.Int64Var(&config.BodyMemory, "body-memory", config.BodyMemory, "max bytes of request bodies in memory at once; 0 means an eighth of the memory limit, at most 256 MiB")
	flags.Int64Var(&config.ResponseMemory, "answer-memory", config.ResponseMemory, "max bytes of large responses in memory for clients that read slowly; 0 means a sixteenth of the memory limit, at most 64 MiB")
	flags.DurationVar(&config.ShutdownDelay, "shutdown-delay", 0, "how long to keep serving after SIGTERM, with /readyz at 503, so that load balancers stop sending requests")
	flags.DurationVar(&config.ShutdownTimeout, "shutdown-timeout", config.ShutdownTimeout, "how long requests in progress may take to finish on shutdown")
	flags.Float64Var(&config.PollBudget, "poll-budget", config.PollBudget, "max polls per second of the whole fleet; above it agents are asked to poll less often")
	flags.DurationVar(&config.MaxPollWait, "max-poll-wait", config.MaxPollWait, "max time to hold a poll that has ?wait=, at most 1m; keep it below the read timeout of any proxy in front; 0 means polls are not held")
	flags.DurationVar(&config.SweepInterval, "sweep-interval", config.SweepInterval, "how often to look for changes in the database without a notification; at most 750ms")
	flags.DurationVar(&config.StaleGrace, "blind-grace", config.StaleGrace, "how long to serve polls from memory while the database is unreachable")
	flags.DurationVar(&config.RetryBackoff, "retry-backoff", config.RetryBackoff, "wait before the second attempt of a deployment; doubles with each further attempt, up to --retry-backoff-limit")
	flags.DurationVar(&config.RetryLimit, "retry-backoff-limit", config.RetryLimit, "max wait before another attempt of a deployment, give or take a fifth")
	flags.DurationVar(&config.Retention.Deployments, "keep-deployments", config.Retention.Deployments, "how long to keep finished deployments and their logs")
	flags.DurationVar(&config.Retention.UnseenAgents, "keep-unseen-agents", config.Retention.UnseenAgents, "how long to keep an agent that enrolled with an enrollment token but has never polled and has no deployment; 0 means forever")
	flags.DurationVar(&config.Retention.Reports, "keep-reports", config.Retention.Reports, "how long to keep reports")
	flags.DurationVar(&config.Retention.Rollups, "keep-rollups", config.Retention.Rollups, "how long to keep measurements of requests and of the database, by the hour")
	flags.StringVar(&config.AlertsURL, "alerts-url", "", "`URL` of a Prometheus or an Alertmanager whose active alerts the web page and watchbill alerts show, such as http://prometheus:9090 (default: none)")
	flags.StringVar(&config.AlertsTokenFile, "alerts-token-file", "", "`file` of a bearer token for --alerts-url; read for each request")
	bindExecutions(flags, config)
	bindKubernetes(flags, &config.Kubernetes)
	flags.DurationVar(&config.Retention.RollupMinutes, "keep-rollup-minutes", config.Retention.RollupMinutes, "how long to keep measurements of requests and of the database by the minute, before they are merged into hours")
}

// bindExecutions binds the flags of executions.
func bindExecutions(flags *pflag.FlagSet, config *replica.Config) {
	e := &config.Executions
	flags.StringVar(&e.AgentsFile, "agents-file", "", "YAML `file` of the AI agents that the gateway runs; reloaded when it changes")
	flags.StringVar(&e.SpoolDir, "spool-dir", e.SpoolDir, "`folder` that holds outcomes of the gateway's runs until they are in the database")
	flags.Int64Var(&e.SpoolMaxBytes, "spool-max-bytes", e.SpoolMaxBytes, "max bytes in --spool-dir; beyond it the gateway starts no run")
	flags.StringVar(&e.PricesFile, "prices-file", "", "YAML `file` of prices that take precedence over the built-in ones; reloaded when it changes")
	flags.StringVar(&e.DisplayCurrency, "display-currency", "", "`currency` to show costs in, in addition to USD, such as EUR; needs --currency-rate-file")
	flags.StringVar(&e.CurrencyRateFile, "currency-rate-file", "", "CSV `file` (date, currency, units_per_usd) of exchange rates for --display-currency; reloaded when it changes")
	(*selfHosted)(&e.SelfHostedModels).bind(flags)
	flags.IntVar(&e.MaxPayload, "max-payload", e.MaxPayload, "max bytes stored of an execution's input, and of its output; longer ones are cut")
	flags.BoolVar(&e.RefuseOversized, "refuse-oversized-payload", false, "reject executions whose input or output is larger than --max-payload, instead of cutting it")
	flags.StringArrayVar(&e.Redact, "redact", nil, "`rule` for what to mask in executions before they are stored: key:NAME, pattern:REGEX or builtin:NAME (email, credit-card, secrets); repeatable (in the environment, one per line)")
	flags.BoolVar(&e.RedactNames, "redact-names", false, "store pseudonyms in place of the ids of users, sessions and requests; needs --redact-names-key-file")
	flags.StringVar(&e.RedactNamesKey, "redact-names-key-file", "", "`file` of keys for the pseudonyms of --redact-names, one per line: the first makes new ones, the others find those already stored")
	flags.StringSliceVar(&config.Limits, "limit", nil, "rate `limit`, such as gateway/user=60/m, ingest/token=5000/s:burst=20000 or enroll/token=600/m:burst=1000 (which is the default for enroll); repeatable")
	flags.IntVar(&e.QueueRows, "ledger-queue", e.QueueRows, "max executions waiting to be stored; beyond it executions are refused with 503")
	flags.DurationVar(&e.Retention.Executions, "keep-executions", e.Retention.Executions, "how long to keep executions; older ones are also refused on arrival")
	flags.DurationVar(&e.Retention.Minutes, "keep-execution-minutes", e.Retention.Minutes, "how long to keep totals of executions (counts, tokens, costs) by the minute")
	flags.DurationVar(&e.Retention.Quarters, "keep-execution-quarters", e.Retention.Quarters, "how long to keep totals of executions (counts, tokens, costs) by the quarter of an hour")
	flags.DurationVar(&e.Retention.Hours, "keep-execution-hours", e.Retention.Hours, "how long to keep totals of executions (counts, tokens, costs) by the hour")
	flags.DurationVar(&e.Retention.Days, "keep-execution-days", e.Retention.Days, "how long to keep totals of executions (counts, tokens, costs) by the day")
}

// bindKubernetes binds the flags of ServiceAccounts.
func bindKubernetes(flags *pflag.FlagSet, config *replica.KubernetesConfig) {
	flags.BoolVar(&config.Auth, "kubernetes-auth", false, "let Kubernetes ServiceAccounts make and read reports for namespaces where they may create and get monitoringreports/run")
	flags.StringVar(&config.Audience, "kubernetes-audience", config.Audience, "`audience` that tokens of Kubernetes ServiceAccounts must be issued for")
	flags.StringVar(&config.Kubeconfig, "kubeconfig", "", "kubeconfig `file` of the cluster (default: the Pod's own account, $KUBECONFIG or ~/.kube/config)")
}

func bindDatabase(flags *pflag.FlagSet, config *replica.Config) {
	flags.StringVar(&config.DatabaseURL, "database-url", "", "PostgreSQL `URL`, such as postgres://user:password@host/database (set $DATABASE_URL instead: a command line is visible to other users)")
	flags.StringVar(&config.DatabaseDirectURL, "database-direct-url", "", "PostgreSQL `URL` that bypasses the transaction pooler; used for LISTEN and migrations (default: --database-url)")
}

func serveCommand(std stdio) *cobra.Command {
	config := replica.Defaults()
	var logs logFlags
	migrate := true
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the API",
		Long: `Serve the API until SIGTERM or SIGINT. Any number of replicas may serve one database.

It needs --database-url. Endpoints whose token is not set are closed.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), std, config, logs, migrate)
		},
	}
	bindReplica(cmd.Flags(), &config)
	logs.bind(cmd.Flags())
	cmd.Flags().BoolVar(&migrate, "migrate", true, "migrate the database schema before serving")
	return cmd
}

func serve(ctx context.Context, std stdio, config replica.Config, logFlags logFlags, migrate bool) (err error) {
	prices.Preload()
	config.Version = buildVersion()
	logs, logErr := logFlags.open(std, secrets(config)...)
	if logs != nil {
		defer func() { err = errors.Join(err, logs.Close()) }()
	}
	if err := errors.Join(config.Validate(), config.CheckFiles(), logErr); err != nil {
		return usageError(err)
	}
	if migrate {
		if err := postgres.Migrate(ctx, config.DirectURL()); err != nil {
			return err
		}
	}
	r, err := replica.New(ctx, config, logs, time.Now)
	if err != nil {
		return err
	}
	return r.Run(ctx)
}
