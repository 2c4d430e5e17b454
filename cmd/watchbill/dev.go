package main

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/watchbill/watchbill/internal/dev/history"
	"github.com/watchbill/watchbill/internal/dev/pgserver"
	"github.com/watchbill/watchbill/internal/dev/simulation"
	"github.com/watchbill/watchbill/internal/observe/logging"
	"github.com/watchbill/watchbill/internal/replica"
	"github.com/watchbill/watchbill/internal/store/postgres"
)

// devOptions are the flags of `watchbill dev`.
type devOptions struct {
	replica replica.Config
	logs    logFlags
	dataDir string
	agents  int
	every   time.Duration
	execute time.Duration
	history history.Options
}

// devAgents are the AI agents that are defined unless a file is given.
//
//go:embed dev_agents.yaml
var devAgents []byte

func devCommand(std stdio) *cobra.Command {
	o := devOptions{replica: replica.Defaults(), logs: logFlags{dir: filepath.Join(".watchbill", "logs")}}
	o.replica.Listen, o.replica.MetricsListen = "127.0.0.1:8080", "127.0.0.1:9090"
	o.replica.GRPCListen = "127.0.0.1:4317"
	o.replica.InsecureTokens = true // by default it listens on loopback only
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Try Watchbill: run everything on this machine, with a simulated fleet",
		Long: `Run everything on this machine: PostgreSQL (unless DATABASE_URL names one), the API, simulated agents that poll and deploy,
and simulated executions of AI agents. The command prints the URLs and tokens. Ctrl-C stops everything.

The database stays in --data-dir for the next run, as do the file of AI agents and the spool, unless --agents-file and
--spool-dir name others.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return dev(cmd.Context(), std, o) },
	}
	bindReplica(cmd.Flags(), &o.replica)
	o.logs.bind(cmd.Flags())
	cmd.Flags().StringVar(&o.dataDir, "data-dir", ".watchbill", "`folder` that keeps the database between runs")
	cmd.Flags().IntVar(&o.agents, "agents", 20, "number of simulated agents")
	cmd.Flags().DurationVar(&o.every, "deploy-every", 5*time.Second, "time between simulated deployments")
	cmd.Flags().DurationVar(&o.execute, "execute-every", 2*time.Second, "time between simulated executions of AI agents")
	cmd.Flags().DurationVar(&o.history.Span, "history", 0, "at the first start, also write a history of this length; 0 for none")
	cmd.Flags().Int64Var(&o.history.Executions, "history-executions", 0, "number of executions in the history; 0 for 80 an hour")
	cmd.Flags().Uint64Var(&o.history.Seed, "history-seed", 1, "seed of the history; the same one makes the same history")
	return cmd
}

// dev starts its parts in order and stops them in the opposite order with deferred calls.
func dev(ctx context.Context, std stdio, o devOptions) (err error) {
	if o.agents < 1 || o.agents > 10_000 || o.every <= 0 || o.execute <= 0 {
		return usageError(errors.New("--agents must be from 1 to 10000, and --deploy-every and --execute-every more than 0"))
	}
	if err := o.checkHistory(); err != nil {
		return usageError(err)
	}
	config := o.replica
	config.Version = buildVersion()
	for _, token := range []*string{&config.AdminToken, &config.EnrollmentToken, &config.IngestToken} {
		if *token == "" {
			*token = rand.Text()
		}
	}
	if err := o.prepareGateway(&config); err != nil {
		return err
	}
	config.Listen, config.MetricsListen = freeAddress(std, config.Listen), freeAddress(std, config.MetricsListen)
	if config.GRPCListen != "" {
		config.GRPCListen = freeAddress(std, config.GRPCListen)
	}
	if config.DatabaseURL == "" {
		say(std, "starting PostgreSQL in %s …", o.dataDir)
		server, err := pgserver.Start(ctx, pgserver.Options{
			DataDir: o.dataDir, Logf: func(format string, args ...any) { say(std, "  "+format, args...) },
		})
		if err != nil {
			return err
		}
		defer func() {
			stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
			defer cancel()
			err = errors.Join(err, server.Stop(stopping))
		}()
		config.DatabaseURL = server.URL()
	}
	if err := errors.Join(config.Validate(), config.CheckFiles()); err != nil {
		return usageError(err)
	}
	// Log lines go only to the file: the terminal is for the user's output.
	logs, err := o.logs.open(stdio{out: io.Discard, err: std.err}, secrets(config)...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, logs.Close()) }()
	if err := postgres.Migrate(ctx, config.DirectURL()); err != nil {
		return err
	}
	if err := o.writeHistory(ctx, std, config, logs); err != nil {
		return err
	}
	return live(ctx, std, o, config, logs)
}

// prepareGateway sets up the gateway's agents and spool in the data folder, unless flags set other paths.
func (o devOptions) prepareGateway(config *replica.Config) error {
	if config.Executions.SpoolDir == replica.Defaults().Executions.SpoolDir {
		config.Executions.SpoolDir = filepath.Join(o.dataDir, "spool")
	}
	if config.Executions.AgentsFile != "" {
		return nil
	}
	config.Executions.AgentsFile = filepath.Join(o.dataDir, "agents.yaml")
	if _, err := os.Stat(config.Executions.AgentsFile); !errors.Is(err, fs.ErrNotExist) {
		return err // the user may have edited it
	}
	if err := os.MkdirAll(o.dataDir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(config.Executions.AgentsFile, devAgents, 0o644)
}

// live runs a replica and a fleet until ctx is done. The fleet stops first.
func live(ctx context.Context, std stdio, o devOptions, config replica.Config, logs *logging.Logs) error {
	r, err := replica.New(ctx, config, logs, time.Now)
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	g, living := errgroup.WithContext(ctx)
	g.Go(func() error { return r.Run(serving) })

	fleet, err := simulation.Enroll(living, simulation.Options{
		Server: "http://" + r.Address(), AdminToken: first(config.AdminToken), Agents: o.agents, Every: o.every,
		IngestToken: first(config.IngestToken), ExecuteEvery: o.execute, Log: logs.App.Named("simulation"), Now: time.Now,
	})
	if err == nil {
		var code string
		if code, err = r.SignInCode(); err == nil {
			welcome(std, r, config, o, code)
			err = fleet.Run(living)
		}
		say(std, "stopping …")
	}
	if ctx.Err() != nil {
		err = nil // stopped on request; errors caused by that do not matter
	}
	stop()
	return errors.Join(err, g.Wait())
}

// first returns the first of a list of tokens.
func first(tokens string) string {
	token, _, _ := strings.Cut(tokens, ",")
	return strings.TrimSpace(token)
}

func welcome(std stdio, r *replica.Replica, config replica.Config, o devOptions, code string) {
	say(std, `
Watchbill %s is up, with %d simulated agents, a deployment every %s, and an execution of an AI agent every %s.

  web page   http://%s/#/sign-in?code=%s
             (signs in once, within five minutes; later sign in with the ADMIN_TOKEN below)
  API        http://%s
  OTLP gRPC  %s
  metrics    http://%s/metrics
  database   %s
  logs       %s
  AI agents  %s

  export WATCHBILL_SERVER=http://%s
  export ADMIN_TOKEN=%s
  export ENROLLMENT_TOKEN=%s
  export INGEST_TOKEN=%s

Ctrl-C stops everything.`,
		config.Version, o.agents, o.every, o.execute, r.Address(), code, r.Address(), r.GRPCAddress(), r.MetricsAddress(), config.DatabaseURL, o.logs.dir, config.Executions.AgentsFile,
		r.Address(), config.AdminToken, config.EnrollmentToken, config.IngestToken)
}

// freeAddress returns the address, or one with a free port if it is in use.
func freeAddress(std stdio, address string) string {
	l, err := net.Listen("tcp", address)
	if err == nil {
		_ = l.Close() // only a probe
		return address
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address // Validate reports it
	}
	say(std, "%s is taken; using another port", address)
	return net.JoinHostPort(host, "0")
}

// say prints a line to the terminal and ignores errors.
func say(std stdio, format string, args ...any) { _, _ = fmt.Fprintf(std.out, format+"\n", args...) }
