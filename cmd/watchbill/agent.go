package main

import (
	"crypto/rand"
	"errors"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/watchbill/watchbill/internal/fleet/agent"
	"github.com/watchbill/watchbill/internal/observe/logging"
	"github.com/watchbill/watchbill/internal/text"
)

// agentOptions are the flags of `watchbill agent`.
type agentOptions struct {
	connection           connection
	id, token, tokenFile string
	exec                 string
	concurrency          int
	wait, drain, grace   time.Duration
	logLevel             string
}

func agentCommand(std stdio) *cobra.Command {
	var o agentOptions
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "Run the reference agent, which runs a command for each deployment",
		Long: `Poll the server for deployments and run a command (with sh -c) for each attempt, until SIGTERM or SIGINT. The agent must be
enrolled first: 'watchbill agents enroll' prints its token.

The command gets the deployment as JSON on standard input, and WATCHBILL_DEPLOYMENT_ID, WATCHBILL_DEPLOYMENT_NAME and
WATCHBILL_ATTEMPT in its environment, but none of Watchbill's tokens. Its output is the deployment's log. A line
"::progress 42 pulling image" sets the progress. Exit status 0 means success; 78, a failure that another attempt would not
fix; any other, a failure that may be retried.

On SIGTERM or SIGINT the agent claims nothing new. Running deployments may continue for --drain; then the agent stops them
and reports that.

If the server refuses the token, the agent does not exit: it polls slowly, rereads --token-file, and uses the token that the
file then holds, also for running deployments.

Exit status: 0 after SIGTERM or SIGINT; 1 if the token is another agent's; 2 if the command line is wrong.`,
		Example: `  export WATCHBILL_TOKEN=wba_…
  watchbill agent --server https://watchbill.example --id edge-1 --exec './deploy.sh' --wait 30s`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, end, err := o.agent(std)
			if err != nil {
				return err
			}
			err = a.Run(cmd.Context())
			return errors.Join(err, end())
		},
	}
	flags := cmd.Flags()
	o.connection.bind(flags)
	flags.StringVar(&o.id, "id", "", "`id` of the agent, as it was enrolled")
	flags.StringVar(&o.token, "token", "", "`token` of the agent (set $WATCHBILL_TOKEN instead: a command line is visible to other users)")
	flags.StringVar(&o.tokenFile, "token-file", "", "`file` that holds the agent's token, reread when the server refuses the token; takes precedence over $WATCHBILL_TOKEN")
	flags.StringVar(&o.exec, "exec", "", "shell `command` to run for each deployment")
	flags.IntVar(&o.concurrency, "concurrency", 1, "max deployments to run at once")
	flags.DurationVar(&o.wait, "wait", 0, "how long the server may hold a poll until there is a deployment, at most 1m; 0 polls at the interval the server asks for")
	flags.DurationVar(&o.drain, "drain", 30*time.Second, "how long running deployments may continue after SIGTERM or SIGINT")
	flags.DurationVar(&o.grace, "grace", 10*time.Second, "time between SIGTERM and SIGKILL for a command that is stopped")
	flags.StringVar(&o.logLevel, "log-level", "info", "least severe `level` to log on stderr: debug, info, warn or error")
	return cmd
}

// agent returns the agent that the flags describe, and a function that closes its connections and its log after it has
// run.
func (o *agentOptions) agent(std stdio) (_ *agent.Agent, end func() error, err error) {
	var wrong faults
	wrong.add(o.id == "", "--id", "is required")
	if o.id != "" {
		wrong.agentIDs("--id", o.id)
	}
	token, err := readToken(o.token, o.tokenFile)
	wrong.keep("--token-file", err)
	wrong.add(err == nil && token == "", "no token", "set WATCHBILL_TOKEN or --token-file")
	wrong.add(o.exec == "", "--exec", "is required")
	wrong.add(o.concurrency < 1, "--concurrency", "must be at least 1")
	wrong.add(o.wait < 0 || o.wait > agent.MaxWait, "--wait", "must be from 0 to %s", text.Duration(agent.MaxWait))
	wrong.add(o.drain < 0, "--drain", "must not be negative")
	wrong.add(o.grace < 0, "--grace", "must not be negative")
	transport := o.connection.transport(&wrong)
	logs, err := logging.New(logging.Options{
		Level: o.logLevel, Stdout: std.err, Stderr: std.err, Now: time.Now, Secrets: []string{token},
	})
	wrong.keep("--log-level", err)
	if logs != nil {
		defer func() {
			if err != nil {
				err = errors.Join(err, logs.Close())
			}
		}()
	}
	if err := wrong.err(); err != nil {
		return nil, nil, err
	}
	var readAgain func() (string, error)
	if o.tokenFile != "" {
		readAgain = func() (string, error) { return readToken("", o.tokenFile) }
	}
	a, err := agent.New(agent.Config{
		Server: o.connection.server, ID: o.id, Token: token, ReadToken: readAgain,
		Runner:      agent.Shell{Command: o.exec, Env: os.Environ(), Grace: o.grace},
		Concurrency: o.concurrency, Wait: o.wait, Drain: o.drain,
		HTTPClient: &http.Client{Transport: transport}, UserAgent: "watchbill/" + buildVersion(),
		Logger: logs.App, Now: time.Now, Jitter: mathrand.Float64, NewClaim: rand.Text,
	})
	if err != nil {
		return nil, nil, usageError(err)
	}
	return a, func() error {
		transport.CloseIdleConnections()
		return logs.Close()
	}, nil
}
