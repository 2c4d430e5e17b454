package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/watchbill/watchbill/internal/observe/logging"
	"github.com/watchbill/watchbill/internal/replica"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// logFlags say where logs go.
type logFlags struct{ dir, level string }

func (l *logFlags) bind(flags *pflag.FlagSet) {
	flags.StringVar(&l.dir, "log-dir", l.dir, "folder for master-backend.log, database-queries.log and security-events.log; stdout gets the first and the last always")
	flags.StringVar(&l.level, "log-level", "info", "debug, info, warn or error")
}

// open starts the logs. secrets are kept out of them wherever they turn up.
func (l *logFlags) open(std stdio, secrets ...string) (*logging.Logs, error) {
	logs, err := logging.New(logging.Options{
		Dir: l.dir, Level: l.level, Stdout: std.out, Stderr: std.err, Now: time.Now, Secrets: secrets,
	})
	return logs, usageError(err)
}

// secrets are what must not be found in the logs.
func secrets(config replica.Config) []string {
	all := []string{config.AdminToken, config.EnrollmentToken, config.IngestToken}
	for _, database := range []string{config.DatabaseURL, config.DatabaseDirectURL} {
		if password := postgres.Password(database); password != "" {
			all = append(all, password)
		}
	}
	return all
}

// bindReplica binds the flags of a replica. Their defaults are what config holds.
func bindReplica(flags *pflag.FlagSet, config *replica.Config) {
	flags.StringVar(&config.Listen, "listen", config.Listen, "address of the API")
	flags.StringVar(&config.MetricsListen, "metrics-listen", config.MetricsListen, "address of Prometheus's /metrics")
	flags.StringVar(&config.GRPCListen, "otlp-grpc-listen", config.GRPCListen, "address of OTLP over gRPC, such as :4317; empty: it is not served")
	bindDatabase(flags, config)
	flags.IntVar(&config.DatabaseMaxConns, "database-max-conns", config.DatabaseMaxConns, "connections of the pool at the most")
	flags.StringVar(&config.AdminToken, "admin-token", "", "opens the admin endpoints; several, separated by commas, rotate (better in the environment: $ADMIN_TOKEN)")
	flags.BoolVar(&config.AdminTokenParameter, "admin-token-parameter", config.AdminTokenParameter, "accept the admin token in the query too (?admin_token=), where logs and histories of others may keep it")
	flags.StringVar(&config.EnrollmentToken, "enrollment-token", "", "lets agents enrol; several, separated by commas, rotate (better: $ENROLLMENT_TOKEN)")
	flags.StringVar(&config.EnrollmentFile, "enrollment-file", "", "`file` (YAML) of enrollment tokens with labels and limits of their own; read again when it changes")
	flags.IntVar(&config.EnrollmentMaxAgents, "enrollment-max-agents", config.EnrollmentMaxAgents, "agents that may be enrolled by one enrollment token at the same time; 0: no limit")
	flags.StringVar(&config.IngestToken, "ingest-token", "", "lets executions be logged and agents be run; several, separated by commas, rotate (better: $INGEST_TOKEN)")
	flags.StringSliceVar(&config.TrustedProxies, "trusted-proxies", nil, "`networks`, separated by commas, of proxies whose X-Forwarded-For names the client, such as 10.0.0.0/8; left out: none is believed")
	flags.BoolVar(&config.InsecureTokens, "insecure-tokens", config.InsecureTokens, "take tokens that are short, placeholders, or the same for several rights: for tests alone")
	flags.StringVar(&config.TLSCertFile, "tls-cert-file", "", "certificate chain; read again when it changes")
	flags.StringVar(&config.TLSKeyFile, "tls-key-file", "", "the certificate's private key")
	flags.DurationVar(&config.ConnectionMaxAge, "connection-max-age", config.ConnectionMaxAge, "after which a kept connection is closed, to spread clients over new replicas; 0: never")
	flags.IntVar(&config.MaxConnections, "max-connections", config.MaxConnections, "limit of the API's connections, beyond which idle ones are closed; 0: what the limits of open files and memory allow")
	flags.Int64Var(&config.BodyMemory, "body-memory", config.BodyMemory, "limit of the bytes of request bodies held at a time; 0: an eighth of the memory limit, at most 256 MiB")
	flags.Int64Var(&config.AnswerMemory, "answer-memory", config.AnswerMemory, "limit of the bytes of large answers held for clients that read slowly; 0: a sixteenth of the memory limit, at most 64 MiB")
	flags.DurationVar(&config.ShutdownDelay, "shutdown-delay", 0, "how long to go on serving after SIGTERM while /readyz says 503, for balancers to look elsewhere")
	flags.DurationVar(&config.ShutdownTimeout, "shutdown-timeout", config.ShutdownTimeout, "how long requests under way may take to finish on shutdown")
	flags.Float64Var(&config.PollBudget, "poll-budget", config.PollBudget, "polls a second of the whole fleet, beyond which agents are told to poll less often")
	flags.DurationVar(&config.MaxPollWait, "max-poll-wait", config.MaxPollWait, "the longest that a poll is held, whatever its ?wait= asks, at most 1m; less than the read timeout of any proxy in front; 0: polls are not held")
	flags.DurationVar(&config.SweepInterval, "sweep-interval", config.SweepInterval, "how often changes are looked for even if no hint of one came; at most 750ms")
	flags.DurationVar(&config.BlindGrace, "blind-grace", config.BlindGrace, "how long polls are answered from memory while the database is away")
	flags.DurationVar(&config.RetryBackoff, "retry-backoff", config.RetryBackoff, "wait before a deployment's second attempt; it doubles with each")
	flags.DurationVar(&config.RetryLimit, "retry-backoff-limit", config.RetryLimit, "longest wait before an attempt, give or take a fifth")
	flags.DurationVar(&config.Retention.Deployments, "keep-deployments", config.Retention.Deployments, "how long finished deployments are kept, with their logs")
	flags.DurationVar(&config.Retention.UnseenAgents, "keep-unseen-agents", config.Retention.UnseenAgents, "how long an agent is kept that enrolled by an enrollment token, never polled and has no deployment; 0: for ever")
	flags.DurationVar(&config.Retention.Reports, "keep-reports", config.Retention.Reports, "how long reports are kept")
	flags.DurationVar(&config.Retention.Rollups, "keep-rollups", config.Retention.Rollups, "how long measurements are kept")
	bindExecutions(flags, config)
	bindKubernetes(flags, &config.Kubernetes)
	flags.DurationVar(&config.Retention.RollupMinutes, "keep-rollup-minutes", config.Retention.RollupMinutes, "how long measurements are kept by the minute, before they are merged into hours")
}

// bindExecutions binds the flags of what concerns executions.
func bindExecutions(flags *pflag.FlagSet, config *replica.Config) {
	e := &config.Executions
	flags.StringVar(&e.AgentsFile, "agents-file", "", "`file` (YAML) of the AI agents that the gateway runs; read again when it changes")
	flags.StringVar(&e.SpoolDir, "spool-dir", e.SpoolDir, "folder where the outcome of the gateway's runs is kept until it is stored")
	flags.Int64Var(&e.SpoolMaxBytes, "spool-max-bytes", e.SpoolMaxBytes, "size of that folder, beyond which no run begins")
	flags.StringVar(&e.PricesFile, "prices-file", "", "`file` (YAML) of prices that go before the shipped ones; read again when it changes")
	flags.StringVar(&e.DisplayCurrency, "display-currency", "", "`currency` that costs are shown in beside USD, such as EUR; needs --currency-rate-file")
	flags.StringVar(&e.CurrencyRateFile, "currency-rate-file", "", "`file` (CSV: date, currency, units_per_usd) of the rates of --display-currency; read again when it changes")
	(*selfHosted)(&e.SelfHostedModels).bind(flags)
	flags.IntVar(&e.MaxPayload, "max-payload", e.MaxPayload, "bytes of an execution's input, and of its output, that are stored")
	flags.BoolVar(&e.RefuseOversized, "refuse-oversized-payload", false, "reject executions with a larger input or output, instead of cutting it with a mark")
	flags.StringArrayVar(&e.Redact, "redact", nil, "what is masked in executions before they are stored: key:NAME, pattern:REGEX or builtin:NAME (email, credit-card, secrets); may be repeated (in the environment: one a line)")
	flags.BoolVar(&e.RedactNames, "redact-names", false, "store pseudonyms in the place of the ids of users, sessions and requests; needs --redact-names-key-file")
	flags.StringVar(&e.RedactNamesKey, "redact-names-key-file", "", "`file` of the keys that make pseudonyms, one a line: the first is used, the others find what was stored before")
	flags.StringSliceVar(&config.Limits, "limit", nil, "rate limit, such as gateway/user=60/m, ingest/token=5000/s:burst=20000 or enroll/token=600/m:burst=1000 (the default of enroll); may be repeated")
	flags.IntVar(&e.QueueRows, "ledger-queue", e.QueueRows, "executions that may wait to be stored; more are refused with 503")
	flags.DurationVar(&e.Retention.Executions, "keep-executions", e.Retention.Executions, "how long executions are kept; older ones are rejected")
	flags.DurationVar(&e.Retention.Minutes, "keep-execution-minutes", e.Retention.Minutes, "how long their figures are kept by the minute")
	flags.DurationVar(&e.Retention.Quarters, "keep-execution-quarters", e.Retention.Quarters, "how long by the quarter of an hour")
	flags.DurationVar(&e.Retention.Hours, "keep-execution-hours", e.Retention.Hours, "how long by the hour")
	flags.DurationVar(&e.Retention.Days, "keep-execution-days", e.Retention.Days, "how long by the day")
}

// bindKubernetes binds the flags of what concerns ServiceAccounts.
func bindKubernetes(flags *pflag.FlagSet, config *replica.KubernetesConfig) {
	flags.BoolVar(&config.Auth, "kubernetes-auth", false, "let Kubernetes ServiceAccounts make and read reports of namespaces where they may create and get monitoringreports/run")
	flags.StringVar(&config.Audience, "kubernetes-audience", config.Audience, "audience that their tokens must be for")
	flags.StringVar(&config.Kubeconfig, "kubeconfig", "", "`file` that says how to reach Kubernetes; else as its Pod, or by $KUBECONFIG or ~/.kube/config")
}

func bindDatabase(flags *pflag.FlagSet, config *replica.Config) {
	flags.StringVar(&config.DatabaseURL, "database-url", "", "PostgreSQL's URL (better in the environment: $DATABASE_URL)")
	flags.StringVar(&config.DatabaseDirectURL, "database-direct-url", "", "the same around a transaction pooler, for listening and migrations")
}

func serveCommand(std stdio) *cobra.Command {
	config := replica.Defaults()
	var logs logFlags
	migrate := true
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the API",
		Long:  "Serve the API until SIGTERM or SIGINT. Every flag can be set by an environment variable: --some-flag by WATCHBILL_SOME_FLAG.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd.Context(), std, config, logs, migrate)
		},
	}
	bindReplica(cmd.Flags(), &config)
	logs.bind(cmd.Flags())
	cmd.Flags().BoolVar(&migrate, "migrate", true, "bring the schema up to date first")
	return cmd
}

func serve(ctx context.Context, std stdio, config replica.Config, logFlags logFlags, migrate bool) (err error) {
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
