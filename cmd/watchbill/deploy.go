package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/watchbill/watchbill/api/openapi"
	"github.com/watchbill/watchbill/internal/fleet"
	"github.com/watchbill/watchbill/internal/text"
)

// The intervals at which --wait reads a group: short at first, then longer.
const (
	firstLook  = 250 * time.Millisecond
	usualPause = 2 * time.Second
)

// deployOptions are the flags of `watchbill deploy`.
type deployOptions struct {
	access               access
	style                style
	agents               []string
	selector, name, spec string
	maxAttempts          int32
	lease                time.Duration
	idempotencyKey       string
	wait                 bool
}

func deployCommand(std stdio, env func(string) (string, bool)) *cobra.Command {
	var o deployOptions
	cmd := &cobra.Command{
		Use:   "deploy",
		Short: "Deploy to agents, given by id or by a label selector",
		Long: `Create one deployment for each agent that is given or selected. All of them are in one group; either all are created or none.

The command prints "group" and the group's id, for 'deployments list --group' and 'deployments cancel --group', and for a
single agent also "deployment" and the deployment's id, for 'deployments get' and 'logs'.

With --wait it waits until every deployment has finished and shows progress on stderr. Ctrl-C stops the waiting, not the
deployments.

Exit status: 0 if the deployments were created, and with --wait if all succeeded; 1 otherwise; 2 if the command line is
wrong.`,
		Example: `  watchbill deploy --selector region=eu --name 'app 1.4.2' --spec '{"image":"registry.example/app:1.4.2"}' --wait
  watchbill deploy --agent edge-eu-017 --name 'app 1.4.2' --spec app.json --idempotency-key release-1.4.2-edge-eu-017`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var wrong faults
			request := o.request(&wrong, std.in)
			api := o.access.client(&wrong)
			if err := wrong.err(); err != nil {
				return err
			}
			defer api.close()
			return o.deploy(cmd.Context(), newConsole(std, env), api, request)
		},
	}
	flags := cmd.Flags()
	o.access.bind(flags)
	o.style.bind(flags)
	flags.StringSliceVar(&o.agents, "agent", nil, "comma-separated `ids` of the agents to deploy to; repeatable")
	flags.StringVar(&o.selector, "selector", "", "deploy to agents whose labels match this `selector`, in Kubernetes' syntax, such as region=eu,tier!=lab; instead of --agent")
	flags.StringVar(&o.name, "name", "", "`name` of the deployment, for people to read")
	flags.StringVar(&o.spec, "spec", "", "what to deploy: a `JSON` object, a file that holds one, or - for standard input")
	flags.Int32Var(&o.maxAttempts, "max-attempts", fleet.DefaultAttempts, "max `number` of attempts per agent")
	flags.DurationVar(&o.lease, "lease", fleet.DefaultLease, "how long an agent that runs the deployment may be silent before its attempt times out, in whole seconds")
	flags.StringVar(&o.idempotencyKey, "idempotency-key", "", "`key` that makes the command safe to repeat: a repetition with the same key creates nothing and prints the same")
	flags.BoolVar(&o.wait, "wait", false, "wait until every deployment has finished")
	return cmd
}

// request checks the flags.
func (o *deployOptions) request(wrong *faults, stdin io.Reader) openapi.CreateDeploymentsRequest {
	o.style.check(wrong)
	wrong.add((len(o.agents) == 0) == (o.selector == ""), "--agent", "give either --agent or --selector")
	wrong.agentIDs("--agent", o.agents...)
	if o.selector != "" {
		_, err := fleet.ParseSelector("--selector", o.selector)
		wrong.keepField(err)
	}
	wrong.add(o.name == "", "--name", "is required")
	wrong.add(o.maxAttempts < 1 || o.maxAttempts > fleet.MaxAttempts, "--max-attempts", "must be from 1 to %d", fleet.MaxAttempts)
	wrong.seconds("--lease", o.lease, fleet.MinLease, fleet.MaxLease)
	spec, err := readSpec(o.spec, stdin)
	wrong.keep("--spec", err)
	return openapi.CreateDeploymentsRequest{
		AgentIDs: o.agents, Selector: o.selector, Name: o.name, Spec: spec,
		MaxAttempts: &o.maxAttempts, LeaseSeconds: new(int32(o.lease / time.Second)),
	}
}

// readSpec reads a JSON object from the argument, a file or standard input.
func readSpec(given string, stdin io.Reader) (json.RawMessage, error) {
	const limit = fleet.MaxSpec
	var spec []byte
	var err error
	switch {
	case given == "":
		return nil, errors.New("is required")
	case given == "-":
		spec, err = readAll(stdin, "standard input", limit)
	case strings.HasPrefix(strings.TrimSpace(given), "{"):
		spec, err = readAll(strings.NewReader(given), "it", limit)
	default:
		spec, err = readBounded(given, limit)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("must be a JSON object or a file that holds one; there is no file %q", text.FitRunes(given, 80))
		}
	}
	if err != nil {
		return nil, err
	}
	spec = bytes.TrimSpace(spec)
	var object map[string]json.RawMessage
	if err := json.Unmarshal(spec, &object); err != nil {
		return nil, fmt.Errorf("must be a JSON object: %w", err)
	}
	if object == nil {
		return nil, errors.New("must be a JSON object, not null")
	}
	return spec, nil
}

func (o *deployOptions) deploy(ctx context.Context, c console, api *client, request openapi.CreateDeploymentsRequest) error {
	params := openapi.CreateDeploymentsParams{}
	if o.idempotencyKey != "" {
		params.IdempotencyKey = &o.idempotencyKey
	}
	created, err := decoded[openapi.CreatedDeployments](read(api.CreateDeployments(ctx, &params, request)))
	if lost := (*unreachable)(nil); errors.As(err, &lost) && !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%w\nthe deployments may have been created; repeat the command only if it had an --idempotency-key, otherwise check 'watchbill deployments list'", err)
	}
	if err != nil {
		return err
	}
	if o.style.json() {
		err = c.json(created)
	} else {
		err = printCreated(c, created)
	}
	if err != nil || !o.wait {
		return err
	}
	group, err := waitForGroup(ctx, c, api, created.GroupID)
	if errors.Is(err, errInterrupted) {
		c.note("stopped waiting; 'watchbill deployments cancel --group %s' cancels what is unfinished", text.OneLine(created.GroupID))
	}
	if err != nil {
		return err
	}
	if n := group.Counts; n.Succeeded != group.Total {
		return fmt.Errorf("%d of %d did not succeed; see 'watchbill deployments list --group %s'", group.Total-n.Succeeded, group.Total, text.OneLine(created.GroupID))
	}
	return nil
}

// printCreated prints the id of a group, and the deployment's id if there is only one.
func printCreated(c console, created openapi.CreatedDeployments) error {
	text := fmt.Sprintln("group", created.GroupID)
	if len(created.Deployments) == 1 {
		text += fmt.Sprintln("deployment", created.Deployments[0].ID)
	}
	_, err := io.WriteString(c.text(), text)
	return err
}

// waitForGroup shows the progress of a group until it is finished. It retries for a limited time while the server is
// unreachable.
func waitForGroup(ctx context.Context, c console, api *client, id string) (openapi.DeploymentGroup, error) {
	line := statusLine{console: c}
	defer line.end()
	away := func(text string) {
		line.end()
		c.say(text)
	}
	for wait := firstLook; ; wait = min(2*wait, usualPause) {
		if err := waitFor(ctx, wait); err != nil {
			return openapi.DeploymentGroup{}, err
		}
		var group openapi.DeploymentGroup
		err := persist(ctx, away, func() (err error) {
			group, err = decoded[openapi.DeploymentGroup](read(api.GetDeploymentGroup(ctx, id)))
			return err
		})
		if err != nil {
			return group, err
		}
		line.show(groupCounts(group))
		if group.Finished {
			return group, nil
		}
	}
}

// groupCounts returns a line such as "20 deployments: 3 pending, 5 running, 12 succeeded".
func groupCounts(g openapi.DeploymentGroup) string {
	var parts []string
	for _, part := range []struct {
		n      int64
		status openapi.DeploymentStatus
	}{
		{g.Counts.Pending, openapi.DeploymentStatusPending},
		{g.Counts.Running, openapi.DeploymentStatusRunning},
		{g.Counts.Succeeded, openapi.DeploymentStatusSucceeded},
		{g.Counts.Failed, openapi.DeploymentStatusFailed},
		{g.Counts.TimedOut, "timed out"},
		{g.Counts.Cancelled, openapi.DeploymentStatusCancelled},
	} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.status))
		}
	}
	noun := "deployments"
	if g.Total == 1 {
		noun = "deployment"
	}
	return fmt.Sprintf("%d %s: %s", g.Total, noun, strings.Join(parts, ", "))
}
